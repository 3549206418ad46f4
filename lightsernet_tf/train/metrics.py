"""How good a network is: its scores, how far chance could have moved them, and UA while it trains.

What only counts and divides is in `scores`; this module adds what draws at random (NumPy) and what runs inside
``Model.fit`` (Keras).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
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


@keras.saving.register_keras_serializable(package="lightsernet_tf")
class UnweightedAccuracy(keras.metrics.Metric):
    """Streaming UA: the mean recall over the classes seen so far, from labels and probabilities.

    Made of Keras operations only, so that it works in ``Model.fit`` under every backend.

    Parameters
    ----------
    num_classes
        Number of the network's outputs.
    name, dtype
        As of every Keras metric.

    Examples
    --------
    >>> metric = UnweightedAccuracy(2)
    >>> metric.update_state([0, 0, 0, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> round(float(metric.result()), 3)  # recalls of 2/3 and 1
    0.833
    """

    def __init__(self, num_classes: int, name: str = "ua", dtype: str | None = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.num_classes = num_classes
        self.hits = self.add_weight(shape=(num_classes,), initializer="zeros", name="hits")
        self.support = self.add_weight(shape=(num_classes,), initializer="zeros", name="support")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch.

        Parameters
        ----------
        y_true
            Index of the true class, [batch] or [batch, 1].
        y_pred
            Probabilities, [batch, classes].
        sample_weight
            Weight of each utterance, [batch]; none: each counts once.
        """
        true = ops.cast(ops.reshape(y_true, (-1,)), "int32")  # [batch]
        right = ops.cast(ops.equal(true, ops.cast(ops.argmax(y_pred, axis=-1), "int32")), self.dtype)  # [batch]
        of_class = ops.one_hot(true, self.num_classes, dtype=self.dtype)  # [batch, classes]
        if sample_weight is not None:
            of_class *= ops.cast(ops.reshape(sample_weight, (-1, 1)), self.dtype)
        self.hits.assign_add(ops.sum(of_class * right[:, None], axis=0))
        self.support.assign_add(ops.sum(of_class, axis=0))

    def result(self) -> Any:
        """Return UA over the classes seen, a scalar from 0 to 1; 0 before the first utterance."""
        recall = ops.divide_no_nan(self.hits, self.support)  # [classes]
        seen = ops.cast(self.support > 0, self.dtype)
        return ops.divide_no_nan(ops.sum(recall), ops.sum(seen))

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the metric."""
        return {"num_classes": self.num_classes, "name": self.name, "dtype": self.dtype}
