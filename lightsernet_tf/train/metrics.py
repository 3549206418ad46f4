"""The figures of training that Keras itself has no metric for."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


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
