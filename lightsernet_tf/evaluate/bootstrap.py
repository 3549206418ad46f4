"""Percentile bootstrap intervals of the figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lightsernet_tf.evaluate.scores import FIGURES, confusion_of, figures_of


def bootstrap_intervals(
    true: ArrayLike,
    predicted: ArrayLike,
    labels: Sequence[str],
    *,
    seed: int,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Return the percentile bootstrap interval of wa, ua, macro_f1 and weighted_f1 over utterances.

    Utterances are drawn with replacement as often as there are any, and the limits are percentiles of the figures of
    these resamples (Efron and Tibshirani 1993, chapter 13). The figures depend on the confusion matrix alone, and the
    confusion matrix of a resample is multinomial, so that it is drawn directly. The interval tells of other utterances
    of the same speakers from the same trained networks, not of other speakers or seeds. A resample in which a rare
    class is missing takes UA and macro F1 over the classes it has.

    Parameters
    ----------
    true, predicted
        Index of the class, int [utterances].
    labels
        Classes in the order of the indices.
    seed
        Of the resampling.
    resamples
        How many confusion matrices to draw.
    confidence
        Share of the resamples between the limits.

    Raises
    ------
    InputError
        As `score_predictions`.
    """
    confusion = confusion_of(true, predicted, labels)
    utterances = int(confusion.sum())
    drawn = np.random.default_rng(seed).multinomial(utterances, confusion.ravel() / utterances, size=resamples)
    figures = figures_of(drawn.reshape(resamples, *confusion.shape))
    tail = 50 * (1 - confidence)  # percent
    limits = {name: np.percentile(figures[name], [tail, 100 - tail]) for name in FIGURES}
    return {name: (float(low), float(high)) for name, (low, high) in limits.items()}
