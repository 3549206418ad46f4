"""Keras Tuner's oracles, which choose the values of each trial, made to survive kills and lost workers.

What Keras Tuner 1.4 lacks and is added here: files written atomically, a grid that can be resumed, no settings tried
twice, and trials of lost workers given to others.
"""

from __future__ import annotations

import functools
import json
import math
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial as TunerTrial
from keras_tuner.engine.trial import TrialStatus
from sklearn.exceptions import ConvergenceWarning
from tensorflow.errors import OpError
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it comes with scikit-learn

from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.files import write_text
from lightsernet_tf.tune.settings import SearchConfig, Strategy

OBJECTIVE = "val_ua"
_ALIVE_SECONDS = 10.0
"""A trial with so recent a heartbeat is being trained, even if a restarted chief has given it to no worker."""


class LastingOracle(keras_tuner.Oracle):
    """What all strategies share; each is combined with Keras Tuner's class of its name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            objective=keras_tuner.Objective(OBJECTIVE, "max"),
            allow_new_entries=False,
            max_consecutive_failed_trials=sys.maxsize,  # reaching it would leave the oracle locked
            **options,
        )
        self.verbose = 0
        self._max_collisions = 1000  # draws of settings already tried, before a space counts as exhausted
        self._trial_seen: dict[str, float] = {}  # time of the last heartbeat of each
        self._worker_seen: dict[str, float] = {}

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> TunerTrial:
        """Return the next trial of a worker; it is stopped only when no trial of another worker can come back."""
        began = time.monotonic()
        alive = [name for name in self._retry_queue if self._trial_seen.get(name, -math.inf) > began - _ALIVE_SECONDS]
        self._retry_queue[:] = [name for name in self._retry_queue if name not in alive]
        trial = super().create_trial(tuner_id)
        self._retry_queue += alive
        if trial.status == TrialStatus.STOPPED and (self.ongoing_trials or alive):
            trial.status = TrialStatus.IDLE
            self.tuner_ids.add(tuner_id)
        now = time.monotonic()
        for seen in (self._trial_seen, self._worker_seen):
            for name in seen:  # no heartbeat gets through while values are chosen
                seen[name] += now - began
        self._worker_seen[tuner_id] = self._trial_seen[trial.trial_id] = now
        return trial

    @keras_tuner.synchronized
    def is_done(self) -> bool:
        """Return whether the wanted number of trials is done and no worker is left to be stopped."""
        return bool(
            self.max_trials
            and len(self.end_order) >= self.max_trials
            and not (self.ongoing_trials or self._retry_queue or self.tuner_ids)
        )

    @keras_tuner.synchronized
    def end_trial(self, trial: TunerTrial) -> None:
        """Record a trial's result once: a worker considered lost may deliver what another has delivered since."""
        workers = [key for key, ongoing in self.ongoing_trials.items() if ongoing.trial_id == trial.trial_id]
        self._worker_seen |= dict.fromkeys(workers, time.monotonic())  # they will ask for another
        for tuner_id in workers:  # before saving: else the file lists the trial as running
            del self.ongoing_trials[tuner_id]
        if trial.trial_id in self.end_order:
            return
        if trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)
        super().end_trial(trial)

    def get_trial(self, trial_id: str) -> TunerTrial:
        """Return a trial; workers ask for the one they train, as a heartbeat."""
        self._trial_seen[trial_id] = time.monotonic()
        return super().get_trial(trial_id)

    @keras_tuner.synchronized
    def take_back_lost(self, after_seconds: float) -> list[tuple[str, str]]:
        """Put the trials of workers without a heartbeat for ``after_seconds`` back into the queue.

        Returns
        -------
        list
            Worker and trial of each.
        """
        silent_since = time.monotonic() - after_seconds
        lost = []
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if self._trial_seen.setdefault(trial.trial_id, time.monotonic()) < silent_since:
                del self.ongoing_trials[tuner_id]
                self.tuner_ids.discard(tuner_id)
                trial.status = TrialStatus.INVALID  # a running trial without a worker confuses the Bayesian oracle
                self._retry_queue.append(trial.trial_id)
                lost.append((tuner_id, trial.trial_id))
        for tuner_id in set(self.tuner_ids) - set(self.ongoing_trials):
            if self._worker_seen.setdefault(tuner_id, time.monotonic()) < silent_since:
                self.tuner_ids.discard(tuner_id)
        if lost:
            self.save()
        return lost

    def save(self) -> None:
        """Write ``oracle.json`` atomically."""
        write_text(Path(self._get_oracle_fname()), json.dumps(self.get_state()))

    def _save_trial(self, trial: TunerTrial) -> None:
        write_text(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", json.dumps(trial.get_state()))

    def reload(self) -> None:
        """Restore the state from the files; trials that were running are resumed from their last epoch, by any worker.

        Raises
        ------
        RunError
            If they are damaged.
        """
        try:
            super().reload()
            # A kill between a trial's file and the oracle's leaves a trial that no worker was given.
            self.trials: dict[str, TunerTrial] = {trial_id: self.trials[trial_id] for trial_id in self.start_order}
            self._retry_queue[:] = [trial_id for trial_id in self.start_order if trial_id not in self.end_order]
            for trial_id in self._retry_queue:
                self.trials[trial_id].status = TrialStatus.INVALID
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, OpError) as error:
            cause = error.__cause__ or error
            raise RunError(
                f"{Path(self._get_oracle_fname()).parent}: expected the state of a search in its JSON files. "
                f"Received: {type(cause).__name__}: {cause}"
            ) from error


class RandomOracle(LastingOracle, keras_tuner.oracles.RandomSearchOracle):
    """Values drawn at random."""


class BayesianOracle(LastingOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Values where a Gaussian process over the results expects the best objective, or is least certain."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Choose values; at random if the Gaussian process would repeat some."""
        with warnings.catch_warnings(), threadpool_limits(1):  # threads for matrices this small wait for each other
            warnings.simplefilter("ignore", ConvergenceWarning)  # of the kernel's length, with a handful of results
            chosen = super().populate_space(trial_id)
        if chosen["status"] == TrialStatus.RUNNING and self._duplicate(chosen["values"]):
            return self._random_populate_space()
        return chosen

    def _vector_to_values(self, vector: Any) -> dict[str, Any]:
        values = super()._vector_to_values(vector)
        for one in self.hyperparameters.space:  # the end of a logarithmic range of whole numbers gives one too many
            if one.name in values and hasattr(one, "max_value"):
                values[one.name] = min(values[one.name], one.max_value)
        return values


class HyperbandOracle(LastingOracle, keras_tuner.oracles.HyperbandOracle):
    """Many values for a few epochs, and the best of them for more (Li et al., JMLR 2018)."""

    def num_values(self) -> int:
        """Return how many different settings the whole search draws."""
        brackets = range(self._get_num_brackets())
        return self.hyperband_iterations * sum(self._get_size(bracket, round_num=0) for bracket in brackets)


class GridOracle(LastingOracle, keras_tuner.oracles.GridSearchOracle):
    """All values of the space, in order."""

    def reload(self) -> None:
        """Restore the state from the files; Keras Tuner keeps the order of the grid in memory only."""
        super().reload()
        by_values = functools.cmp_to_key(self._compare)
        for trial_id in sorted(self.trials, key=lambda name: by_values(self.trials[name].hyperparameters.values)):
            self._ordered_ids.insert(trial_id)
        self._populate_next = list(self.start_order)


def make_oracle(
    search: SearchConfig,
    hyperparameters: keras_tuner.HyperParameters,
    epochs: int,
    settings_there_are: float = math.inf,
) -> LastingOracle:
    """Return the oracle of a search.

    Parameters
    ----------
    search
        Its settings.
    hyperparameters
        Its space.
    epochs
        Of a whole training.
    settings_there_are
        How many different ones the space holds.

    Raises
    ------
    ConfigError
        If Hyperband would run out of settings, which ends it before any trial has all epochs.
    """
    trials = {"max_trials": search.trials or 20}
    rounds = {"factor": search.hyperband_factor, "hyperband_iterations": search.hyperband_rounds}
    makers: dict[Strategy, tuple[type[LastingOracle], dict[str, Any]]] = {
        "random": (RandomOracle, trials),
        "bayesian": (BayesianOracle, {"num_initial_points": search.initial_trials, **trials}),
        "hyperband": (HyperbandOracle, {"max_epochs": epochs, **rounds}),
        "grid": (GridOracle, {"max_trials": search.trials}),
    }
    make, options = makers[search.strategy]
    oracle = make(hyperparameters=hyperparameters, seed=search.seed, **options)
    if isinstance(oracle, HyperbandOracle) and oracle.num_values() > settings_there_are:
        raise ConfigError(
            f"search.strategy: expected a space of at least the {oracle.num_values()} settings that hyperband draws "
            f"for {epochs} epochs. Received: one of {settings_there_are:g}; grid tries them all"
        )
    return oracle
