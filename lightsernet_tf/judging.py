"""Probabilities for utterances from whatever hears: a Keras network or a .tflite file, features or raw audio.

What this module does not do: judge them (see judgements.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lightsernet_tf.audio import decode
from lightsernet_tf.config import AudioConfig, FeatureConfig
from lightsernet_tf.errors import AudioError
from lightsernet_tf.feature_store import FeatureStore
from lightsernet_tf.litert import LiteRTNetwork
from lightsernet_tf.scores import average_segments
from lightsernet_tf.windows import cut_windows

Predictor = Callable[[np.ndarray], np.ndarray]  # features or waveforms [batch, ...] -> probabilities [batch, classes]
Hearing = Callable[[Sequence[int]], np.ndarray]  # positions of utterances -> probabilities [utterances, classes]


def keras_predictor(network: keras.Model) -> Predictor:
    """Return the network, which may go on being trained, as a function of a batch of features."""

    @tf.function(input_signature=[tf.TensorSpec([None, *network.input_shape[1:]], tf.float32)], autograph=False)
    def predict(batch: tf.Tensor) -> tf.Tensor:
        return network(batch, training=False)

    return lambda batch: predict(tf.constant(batch)).numpy()


def litert_predictor(network: LiteRTNetwork) -> Predictor:
    """Return a .tflite file, which takes one input at a time, as a function of a batch of them."""
    return lambda batch: np.stack([network(one[np.newaxis]) for one in batch])


def hear_features(predict: Predictor, store: FeatureStore) -> Hearing:
    """Return what a predictor of features says of utterances; see `predict_utterances`."""
    return partial(predict_utterances, predict, store)


def hear_recordings(predict: Predictor, paths: Sequence[Path], audio: AudioConfig, features: FeatureConfig) -> Hearing:
    """Return what a predictor of raw waveforms says of utterances, each read from its file anew.

    Parameters
    ----------
    predict
        Waveforms [batch, window samples] at any level, padded with zeros -> probabilities [batch, classes].
    paths
        File of each utterance.
    audio, features
        How a file is cut into windows, and of which rate.
    """

    def hear(positions: Sequence[int]) -> np.ndarray:
        chosen = [paths[position] for position in positions]
        waveforms = decode(chosen, features.sample_rate_hz, features.frame_length_samples)
        means = []
        for path, (waveform, problem) in zip(chosen, waveforms, strict=True):
            if problem.numpy():
                raise AudioError(f"{path}: {problem.numpy().decode()}")
            windows = cut_windows(waveform, audio, features.sample_rate_hz)  # [segments, window samples]
            means.append(predict(windows.numpy()).mean(axis=0))
        return np.stack(means)

    return hear


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
