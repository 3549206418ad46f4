"""Class probabilities of utterances, from Keras or TFLite, from stored features or from the recordings themselves.

A model is a function of a batch (`BatchPredictor`); `predictor_for` makes of it a function of utterances, which is all
that judging needs to know of a model (see `evaluate.judgement`).
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
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.feature_store import FeatureStore
from lightsernet_tf.errors import AudioError
from lightsernet_tf.features.windows import cut_windows
from lightsernet_tf.predict.model_file import InputKind

BatchPredictor = Callable[[np.ndarray], np.ndarray]  # features or waveforms [batch, ...] -> [batch, classes]
Predictor = Callable[[Sequence[int]], np.ndarray]  # positions of utterances -> probabilities [utterances, classes]


def predictor_for(experiment: Experiment, predict: BatchPredictor, kind: InputKind = "features") -> Predictor:
    """Return a function of an experiment's utterances from a function of a batch.

    Parameters
    ----------
    experiment
        The utterances, their features, and how a recording is cut into windows.
    predict
        float32 [batch, frames, bins, 1] or, of kind ``waveform``, [batch, window samples] at any level -> probabilities
        [batch, classes].
    kind
        What ``predict`` takes.
    """
    if kind == "features":
        return partial(predict_utterances, predict, experiment.store)

    def predict_recordings(positions: Sequence[int]) -> np.ndarray:
        paths = [experiment.corpus.utterances[position].path for position in positions]
        recordings = recording_windows(paths, experiment.config.audio, experiment.config.features)
        return np.stack([predict(windows).mean(axis=0) for windows in recordings])  # [utterances, classes]

    return predict_recordings


def keras_predictor(network: keras.Model) -> BatchPredictor:
    """Return a network, which may go on being trained, as a function of a batch of features."""

    @tf.function(input_signature=[tf.TensorSpec([None, *network.input_shape[1:]], tf.float32)], autograph=False)
    def predict(batch: tf.Tensor) -> tf.Tensor:
        return network(batch, training=False)

    # Traced here, once: TensorFlow warns of a function that is traced by its calls for one network after the other.
    traced = predict.get_concrete_function()
    return lambda batch: traced(tf.constant(batch)).numpy()


def predict_utterances(
    predict: BatchPredictor, store: FeatureStore, positions: Sequence[int], batch_size: int = 64
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
        float64 [utterances, classes], in the order of ``positions``.
    """
    rows = store.segments_of(positions)
    batches = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    of_segments = np.concatenate([predict(store.features[batch][..., np.newaxis]) for batch in batches])
    utterances, owners, segments = np.unique(
        store.utterance_of_segment[rows], return_inverse=True, return_counts=True
    )  # [utterances], [segments], [utterances]
    sums = np.zeros((len(utterances), of_segments.shape[1]))
    np.add.at(sums, owners, of_segments)
    return (sums / segments[:, np.newaxis])[np.searchsorted(utterances, positions)]  # [utterances, classes]


def recording_windows(paths: Sequence[Path], audio: AudioConfig, features: FeatureConfig) -> Iterator[np.ndarray]:
    """Yield the windows of recordings as a device gets them, at their own level: float32 [segments, window samples].

    Parameters
    ----------
    paths
        Audio files, read anew.
    audio, features
        How a file is cut into windows, and its sample rate.

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
