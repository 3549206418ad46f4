"""Keras Tuner's chief, which gives trials to workers on this machine or others.

It has neither password nor encryption: every machine that can reach its port is trusted.
"""

from __future__ import annotations

import logging
import time
from concurrent import futures
from typing import Any

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute.oracle_chief import OracleServicer, exit_chief
from keras_tuner.src.engine.oracle import LOCKS, THREADS

from lightsernet_tf.errors import ConfigError
from lightsernet_tf.reporting.markdown import percent
from lightsernet_tf.tune.address import Address
from lightsernet_tf.tune.oracles import LastingOracle

_logger = logging.getLogger(__name__)


def serve(oracle: LastingOracle, address: Address, lost_after_seconds: float) -> None:
    """Give trials to workers until all are done and every worker has been stopped.

    Parameters
    ----------
    oracle
        Chooses the trials.
    address
        Where to listen.
    lost_after_seconds
        After so long without a heartbeat, a worker's trial is given to the next worker that asks.

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
    workers: dict[str, str] = {}  # by trial
    try:
        while not (oracle.is_done() or (servicer.stop_triggered and exit_chief(oracle))):
            time.sleep(0.5)
            problems.raise_first()
            for worker, trial in oracle.take_back_lost(lost_after_seconds):
                _logger.warning(
                    "chief: worker %s was silent for %g s: trial %s goes to the next that asks",
                    worker,
                    lost_after_seconds,
                    trial,
                )
            _log_changes(oracle, workers)
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


def _log_changes(oracle: LastingOracle, workers: dict[str, str]) -> None:
    for worker, ongoing in oracle.ongoing_trials.copy().items():
        if workers.get(ongoing.trial_id) != worker:
            workers[ongoing.trial_id] = worker
            _logger.info("chief: worker %s trains trial %s", worker, ongoing.trial_id)
    for name in set(workers) & set(oracle.end_order):
        trial, worker = oracle.trials[name], workers.pop(name)
        figure = "" if trial.score is None else f", validation UA {percent(trial.score)}"
        _logger.info("chief: trial %s of worker %s is %s%s", name, worker, trial.status.lower(), figure)
