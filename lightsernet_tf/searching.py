"""A search in its folder: trying settings alone, as the chief of others, or as a worker for a chief."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import joblib

from lightsernet_tf.errors import RunError
from lightsernet_tf.search_folder import Search

if TYPE_CHECKING:
    from lightsernet_tf.chief import Address
    from lightsernet_tf.trial_training import TrialTrainer
    from lightsernet_tf.tuner import SearchTuner

_CHIEF_SECONDS = 600

_logger = logging.getLogger(__name__)


def run_search(search: Search, *, jobs: int = 1, threads: int | None = None) -> None:
    """Train trials until the oracle has no more, or as a worker until the chief has none.

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
    with _ready_trainer(search, jobs, threads) as trainer:
        search.write()
        _train_trials(search, trainer)


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
    from lightsernet_tf import chief

    search.write()
    chief.join(address, "chief")
    with _quiet_keras_tuner():
        try:
            chief.serve(_tuner(search, None).oracle, address, lost_after_seconds)
        except KeyboardInterrupt:
            _logger.warning("stopped; workers wait for the chief; go on with the same command and --resume")
            raise


def work(search: Search, address: Address, name: str, *, jobs: int = 1, threads: int | None = None) -> None:
    """Train trials for the chief at an address until it has no more; see `run_search`.

    Raises
    ------
    RunError
        If the chief is not there, or does not come back for an hour.
    """
    import grpc

    from lightsernet_tf import chief

    chief.wait_for_chief(address, _CHIEF_SECONDS)
    chief.join(address, name)
    try:
        with _ready_trainer(search, jobs, threads) as trainer:
            _train_trials(search, trainer)
    except grpc.RpcError as error:
        raise RunError(f"--worker: expected a chief that answers at {address}. Received: {error}") from error


@contextmanager
def _ready_trainer(search: Search, jobs: int, threads: int | None) -> Iterator[TrialTrainer]:
    from lightsernet_tf.trial_training import TrialTrainer

    folds = search.settings.search.folds
    processes = min(jobs, folds)
    threads = threads or max(1, joblib.cpu_count() // processes)
    trainer = TrialTrainer(search.path, search.settings.shared(), folds=folds, processes=processes, threads=threads)
    with trainer:
        if not search.has_begun():
            trainer.check_data()
        yield trainer


def _train_trials(search: Search, trainer: TrialTrainer) -> None:
    from lightsernet_tf.tuner import SearchStopped

    with _quiet_keras_tuner():
        try:
            _tuner(search, trainer).search()
        except SearchStopped as stopped:
            raise stopped.cause from None
        except KeyboardInterrupt:
            _logger.warning("stopped; go on with: python -m lightsernet_tf.tune --resume '%s'", search.path)
            raise


def _tuner(search: Search, trainer: TrialTrainer | None) -> SearchTuner:
    import keras_tuner

    from lightsernet_tf.oracles import make_oracle
    from lightsernet_tf.tuner import SearchTuner

    settings = search.settings
    hyperparameters = keras_tuner.HyperParameters()
    search.space().declare(hyperparameters, settings)
    return SearchTuner(make_oracle(settings.search, hyperparameters, settings.train.epochs), search, trainer)


@contextmanager
def _quiet_keras_tuner() -> Iterator[None]:
    """Drop what Keras Tuner prints: it means it for a notebook, and prints what it debugs."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
