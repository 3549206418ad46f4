"""A trial's folder in a search's folder: the one place that knows which file of a trial lies where.

trial.json         Keras Tuner's own record: hyperparameters and status
outcome.json       what was set, how each fold ended, and why the trial failed if it did
FOLD/              an ordinary run for each fold
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from lightsernet_tf.errors import RunError, one_line
from lightsernet_tf.files import write_json
from lightsernet_tf.runs.run import Run

PREFIX = "trial_"
Status = Literal["completed", "failed", "running"]


@dataclass(frozen=True)
class FoldOutcome:
    """The chosen epoch of one fold's run, judged on its validation data.

    Parameters
    ----------
    fold
        Name of the fold, and of the run's folder.
    epoch
        The epoch that ``train.choose_by`` chose.
    utterances
        Validation utterances.
    ua, wa, macro_f1
        Shares from 0 to 1.
    ua_low, ua_high
        95 % bootstrap interval of UA over the utterances.
    """

    fold: str
    epoch: int
    utterances: int
    ua: float
    wa: float
    macro_f1: float
    ua_low: float
    ua_high: float


@dataclass(frozen=True)
class Trial:
    """One trial of a search.

    Parameters
    ----------
    name
        Its number, as Keras Tuner counts.
    status
        ``running`` includes a stopped trial, which will be resumed.
    values
        The settings that it tries, by key of the configuration; only those whose condition holds.
    epochs
        How many epochs it trains (under Hyperband fewer than ``train.epochs``).
    epochs_done
        Whole epochs, the mean over its folds.
    seconds
        Of training in whole epochs, over all folds and all attempts; includes those of the trial that it continues.
    reason
        Why it failed, in one line.
    continues
        The trial whose epochs it goes on with, under Hyperband.
    folds
        How they ended; empty until the trial is completed.
    num_folds
        How many folds it trains.
    """

    name: str
    status: Status
    values: Mapping[str, Any]
    epochs: int
    epochs_done: int = 0
    seconds: float = 0.0
    reason: str | None = None
    continues: str | None = None
    folds: tuple[FoldOutcome, ...] = ()
    num_folds: int = 1

    @property
    def objective(self) -> float | None:
        """Mean validation UA of the folds' chosen epochs, a share from 0 to 1; None until the trial is completed."""
        return sum(fold.ua for fold in self.folds) / len(self.folds) if self.folds else None

    @property
    def objective_half_width(self) -> float | None:
        """Half the 95 % interval of the objective over utterances, as if no two folds had one in common."""
        if not self.folds:
            return None
        return math.hypot(*((fold.ua_high - fold.ua_low) / 2 for fold in self.folds)) / len(self.folds)


def trial_path(search_path: Path, name: str) -> Path:
    """Return the folder of a trial."""
    return search_path / f"{PREFIX}{name}"


def write_trial(search_path: Path, trial: Trial) -> None:
    """Write ``outcome.json``."""
    write_json(trial_path(search_path, trial.name) / "outcome.json", asdict(trial))


def read_trial(search_path: Path, name: str) -> Trial | None:
    """Return a trial of a search; None if it was not begun.

    Raises
    ------
    RunError
        If its ``outcome.json`` is damaged.
    """
    path = trial_path(search_path, name) / "outcome.json"
    return _read_trial(path) if path.exists() else None


def read_trials(search_path: Path) -> list[Trial]:
    """Return the trials of a search that were begun, in the order of their numbers.

    Raises
    ------
    RunError
        If an ``outcome.json`` or a run's table of epochs is damaged.
    """
    paths = [path for path in search_path.glob(f"{PREFIX}*/outcome.json") if path.is_file()]
    trials = [_read_trial(path) for path in paths]
    return sorted(trials, key=lambda trial: (len(trial.name), trial.name))


def _read_trial(path: Path) -> Trial:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        folds = tuple(FoldOutcome(**fold) for fold in found.pop("folds"))
        trial = Trial(**found, folds=folds)
        if trial.status not in get_args(Status) or bool(folds) != (trial.status == "completed"):
            raise ValueError(f"status={trial.status!r} with {len(folds)} folds")
        if trial.name != path.parent.name.removeprefix(PREFIX) or trial.num_folds < 1 or trial.epochs < 1:
            raise ValueError(f"name={trial.name!r}, num_folds={trial.num_folds!r}, epochs={trial.epochs!r}")
        if not isinstance(trial.values, dict) or not all(math.isfinite(sum(astuple(fold)[1:])) for fold in folds):
            raise ValueError(f"values={trial.values!r}, folds={folds!r}")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{path}: expected the outcome of a trial. Received: {one_line(error)}") from error
    rows = [row for run in sorted(path.parent.glob("[!.]*/run.json")) for row in Run(run.parent).history()]
    return replace(trial, epochs_done=len(rows) // trial.num_folds, seconds=sum(row["seconds"] for row in rows))
