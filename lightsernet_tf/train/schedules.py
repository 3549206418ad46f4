"""The learning rate of every epoch, a function of the settings and of the figures until then.

It holds no state, so that a resumed training sees what one that never stopped sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from lightsernet_tf.config import Schedule, TrainConfig
from lightsernet_tf.runs.run import HistoryRow

PLATEAU_EPOCHS = 10
PLATEAU_FACTOR = 0.5


def learning_rate_at(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    """Return the learning rate of an epoch, counted from 0, given the figures of those before it."""
    return config.learning_rate * _SCHEDULES[config.schedule](epoch, history, config)


def _published(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    return math.exp(-0.15 * ((epoch - 50) // 20 + 1)) if epoch >= 50 else 1.0


def _plateau(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    factor, best, waited = 1.0, math.inf, 0
    for row in history[:epoch]:
        if row["val_loss"] < best:
            best, waited = row["val_loss"], 0
        else:
            waited += 1
        if waited == PLATEAU_EPOCHS:
            factor, waited = factor * PLATEAU_FACTOR, 0
    return factor


def _constant(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    return 1.0


def _cosine(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    return (1 + math.cos(math.pi * epoch / config.epochs)) / 2


_SCHEDULES: dict[Schedule, Callable[[int, Sequence[HistoryRow], TrainConfig], float]] = {
    "published": _published,
    "plateau": _plateau,
    "constant": _constant,
    "cosine": _cosine,
}
