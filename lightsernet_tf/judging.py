"""Probabilities for utterances from anything that maps features to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from lightsernet_tf.feature_store import FeatureStore
from lightsernet_tf.scores import average_segments

Predictor = Callable[[np.ndarray], np.ndarray]  # features [batch, frames, bins, 1] -> probabilities [batch, classes]


def keras_predictor(network: keras.Model) -> Predictor:
    """Return the network, which may go on being trained, as a function of a batch of features."""

    @tf.function(input_signature=[tf.TensorSpec([None, *network.input_shape[1:]], tf.float32)], autograph=False)
    def predict(batch: tf.Tensor) -> tf.Tensor:
        return network(batch, training=False)

    return lambda batch: predict(tf.constant(batch)).numpy()


def predict_utterances(
    predict: Predictor, store: FeatureStore, positions: Sequence[int], batch_size: int = 64
) -> np.ndarray:
    """Return the probabilities of utterances, each the mean over its segments.

    Parameters
    ----------
    predict
        Features [batch, frames, bins, 1] -> probabilities [batch, classes].
    store
        Features of all utterances.
    positions
        Which utterances, at least one.
    batch_size
        Segments at a time.

    Returns
    -------
    np.ndarray
        float [utterances, classes], in the order of ``positions``.
    """
    rows = store.segments_of(positions)
    batches = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    probabilities = np.concatenate([predict(store.features[batch][..., np.newaxis]) for batch in batches])
    means, utterances = average_segments(probabilities, store.utterance_of_segment[rows])  # [utterances, classes]
    order = {int(utterance): index for index, utterance in enumerate(utterances)}
    return means[[order[position] for position in positions]]
