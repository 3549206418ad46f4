"""A search in its folder: trying settings alone, as the chief of others, or as a worker for a chief."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import keras_tuner

from lightsernet_tf.errors import RunError
from lightsernet_tf.parallel.processes import share_of_cores
from lightsernet_tf.tune.address import Address, joined
from lightsernet_tf.tune.chief import serve
from lightsernet_tf.tune.folder import Search
from lightsernet_tf.tune.oracles import LastingOracle, make_oracle
from lightsernet_tf.tune.trial_training import TrialTrainer
from lightsernet_tf.tune.tuner import SearchStopped, SearchTuner

_logger = logging.getLogger(__name__)


def run_search(search: Search, *, jobs: int = 1, threads: int | None = None) -> None:
    """Train trials until the oracle has no more.

    A failed trial (NaN loss, out of memory) is recorded with the reason, and the next one trained.

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
    with joined(None), _trainer(search, jobs, threads) as trainer:
        oracle = _oracle(search)
        if not search.has_begun():  # while its name is free: afterwards each process does before its first trial
            trainer.check_data()
        search.write()
        with _stoppable(f"--resume '{search.path}'"):
            SearchTuner(oracle, search, trainer).search()


def lead_search(search: Search, address: Address, *, lost_after_seconds: float = 60.0) -> None:
    """Give trials to workers until all are done; train none.

    Parameters
    ----------
    search
        New or stopped.
    address
        Where to listen, see `address.check_address`.
    lost_after_seconds
        The trial of a worker that is silent for so long goes to another.
    """
    oracle = _oracle(search)
    with joined(address), _stoppable(f"--resume '{search.path}' --chief {address}"):
        search.write()
        serve(SearchTuner(oracle, search, None).oracle, address, lost_after_seconds)


def work(search: Search, address: Address, name: str, *, jobs: int = 1, threads: int | None = None) -> None:
    """Train trials for the chief at an address until it has no more; see `run_search`.

    Raises
    ------
    RunError
        If the chief is not there, or does not come back for an hour.
    """
    try:
        with (
            joined(address, name),
            _trainer(search, jobs, threads) as trainer,
            _stoppable(f"--resume '{search.path}' --worker {address}"),
        ):
            SearchTuner(_oracle(search), search, trainer).search()
    except grpc.RpcError as error:
        raise RunError(f"--worker: expected a chief that answers at {address}. Received: {error}") from error


def _trainer(search: Search, jobs: int, threads: int | None) -> TrialTrainer:
    folds = search.settings.search.folds
    processes = min(jobs, folds)
    threads = threads or share_of_cores(processes)
    return TrialTrainer(search.path, search.settings.shared(), folds=folds, processes=processes, threads=threads)


def _oracle(search: Search) -> LastingOracle:
    settings, space = search.settings, search.space
    hyperparameters = keras_tuner.HyperParameters()
    space.declare(hyperparameters, settings)
    return make_oracle(settings.search, hyperparameters, settings.train.epochs, space.num_settings())


@contextmanager
def _stoppable(options: str) -> Iterator[None]:
    """Raise what stopped a search, after Ctrl-C with the options that go on with it.

    Meanwhile what Keras Tuner prints goes nowhere: words for a notebook, what it debugs, and a traceback for each
    trial that failed. Logging keeps the stream that it has.
    """
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        try:
            yield
        except SearchStopped as stopped:
            raise stopped.cause from None
        except KeyboardInterrupt:
            _logger.warning("stopped; go on with: python -m lightsernet_tf.tune %s", options)
            raise
