"""Which trial of a search is the best, which ones it can be compared with, and which it cannot be told apart from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from lightsernet_tf.tune.trial import Trial

_EPOCHS = "train.epochs"
_FEWEST_FOR_A_CORRELATION = 3  # two points always lie on a line


def ua_of(trial: Trial) -> float:
    """Return the objective of a completed trial, a share from 0 to 1."""
    assert trial.objective is not None
    return trial.objective


def with_status(trials: Iterable[Trial], status: str) -> list[Trial]:
    """Return the trials that are ``completed``, ``running`` or ``failed``."""
    return [trial for trial in trials if trial.status == status]


def by_epochs(trials: Sequence[Trial]) -> dict[int, list[Trial]]:
    """Return the completed trials by the epochs they trained, the fewest first, each group in the given order.

    Those of one group are comparable. Where the number of epochs is itself searched it is a setting like any other, and
    all are of one group.
    """
    completed = with_status(trials, "completed")
    searched = any(_EPOCHS in trial.values for trial in completed)
    most = max((trial.epochs for trial in completed), default=0)
    groups: dict[int, list[Trial]] = {}
    for trial in completed:
        groups.setdefault(most if searched else trial.epochs, []).append(trial)
    return dict(sorted(groups.items()))


def comparable(trials: Sequence[Trial]) -> list[Trial]:
    """Return the completed trials that trained the most epochs, in the given order."""
    return next(reversed(by_epochs(trials).values()), [])


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return completed trials from the best down, then running, then failed ones in the given order.

    Under Hyperband trials train for different numbers of epochs, and the UA of a short one does not say what it would
    have been after more. Hence more epochs rank first, and the objective decides among trials of as many. Of equal
    ones the first given comes first, which in the order of `read_trials` is the one with the lower number.
    """
    groups = reversed(by_epochs(trials).values())
    completed = [trial for group in groups for trial in sorted(group, key=ua_of, reverse=True)]
    return completed + with_status(trials, "running") + with_status(trials, "failed")


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the best of the completed trials that trained the most epochs; none where none is completed."""
    return max(comparable(trials), key=ua_of, default=None)


def not_told_apart(trials: Sequence[Trial]) -> list[Trial]:
    """Return the comparable trials whose objective differs from the best's by no more than chance may explain.

    The 95 % interval of a difference of two independent figures has the root of the sum of their squared half widths
    as its half width. These are measured on the same utterances, and as what is hard for one is mostly hard for the
    other, their difference varies less than that: the yardstick is cautious.
    """
    best = best_trial(trials)
    if best is None:
        return []
    return [
        trial
        for trial in comparable(trials)
        if trial is not best and ua_of(best) - ua_of(trial) <= math.hypot(_half_width(best), _half_width(trial))
    ]


def searched_keys(trials: Sequence[Trial]) -> list[str]:
    """Return the keys that any trial sets, a conditional one behind the one that it follows in its trial."""
    keys: list[str] = []
    for trial in trials:
        place = 0
        for key in trial.values:
            if key not in keys:
                keys.insert(place, key)
            place = keys.index(key) + 1
    return keys


def are_numbers(values: Iterable[Any]) -> bool:
    """Return whether the values are numbers, as far as they are not none."""
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in there)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation; none for fewer than three pairs, or where either is constant."""
    if len(first) < _FEWEST_FOR_A_CORRELATION or min(len(set(first)), len(set(second))) == 1:
        return None
    from scipy.stats import spearmanr  # it takes a second to import

    return float(spearmanr(first, second).statistic)


def _half_width(trial: Trial) -> float:
    return trial.objective_half_width or 0.0
