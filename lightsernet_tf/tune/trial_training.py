"""Training one trial of a search: its folds, each an ordinary run in a process of its own.

The search survives the death of such a process, for example when the machine runs out of memory.
"""

from __future__ import annotations

import functools
import json
import math
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lightsernet_tf.config import Config
from lightsernet_tf.config_identity import without_keys
from lightsernet_tf.config_parser import config_from, with_values
from lightsernet_tf.errors import ConfigError, InputError, RunError, WriteError, one_line
from lightsernet_tf.files import PARTIAL_PREFIX
from lightsernet_tf.parallel.processes import name_lines, set_up_process
from lightsernet_tf.runs.folders import LOCK
from lightsernet_tf.tune.trial import FoldOutcome, Trial, read_trial, trial_path, write_trial

if TYPE_CHECKING:
    from lightsernet_tf.data.experiment import Experiment


class TrialTrainer(AbstractContextManager["TrialTrainer"]):
    """Trains trials one after the other, as many of their folds at once as it has processes.

    Parameters
    ----------
    search_path
        The search's folder.
    config
        What all trials share.
    folds
        How many folds a trial trains.
    processes, threads
        Processes at once, and threads of each.
    """

    def __init__(self, search_path: Path, config: Config, *, folds: int, processes: int, threads: int) -> None:
        self._search_path, self._config, self._folds = search_path, config, folds
        self._processes, self._threads = processes, threads
        self._pool: ProcessPoolExecutor | None = None
        self._checked = False

    def __exit__(self, *error: object) -> None:
        self._end_pool()

    def train(self, trial: Trial) -> Trial:
        """Train or resume a trial and return it completed or failed; one that has ended is returned as it is.

        Raises
        ------
        WriteError
            If a file cannot be written, which is not the trial's fault.
        InputError
            If it is the first one here and its corpus cannot be used; see `check_data`.
        """
        found = read_trial(self._search_path, trial.name)
        if found is not None and dict(found.values) != dict(trial.values):
            raise RunError(
                f"{trial_path(self._search_path, trial.name)}: expected a trial of {dict(trial.values)}. "
                f"Received: one of {dict(found.values)}"
            )
        if found is not None and found.status != "running":
            return found
        self.check_data()  # a fault of this machine's corpus is not the trial's
        write_trial(self._search_path, trial)
        try:
            config = with_values(self._config, trial.values)
            folds = self._train_folds(config, trial)
        except WriteError:
            raise
        except BrokenProcessPool:
            self._end_pool()
            ended = replace(trial, status="failed", reason="its process was killed, perhaps for want of memory")
        except InputError as error:
            ended = replace(trial, status="failed", reason=str(error))
        else:
            ended = replace(trial, status="completed", folds=folds)
        write_trial(self._search_path, ended)
        return ended

    def check_data(self) -> None:
        """Read the corpus, and compute the features that the trials share, before the first of them; once.

        Raises
        ------
        InputError
            If that fails, or there are fewer folds than asked for.
        """
        if self._checked:
            return
        try:
            self._running_pool().submit(_check_folds, self._config, self._folds).result()
        except BrokenProcessPool as error:
            raise RunError(
                f"{self._search_path}: expected a process that lives to compute the features. Received: one that was "
                "killed, perhaps for want of memory"
            ) from error
        self._checked = True

    def _train_folds(self, config: Config, trial: Trial) -> tuple[FoldOutcome, ...]:
        configs = [replace(config, split=replace(config.split, fold=fold)) for fold in range(self._folds)]
        pool = self._running_pool()
        futures = [pool.submit(train_fold, self._search_path, trial, one) for one in configs]
        try:
            return tuple(future.result() for future in futures)
        except KeyboardInterrupt:  # a terminal interrupts all processes, others this one alone
            for process in multiprocessing.active_children():
                process.terminate()
            raise
        finally:  # if one fold fails, the others have to end before the next trial begins
            wait([future for future in futures if not future.cancel()])

    def _running_pool(self) -> ProcessPoolExecutor:
        # The process that searches never starts TensorFlow's devices: it would keep a GPU's memory from those that do.
        if self._pool is not None:
            try:
                self._pool.submit(os.getpid).result()
            except BrokenProcessPool:  # a process that was killed between two trials is no trial's fault
                self._end_pool()
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes,
                multiprocessing.get_context("spawn"),  # TensorFlow does not survive a fork
                set_up_process,
                (self._threads,),
            )
        return self._pool

    def _end_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


def _check_folds(config: Config, folds: int) -> None:
    experiment = _prepared(config)
    if len(experiment.folds) < folds:
        raise ConfigError(
            f"search.folds: expected at most the {len(experiment.folds)} of {config.split.protocol}. Received: {folds}"
        )


def train_fold(search_path: Path, trial: Trial, config: Config) -> FoldOutcome:
    """Train one fold of a trial as ``train`` does, and judge its chosen epoch on the validation data alone.

    Raises
    ------
    InputError
        If it cannot be trained, also for want of memory.
    """
    import keras
    import tensorflow as tf

    from lightsernet_tf.data.splits import choose_fold
    from lightsernet_tf.evaluate.run import judge_validation
    from lightsernet_tf.train.fold import train_or_resume

    keras.utils.clear_session()  # else a process that trains many networks keeps them all
    try:
        experiment = _prepared(config)
        fold = choose_fold(experiment.folds, config.split)
        name_lines(f"trial {trial.name}, {fold.name}")
        path = trial_path(search_path, trial.name) / fold.name
        if trial.continues is not None and not path.exists():
            _copy_run(trial_path(search_path, trial.continues) / fold.name, path)
        # If another process trains here, perhaps for a worker considered lost, this waits for it to finish.
        run = train_or_resume(config, experiment, path, until_epoch=trial.epochs, wait_seconds=math.inf)
        epoch, judged = judge_validation(run, experiment)
    except (MemoryError, tf.errors.OpError) as error:  # outside of an epoch; what TensorFlow raises cannot be pickled
        reason = f"{type(error).__name__}: {one_line(error, 200) if str(error) else 'no memory left'}"
        raise RunError(f"trial {trial.name}: expected to train. Received: {reason}") from None
    scores, (low, high) = judged.scores, judged.intervals["ua"]
    return FoldOutcome(fold.name, epoch, scores.utterances, scores.ua, scores.wa, scores.macro_f1, low, high)


def _copy_run(source: Path, path: Path) -> None:
    beside = path.with_name(f"{PARTIAL_PREFIX}{path.name}")
    shutil.rmtree(beside, ignore_errors=True)  # what a kill left
    shutil.copytree(source, beside, ignore=shutil.ignore_patterns(LOCK, "reports"))
    beside.rename(path)


def _prepared(config: Config) -> Experiment:
    data = without_keys(config, ("model", "train", "split.fold", "run_name"))
    return _prepared_data(json.dumps(data)).under(config)


@functools.lru_cache(maxsize=4)
def _prepared_data(settings: str) -> Experiment:
    """Return what trials on the same data share; a process trains many."""
    from lightsernet_tf.data.experiment import prepare

    return prepare(config_from(json.loads(settings)))
