"""Percentile bootstrap intervals of the figures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.evaluate.scores import figures_of

Intervals = Mapping[str, tuple[float, float]]  # lower and upper limit of each figure, from 0 to 1


def bootstrap_intervals(
    confusion: NDArray[np.int64], *, seed: int, resamples: int = 2000, confidence: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Return the percentile bootstrap interval of wa, ua, macro_f1 and weighted_f1 over utterances.

    Utterances are drawn with replacement as often as there are any, and the limits are percentiles of the figures of
    these resamples (Efron and Tibshirani 1993, chapter 13). The figures depend on the confusion matrix alone, and the
    confusion matrix of a resample is multinomial, so that it is drawn directly. The interval covers other utterances of
    the same speakers judged by the same trained networks, not other speakers or seeds. A resample in which a rare class
    is missing takes UA and macro F1 over the classes it has.

    Parameters
    ----------
    confusion
        Utterances by true (rows) and predicted class, int [classes, classes].
    seed
        Of the resampling.
    resamples
        How many confusion matrices to draw.
    confidence
        Share of the resamples between the limits.
    """
    utterances = confusion.sum()
    drawn = np.random.default_rng(seed).multinomial(utterances, confusion.ravel() / utterances, size=resamples)
    figures = figures_of(drawn.reshape(resamples, *confusion.shape))  # of each, [resamples]
    tail = 50 * (1 - confidence)  # percent
    limits = {name: np.percentile(values, [tail, 100 - tail]) for name, values in figures.items()}
    return {name: (float(low), float(high)) for name, (low, high) in limits.items()}
