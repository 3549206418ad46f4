"""Probabilities for utterances from whatever hears: a Keras network or a .tflite file, features or raw audio.

What this module does not do: judge them (see judgements.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from lightsernet_tf.audio.decoding import decode
from lightsernet_tf.config import AudioConfig, FeatureConfig
from lightsernet_tf.data.feature_store import FeatureStore
from lightsernet_tf.errors import AudioError
from lightsernet_tf.evaluate.scores import average_segments
from lightsernet_tf.features.windows import cut_windows

Predictor = Callable[[np.ndarray], np.ndarray]  # features or waveforms [batch, ...] -> probabilities [batch, classes]
Hearing = Callable[[Sequence[int]], np.ndarray]  # positions of utterances -> probabilities [utterances, classes]


def keras_predictor(network: keras.Model) -> Predictor:
    """Return the network, which may go on being trained, as a function of a batch of features."""

    @tf.function(input_signature=[tf.TensorSpec([None, *network.input_shape[1:]], tf.float32)], autograph=False)
    def predict(batch: tf.Tensor) -> tf.Tensor:
        return network(batch, training=False)

    # Traced here, once: TensorFlow warns of a function that is traced by its calls for one network after the other.
    traced = predict.get_concrete_function()
    return lambda batch: traced(tf.constant(batch)).numpy()


def hear_features(predict: Predictor, store: FeatureStore) -> Hearing:
    """Return what a predictor of features says of utterances; see `predict_utterances`."""
    return partial(predict_utterances, predict, store)


def recording_windows(paths: Sequence[Path], audio: AudioConfig, features: FeatureConfig) -> Iterator[np.ndarray]:
    """Yield the windows of recordings, raw as a device hears them and read anew: [segments, window samples] each.

    Parameters
    ----------
    paths
        Audio files.
    audio, features
        How a file is cut into windows, and of which rate.

    Raises
    ------
    AudioError
        If a file cannot be read; the message names it.
    """
    waveforms = decode(paths, features.sample_rate_hz, features.frame_length_samples)
    for path, (waveform, problem) in zip(paths, waveforms, strict=True):
        if problem.numpy():
            raise AudioError(f"{path}: {problem.numpy().decode()}")
        yield cut_windows(waveform, audio, features.sample_rate_hz).numpy()


def hear_recordings(predict: Predictor, paths: Sequence[Path], audio: AudioConfig, features: FeatureConfig) -> Hearing:
    """Return what a predictor of raw waveforms says of utterances; ``paths`` are those of all of them.

    ``predict`` takes waveforms [batch, window samples] at any level; for the rest see `recording_windows`.
    """

    def hear(positions: Sequence[int]) -> np.ndarray:
        windows = recording_windows([paths[position] for position in positions], audio, features)
        return np.stack([predict(of_recording).mean(axis=0) for of_recording in windows])

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
