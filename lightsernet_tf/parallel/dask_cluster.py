"""A Dask cluster that somebody else started: reached, checked, and given to joblib.

Imported only where ``distributed`` is installed, see `parallel`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Client
from distributed.comm import connect
from distributed.scheduler import KilledWorker
from distributed.security import Security
from joblib._dask import DaskDistributedBackend

from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.versions import versions

_CONNECT_SECONDS = 5
_WORKERS_SECONDS = 30

_logger = logging.getLogger(__name__)


class _Backend(DaskDistributedBackend):
    """joblib's backend without what makes it wait for ever, or train in the wrong process."""

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of the cluster's cores, at least 2: with 1 joblib would train in the client's process."""
        return max(2, super().effective_n_jobs(n_jobs))

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Future:
        """Send a task, and tell joblib also of one that Dask gave up, for which it would wait for ever."""
        future = super().submit(func, callback)

        def tell(done: Future) -> None:
            error = done.exception()
            if error is not None and callback is not None:
                callback(error)  # joblib raises an exception that comes as a result

        future.add_done_callback(tell)
        return future


def check_scheduler(address: str) -> None:
    """Say hello to a scheduler.

    Raises
    ------
    ConfigError
        If there is none.
    """

    async def hello() -> None:
        comm = await connect(address, timeout=_CONNECT_SECONDS, **Security().get_connection_args("client"))
        await comm.close()

    try:  # and not with a Client, which after an address that is none complains for ten seconds
        asyncio.run(asyncio.wait_for(hello(), _CONNECT_SECONDS + 1))  # its own limit is not one for the answer
    except (asyncio.TimeoutError, MemoryError) as error:  # the first bytes of another answer may read as a huge size
        raise _no_scheduler(address, "which does not answer as Dask does") from error
    except (OSError, ValueError, TypeError) as error:  # TypeError: certificates are missing
        raise _no_scheduler(address, " ".join(str(error).split())) from error


@contextmanager
def cluster_backend(scheduler: str, folder: Path) -> Iterator[_Backend]:
    """Give a backend for ``joblib.Parallel`` on the workers of a scheduler, each of which trains one network at a time.

    Parameters
    ----------
    scheduler
        Its address.
    folder
        What is trained, for messages.

    Raises
    ------
    ConfigError
        If the scheduler does not answer, or its workers are not there or cannot be used.
    RunError
        If in the block they are lost for good.
    """
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise _no_scheduler(scheduler, " ".join(str(error).split())) from error
    with _silent("distributed.client"), client:
        _check_workers(client, scheduler)
        workers = len(client.nthreads())
        _logger.info("training on %d worker%s of %s", workers, "s" * (workers != 1), scheduler)
        try:
            yield _Backend(client=client)
        except KilledWorker as error:
            raise RunError(
                f"{folder}: expected workers that live to train. Received: {error.allowed_failures + 1} that were lost "
                f"over the same training, the last of them {error.last_worker.address}, perhaps for want of memory; "
                "the same command goes on"
            ) from error
        except CancelledError as error:
            raise RunError(
                f"{folder}: expected a Dask scheduler that lives until all is trained. Received: {scheduler}, "
                "which was lost; the same command goes on"
            ) from error


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a logger from telling, with tracebacks, of what is told in one line or mended."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_workers(client: Client, scheduler: str) -> None:
    if not client.nthreads():
        _logger.info("waiting up to %d s for workers of %s", _WORKERS_SECONDS, scheduler)
    try:
        client.wait_for_workers(1, timeout=_WORKERS_SECONDS)
    except (TimeoutError, asyncio.TimeoutError) as error:
        raise ConfigError(
            f"--scheduler: expected workers (dask worker {scheduler} --nthreads 1). "
            f"Received: none within {_WORKERS_SECONDS} s"
        ) from error
    for worker, threads in client.nthreads().items():
        if threads > 1:
            raise ConfigError(
                "--scheduler: expected workers of one thread, a process for each training at once "
                f"(dask worker {scheduler} --nworkers N --nthreads 1). Received: {worker} with {threads} threads"
            )
    ours = _comparable(versions())
    for worker, found in client.run(versions, on_error="return").items():
        if isinstance(found, OSError):
            continue  # the worker was lost just now
        if isinstance(found, Exception):
            raise ConfigError(f"--scheduler: expected workers that have lightsernet-tf. Received: {worker}: {found}")
        theirs = _comparable(found)
        others = [f"{name} {theirs.get(name)} ({ours[name]} here)" for name in ours if theirs.get(name) != ours[name]]
        if others:
            raise ConfigError(
                "--scheduler: expected workers with the versions that the report will name. "
                f"Received: {worker} with {', '.join(others)}"
            )


def _comparable(found: Mapping[str, str]) -> dict[str, str]:
    return {**found, "python": found["python"].rpartition(".")[0]}


def _no_scheduler(address: str, reason: str) -> ConfigError:
    return ConfigError(
        "--scheduler: expected the address of a Dask scheduler that runs, such as tcp://HOST:8786. "
        f"Received: {address!r} ({reason})"
    )
