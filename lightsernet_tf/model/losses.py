"""The training losses, which run on any Keras backend, and the weights that balance classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from lightsernet_tf.config import LossName, TrainConfig
from lightsernet_tf.errors import ConfigError


@keras.saving.register_keras_serializable(package="lightsernet_tf")
class SparseCategoricalFocalLoss(keras.losses.Loss):
    """Cross entropy times ``(1 - p) ** gamma``, where p is the probability of the true class.

    Examples that the network already gets right weigh less; ``gamma=0`` is
    ``keras.losses.SparseCategoricalCrossentropy``.

    Parameters
    ----------
    gamma
        Focusing parameter, 0 or more.
    from_logits
        Whether predictions are logits instead of probabilities.

    References
    ----------
    Lin, Goyal, Girshick, He and Dollar: Focal Loss for Dense Object Detection, ICCV 2017.
    """

    def __init__(
        self, gamma: float = 2.0, from_logits: bool = False, name: str = "sparse_categorical_focal", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.gamma = gamma
        self.from_logits = from_logits

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each example, ``[batch]``, for labels ``[batch]`` or ``[batch, 1]``."""
        # If y_pred is the output of a softmax, Keras uses its logits: exact even for probabilities near 0 and 1.
        cross_entropy = keras.losses.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=self.from_logits
        )  # [batch]
        if self.gamma == 0:
            return cross_entropy
        # 1 - p is computed from the cross entropy, -log p, without cancellation. For gamma < 1 the derivative of the
        # power is infinite at 0, so p stays one rounding step below 1.
        one_minus_p = ops.maximum(-ops.expm1(-cross_entropy), keras.config.epsilon())
        return one_minus_p**self.gamma * cross_entropy

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this loss again."""
        return {**super().get_config(), "gamma": self.gamma, "from_logits": self.from_logits}


LOSSES: dict[LossName, Callable[[TrainConfig], keras.losses.Loss]] = {
    "cross_entropy": lambda config: keras.losses.SparseCategoricalCrossentropy(),
    "focal": lambda config: SparseCategoricalFocalLoss(config.gamma),
}


def make_loss(config: TrainConfig) -> keras.losses.Loss:
    """Return the loss that a training minimises, on class probabilities."""
    return LOSSES[config.loss](config)


def class_weights(class_ids: np.ndarray, labels: Sequence[str], given: Mapping[str, float]) -> dict[int, float]:
    """Return the weight of each class, by its id, as ``Model.fit(class_weight=...)`` takes it.

    Parameters
    ----------
    class_ids
        int ``[utterances]``, the class of each training utterance; every class occurs.
    labels
        Label of each class; ids count along it.
    given
        Weights to use, by label. Empty: inverse frequency, utterances / (classes * utterances of the class),
        scikit-learn's "balanced", so that every class has the same total weight.

    Raises
    ------
    ConfigError
        If ``given`` does not hold one weight for each class.
    """
    if given and set(given) != set(labels):
        raise ConfigError(
            f"train.class_weights: expected a weight for each of {', '.join(labels)}. Received: {dict(given)}"
        )
    counts = np.bincount(class_ids, minlength=len(labels))  # [classes]
    balanced = len(class_ids) / (len(labels) * counts)
    return {class_id: given.get(label, float(balanced[class_id])) for class_id, label in enumerate(labels)}
