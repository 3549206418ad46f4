"""The training losses and the weights that balance classes.

What this module does not do: anything TensorFlow alone knows; the losses run on any Keras backend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from lightsernet_tf.config import LossName, TrainConfig
from lightsernet_tf.errors import ConfigError, CorpusError


@keras.saving.register_keras_serializable(package="lightsernet_tf")
class SparseCategoricalFocalLoss(keras.losses.Loss):
    """Cross entropy times ``(1 - p) ** gamma``, where p is the probability of the true class.

    Examples the network already gets right weigh less; ``gamma=0`` is ``keras.losses.SparseCategoricalCrossentropy``.

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
        # Where y_pred is the output of a softmax, Keras goes back to its logits: exact however sure the network is.
        cross_entropy = keras.losses.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=self.from_logits
        )  # [batch]
        if self.gamma == 0:
            return cross_entropy
        # 1 - p is taken from the cross entropy, -log p, without cancellation. The power's derivative is infinite at 0
        # for gamma < 1, so p stays one rounding step below 1.
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


def class_weights(
    class_ids: np.ndarray, labels: Sequence[str], given: Mapping[int, float] | None = None
) -> dict[int, float]:
    """Return the weight of each class, by its id, as ``Model.fit(class_weight=...)`` takes it.

    Parameters
    ----------
    class_ids
        int ``[utterances]``, the class of each training utterance.
    labels
        Label of each class; ids count along it.
    given
        Weights to use, by class id. None or empty: inverse frequency, utterances / (classes * utterances of the class),
        scikit-learn's "balanced", so that every class weighs the same in sum.

    Raises
    ------
    CorpusError
        If a class has no training utterance; the message names it.
    ConfigError
        If ``given`` does not hold one positive weight for each class.
    """
    counts = np.bincount(class_ids, minlength=len(labels))  # [classes]
    missing = [label for label, count in zip(labels, counts, strict=True) if count == 0]
    if missing:
        raise CorpusError(
            f"Expected at least one training utterance of each class of {', '.join(labels)}. "
            f"Received: none of {', '.join(missing)}"
        )
    if not given:
        return {index: len(class_ids) / (len(labels) * int(count)) for index, count in enumerate(counts)}
    if set(given) != set(range(len(labels))) or not all(weight > 0 for weight in given.values()):
        received = {labels[index] if 0 <= index < len(labels) else index: weight for index, weight in given.items()}
        raise ConfigError(
            f"train.class_weights: expected a weight of more than 0 for each of {', '.join(labels)}. "
            f"Received: {received}"
        )
    return {index: float(given[index]) for index in range(len(labels))}
