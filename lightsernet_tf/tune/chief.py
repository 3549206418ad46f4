"""Keras Tuner's chief, which gives trials to workers on this machine or others, and what a worker needs to reach it.

Its port trusts whoever reaches it: it has no password and no encryption.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer, exit_chief
from keras_tuner.src.engine.oracle import LOCKS, THREADS

from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.reporting.markdown import percent
from lightsernet_tf.tune.oracles import LastingOracle

_CHIEF = "chief"  # Keras Tuner knows its chief by this word in its name
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where a chief listens.

    Parameters
    ----------
    host
        Name or IP address.
    port
        Number of the port.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, option: str) -> Address:
        """Read ``host:port`` or ``[IPv6]:port``.

        Raises
        ------
        ConfigError
            If it is none.
        """
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:\[\]/]+):(\d{1,5})", text)
        if found is None or not 1 <= int(found[2]) <= 65535:
            raise ConfigError(f"{option}: expected HOST:PORT, such as 127.0.0.1:8765. Received: {text}")
        return cls(found[1], int(found[2]))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def is_loopback(self) -> bool:
        """Return whether only this machine can reach it."""
        try:
            found = socket.getaddrinfo(self.host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(f"{self}: expected a host that can be found. Received: {error.strerror}") from error
        return all(ipaddress.ip_address(str(entry[4][0]).split("%")[0]).is_loopback for entry in found)

    def is_open(self) -> bool:
        """Return whether something listens there."""
        try:
            with socket.create_connection((self.host.strip("[]"), self.port), timeout=2):
                return True
        except OSError:
            return False


def check_address(address: Address, *, beyond_loopback: bool) -> None:
    """Refuse an address that other machines reach, unless it is wanted.

    Raises
    ------
    ConfigError
        If it is one, or cannot be found.
    """
    if not beyond_loopback and not address.is_loopback():
        raise ConfigError(
            f"--chief: expected an address that only this machine reaches, such as 127.0.0.1:{address.port}. Received: "
            f"{address}; whoever reaches it can give trials and take them, so where only trusted machines do, add "
            "--beyond-loopback"
        )


@contextmanager
def joined(address: Address | None, name: str = "") -> Iterator[None]:
    """Let Keras Tuner be, for a while, the chief (of that name) at an address, a worker for it, or (none) neither."""
    wanted = {"TUNER_ID": name, "ORACLE_IP": address.host, "ORACLE_PORT": str(address.port)} if address else {}
    names = [f"KERASTUNER_{name}" for name in ("TUNER_ID", "ORACLE_IP", "ORACLE_PORT")]
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    os.environ |= {f"KERASTUNER_{name}": value for name, value in wanted.items()}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ |= before


def check_name(name: str) -> None:
    """Refuse a worker's name that Keras Tuner would take for the chief's.

    Raises
    ------
    ConfigError
        If it is one, or empty.
    """
    if not name.strip() or _CHIEF in name:
        raise ConfigError(f"--name: expected a worker's name without the word {_CHIEF} in it. Received: {name!r}")


def wait_for_chief(address: Address, seconds: float) -> None:
    """Wait until a chief listens.

    Raises
    ------
    RunError
        If none does after some time.
    """
    until, told = time.monotonic() + seconds, False
    while not address.is_open():
        if time.monotonic() > until:
            raise RunError(f"--worker: expected a chief that listens at {address}. Received: nothing in {seconds:g} s")
        if not told:
            _logger.info("waiting for the chief at %s", address)
            told = True
        time.sleep(1)


def serve(oracle: LastingOracle, address: Address, lost_after_seconds: float) -> None:
    """Give out trials until all are done and every worker was told so.

    Parameters
    ----------
    oracle
        Chooses the trials.
    address
        Where to listen.
    lost_after_seconds
        A worker that was not heard of for so long has lost its trial, which the next that asks gets.

    Raises
    ------
    ConfigError
        If the address cannot be listened at.
    """
    problems = _Problems(oracle)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=1), interceptors=[problems], options=[("grpc.so_reuseport", 0)]
    )
    servicer = OracleServicer(oracle)
    protos.get_service_grpc().add_OracleServicer_to_server(servicer, server)
    try:
        server.add_insecure_port(str(address))
    except RuntimeError as error:
        raise ConfigError(
            f"--chief: expected an address to listen at. Received: {address}, which is taken or not this machine's"
        ) from error
    server.start()
    _logger.info("chief: listening at %s; a worker: python -m lightsernet_tf.tune --worker %s ...", address, address)
    try:
        _watch(oracle, servicer, lost_after_seconds, problems)
    finally:
        server.stop(grace=2).wait()


class _Problems(grpc.ServerInterceptor):
    """Keeps what went wrong with a worker's request, such as a full disk, for the chief to end with.

    Keras Tuner would leave the oracle locked after an exception, and the chief waiting for that lock for ever.
    """

    def __init__(self, oracle: LastingOracle) -> None:
        self._oracle, self._found = oracle, list[Exception]()

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return the handler of a request, watched."""
        handler = continuation(handler_call_details)

        def watched(request: Any, context: Any) -> Any:
            try:
                return handler.unary_unary(request, context)
            except Exception as error:  # whatever it is, the oracle is locked and the chief has to end with it
                self._found.append(error)
                THREADS[self._oracle] = None
                if LOCKS[self._oracle].locked():
                    LOCKS[self._oracle].release()
                raise

        return grpc.unary_unary_rpc_method_handler(watched, handler.request_deserializer, handler.response_serializer)

    def raise_first(self) -> None:
        """Raise the first of them, if there is one."""
        if self._found:
            raise self._found[0]


def _watch(oracle: LastingOracle, servicer: OracleServicer, lost_after_seconds: float, problems: _Problems) -> None:
    trained_by: dict[str, str] = {}  # by trial, as far as it was told
    while not (oracle.is_done() or (servicer.stop_triggered and exit_chief(oracle))):
        time.sleep(0.5)
        problems.raise_first()
        for worker, trial in oracle.take_back_lost(lost_after_seconds):
            _logger.warning(
                "chief: worker %s was not heard of for %g s: trial %s goes to the next that asks",
                worker,
                lost_after_seconds,
                trial,
            )
        _tell_changes(oracle, trained_by)


def _tell_changes(oracle: LastingOracle, trained_by: dict[str, str]) -> None:
    for worker, ongoing in oracle.ongoing_trials.copy().items():
        if trained_by.get(ongoing.trial_id) != worker:
            trained_by[ongoing.trial_id] = worker
            _logger.info("chief: worker %s trains trial %s", worker, ongoing.trial_id)
    for name in set(trained_by) & set(oracle.end_order):
        trial, worker = oracle.trials[name], trained_by.pop(name)
        figure = "" if trial.score is None else f", validation UA {percent(trial.score)}"
        _logger.info("chief: trial %s of worker %s is %s%s", name, worker, trial.status.lower(), figure)
