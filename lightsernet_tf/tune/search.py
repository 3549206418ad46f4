"""A search in its folder: trying settings alone, as the chief of others, or as a worker for a chief."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from lightsernet_tf.errors import RunError
from lightsernet_tf.parallel.processes import share_of_cores
from lightsernet_tf.tune.folder import Search

if TYPE_CHECKING:
    from lightsernet_tf.tune.chief import Address
    from lightsernet_tf.tune.oracles import LastingOracle
    from lightsernet_tf.tune.trial_training import TrialTrainer

_logger = logging.getLogger(__name__)


def run_search(search: Search, *, jobs: int = 1, threads: int | None = None) -> None:
    """Train trials until the oracle has no more.

    A trial that fails is recorded, with its reason, and the next one trained.

    Parameters
    ----------
    search
        New or stopped; what is finished is not trained again, and what was stopped goes on after its last epoch.
    jobs
        How many folds of a trial are trained at once.
    threads
        TensorFlow's for each; none: this machine's cores shared among them.

    Raises
    ------
    InputError
        If the corpus cannot be used, or a file cannot be written.
    KeyboardInterrupt
        On Ctrl-C.
    """
    from lightsernet_tf.tune import chief

    with chief.joined(None), _trainer(search, jobs, threads) as trainer:
        oracle = _oracle(search)
        if not search.has_begun():  # while its name is free: afterwards each process does before its first trial
            trainer.check_data()
        search.write()
        _train_trials(search, oracle, trainer, f"--resume '{search.path}'")


def lead_search(search: Search, address: Address, *, lost_after_seconds: float = 60.0) -> None:
    """Give trials to workers until all are done; train none.

    Parameters
    ----------
    search
        New or stopped.
    address
        Where to listen, see `chief.check_address`.
    lost_after_seconds
        The trial of a worker that was not heard of for so long goes to another.
    """
    from lightsernet_tf.tune import chief
    from lightsernet_tf.tune.tuner import SearchTuner

    oracle = _oracle(search)
    with chief.joined(address, "chief"), _quiet_keras_tuner():
        search.write()
        try:
            chief.serve(SearchTuner(oracle, search, None).oracle, address, lost_after_seconds)
        except KeyboardInterrupt:
            _logger.warning(
                "stopped; workers wait; go on with: python -m lightsernet_tf.tune --resume '%s' --chief %s",
                search.path,
                address,
            )
            raise


def work(search: Search, address: Address, name: str, *, jobs: int = 1, threads: int | None = None) -> None:
    """Train trials for the chief at an address until it has no more; see `run_search`.

    Raises
    ------
    RunError
        If the chief is not there, or does not come back for an hour.
    """
    import grpc

    from lightsernet_tf.tune import chief

    try:
        with chief.joined(address, name), _trainer(search, jobs, threads) as trainer:
            _train_trials(search, _oracle(search), trainer, f"--resume '{search.path}' --worker {address}")
    except grpc.RpcError as error:
        raise RunError(f"--worker: expected a chief that answers at {address}. Received: {error}") from error


@contextmanager
def _trainer(search: Search, jobs: int, threads: int | None) -> Iterator[TrialTrainer]:
    from lightsernet_tf.tune.trial_training import TrialTrainer

    folds = search.settings.search.folds
    processes = min(jobs, folds)
    threads = threads or share_of_cores(processes)
    shared = search.settings.shared()
    with TrialTrainer(search.path, shared, folds=folds, processes=processes, threads=threads) as trainer:
        yield trainer


def _train_trials(search: Search, oracle: LastingOracle, trainer: TrialTrainer, how_to_go_on: str) -> None:
    from lightsernet_tf.tune.tuner import SearchStopped, SearchTuner

    with _quiet_keras_tuner():
        try:
            SearchTuner(oracle, search, trainer).search()
        except SearchStopped as stopped:
            raise stopped.cause from None
        except KeyboardInterrupt:
            _logger.warning("stopped; go on with: python -m lightsernet_tf.tune %s", how_to_go_on)
            raise


def _oracle(search: Search) -> LastingOracle:
    import keras_tuner

    from lightsernet_tf.tune.oracles import make_oracle

    settings, space = search.settings, search.space
    hyperparameters = keras_tuner.HyperParameters()
    space.declare(hyperparameters, settings)
    return make_oracle(settings.search, hyperparameters, settings.train.epochs, space.num_settings())


@contextmanager
def _quiet_keras_tuner() -> Iterator[None]:
    """Drop what Keras Tuner prints: words for a notebook, what it debugs, and a traceback for each trial that failed.

    Logging keeps the stream that it has.
    """
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
