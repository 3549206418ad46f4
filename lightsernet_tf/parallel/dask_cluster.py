"""Connects to a running Dask cluster, checks it, and provides it as a joblib backend.

Imported only if ``distributed`` is installed, see `processes`.
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

from lightsernet_tf.errors import ConfigError, RunError, one_line
from lightsernet_tf.versions import versions

_CONNECT_SECONDS = 5
_WORKERS_SECONDS = 30

_logger = logging.getLogger(__name__)


class _Backend(DaskDistributedBackend):
    """joblib's backend, fixed so that it neither waits forever nor trains in the wrong process."""

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of the cluster's cores, at least 2: with 1 joblib would train in the client's process."""
        return max(2, super().effective_n_jobs(n_jobs))

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Future:
        """Submit a task and report failures that joblib would otherwise wait for forever."""
        future = super().submit(func, callback)

        def report(done: Future) -> None:
            error = done.exception()
            if error is not None and callback is not None:
                callback(error)  # joblib raises exceptions that arrive as results

        future.add_done_callback(report)
        return future


def check_scheduler(address: str) -> None:
    """Check that a scheduler answers.

    Raises
    ------
    ConfigError
        If none does.
    """

    async def hello() -> None:
        comm = await connect(address, timeout=_CONNECT_SECONDS, **Security().get_connection_args("client"))
        await comm.close()

    try:  # not a Client, which logs complaints about a wrong address for ten seconds
        asyncio.run(asyncio.wait_for(hello(), _CONNECT_SECONDS + 1))  # connect's own limit does not cover the answer
    except (asyncio.TimeoutError, MemoryError) as error:  # another protocol's first bytes may be taken for a huge size
        raise _no_scheduler(address, "it does not speak Dask's protocol") from error
    except (OSError, ValueError, TypeError) as error:  # TypeError: certificates are missing
        raise _no_scheduler(address, one_line(error)) from error


@contextmanager
def cluster_backend(scheduler: str, folder: Path) -> Iterator[_Backend]:
    """Provide a backend for ``joblib.Parallel`` on the workers of a scheduler; each trains one network at a time.

    Parameters
    ----------
    scheduler
        Address of the scheduler.
    folder
        What is trained, for messages.

    Raises
    ------
    ConfigError
        If the scheduler does not answer, or it has no suitable workers.
    RunError
        If scheduler or workers are lost for good within the block.
    """
    try:
        client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
    except OSError as error:
        raise _no_scheduler(scheduler, one_line(error)) from error
    with _silent("distributed.client"), client:
        _check_workers(client, scheduler)
        workers = len(client.nthreads())
        _logger.info("training on %d worker%s of %s", workers, "s" * (workers != 1), scheduler)
        try:
            yield _Backend(client=client)
        except KilledWorker as error:
            raise RunError(
                f"{folder}: expected workers that stay alive. Received: {error.allowed_failures + 1} lost during the "
                f"same training, the last one {error.last_worker.address}, perhaps for lack of memory; the same "
                "command continues"
            ) from error
        except CancelledError as error:
            raise RunError(
                f"{folder}: expected a Dask scheduler that stays alive until the end. Received: {scheduler}, "
                "which was lost; the same command continues"
            ) from error


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Silence a logger that prints tracebacks for problems that are handled or reported in one line."""
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
            continue  # the worker has just been lost
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
