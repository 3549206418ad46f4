"""Waveforms to what the network sees: spectrogram, log mel spectrogram, MFCC; the one front end of training and device.

What this module does not do: read audio or bring it to its level (see audio.py). Every function takes float32
[..., samples] and returns float32 [..., frames, bins]. The constants (window, filter bank, cosines) are plain matrices and
the operations are ones that TensorFlow Lite has built in.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from lightsernet_tf.config import FeatureConfig, FeatureKind
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.fourier import fft_magnitudes, frames, matrix_magnitudes

Fourier = Literal["fft", "matrix"]
_MAGNITUDES: dict[Fourier, Callable[..., tf.Tensor]] = {"fft": fft_magnitudes, "matrix": matrix_magnitudes}


def spectrogram(waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier = "fft") -> tf.Tensor:
    """Return the magnitudes of the short-time Fourier transform: [..., frames, bins up to max_frequency_hz].

    Parameters
    ----------
    waveform
        float32 [..., samples], at least one frame long.
    config
        Frames and bins. The window is the periodic Hann window; nothing is padded.
    fourier
        How the transform is computed: ``fft`` is the faster on a computer, ``matrix`` on TensorFlow Lite, whose own
        operator is slow. They agree to float32 rounding.
    """
    return _spectrogram(
        waveform, config, fourier, 0, feature_shape(config.frame_length_samples, config, "spectrogram")[1]
    )


def log_mel_spectrogram(waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier = "fft") -> tf.Tensor:
    """Return log(mel energies + log_offset): [..., frames, mel bands whose upper edge is within max_frequency_hz].

    The bands are triangles on the HTK mel scale of ``tf.signal.linear_to_mel_weight_matrix``, applied to magnitudes.
    For the parameters see `spectrogram`.
    """
    first_bin, weights = _mel_weights(config)
    magnitudes = _spectrogram(waveform, config, fourier, first_bin, first_bin + len(weights))
    return tf.math.log(tf.matmul(magnitudes, weights) + config.log_offset)  # [..., frames, mel_bins]


def mfcc(waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier = "fft") -> tf.Tensor:
    """Return the first coefficients of the DCT-II of the log mel spectrogram, clipped: [..., frames, coefficients].

    Scaled as ``tf.signal.mfccs_from_log_mel_spectrograms``: orthonormal but for the first coefficient, which is
    sqrt(2) times as large. For the parameters see `spectrogram`.
    """
    log_mel = log_mel_spectrogram(waveform, config, fourier)  # [..., frames, mel_bins]
    coefficients = feature_shape(config.frame_length_samples, config, "mfcc")[1]
    cepstrum = tf.matmul(log_mel, _cosines(log_mel.shape[-1], coefficients))  # [..., frames, coefficients]
    return tf.clip_by_value(cepstrum, -config.mfcc_clip, config.mfcc_clip)


_FEATURES: dict[FeatureKind, Callable[..., tf.Tensor]] = {
    "mfcc": mfcc,
    "log_mel_spectrogram": log_mel_spectrogram,
    "spectrogram": spectrogram,
}


def extract(waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier = "fft") -> tf.Tensor:
    """Return the features that ``config.kind`` names: [..., samples] -> [..., frames, bins]; see `spectrogram`."""
    return _FEATURES[config.kind](waveform, config, fourier)


def feature_shape(num_samples: int, config: FeatureConfig, kind: FeatureKind | None = None) -> tuple[int, int]:
    """Return (frames, bins) of the features of a waveform.

    Parameters
    ----------
    num_samples
        Length of the waveform.
    config
        The front end.
    kind
        Instead of ``config.kind``.

    Raises
    ------
    ConfigError
        The waveform is shorter than a frame, or nothing is left below ``max_frequency_hz``.
    """
    if num_samples < config.frame_length_samples:
        raise ConfigError(
            f"features.frame_length_samples: expected at most the waveform's length, {num_samples}. "
            f"Received: frame_length_samples={config.frame_length_samples}"
        )
    num_frames = 1 + (num_samples - config.frame_length_samples) // config.frame_step_samples
    highest_hz = config.sample_rate_hz / 2 if config.max_frequency_hz is None else config.max_frequency_hz
    spectrum_bins = 1 + int(highest_hz * config.frame_length_samples / config.sample_rate_hz)
    mel_bins = int(np.sum(_mel_edges_hz(config)[2:] <= highest_hz * (1 + 1e-9)))
    bins = {
        "spectrogram": spectrum_bins,
        "log_mel_spectrogram": mel_bins,
        "mfcc": min(config.mfcc_coefficients, mel_bins),
    }[kind or config.kind]
    if bins < 1:
        lowest_hz = _mel_edges_hz(config)[2]
        raise ConfigError(
            f"features.max_frequency_hz: expected at least the upper edge of the lowest mel band, {lowest_hz:.1f} Hz. "
            f"Received: max_frequency_hz={config.max_frequency_hz}"
        )
    return num_frames, bins


@keras.saving.register_keras_serializable("lightsernet_tf")
class FrontEnd(keras.layers.Layer):
    """Features as a layer: float32 [batch, samples] -> [batch, frames, bins, 1].

    Parameters
    ----------
    config
        The front end, or its fields as a dict.
    fourier
        See `spectrogram`.

    Examples
    --------
    >>> FrontEnd(FeatureConfig())(tf.zeros([2, 48000])).shape
    TensorShape([2, 184, 40, 1])
    """

    def __init__(self, config: FeatureConfig | dict[str, Any], fourier: Fourier = "fft", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.config = config if isinstance(config, FeatureConfig) else FeatureConfig(**config)
        self.fourier: Fourier = fourier

    def call(self, waveform: tf.Tensor) -> tf.Tensor:
        """Return the features with a channel axis."""
        return tf.expand_dims(extract(waveform, self.config, self.fourier), -1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return [batch, frames, bins, 1]."""
        return (*input_shape[:-1], *feature_shape(input_shape[-1], self.config), 1)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "config": dataclasses.asdict(self.config), "fourier": self.fourier}


def _spectrogram(
    waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier, first_bin: int, last_bin: int
) -> tf.Tensor:
    framed = frames(waveform, config.frame_length_samples, config.frame_step_samples)
    return _MAGNITUDES[fourier](framed * _hann_window(config.frame_length_samples), first_bin, last_bin)


@lru_cache
def _hann_window(length: int) -> np.ndarray:
    with tf.init_scope():
        return tf.signal.hann_window(length, periodic=True).numpy()


@lru_cache
def _mel_weights(config: FeatureConfig) -> tuple[int, np.ndarray]:
    """Return the first bin that counts and the weights of the bins from there to the last: float32 [bins, bands]."""
    with tf.init_scope():
        weights = tf.signal.linear_to_mel_weight_matrix(
            config.mel_bins,
            config.frame_length_samples // 2 + 1,
            config.sample_rate_hz,
            config.mel_min_hz,
            config.mel_max_hz,
        ).numpy()
    kept_bands = feature_shape(config.frame_length_samples, config, "log_mel_spectrogram")[1]
    counting = np.flatnonzero(weights[:, :kept_bands].any(axis=1))
    first_bin, last_bin = (int(counting[0]), int(counting[-1]) + 1) if counting.size else (0, 1)
    return first_bin, weights[first_bin:last_bin, :kept_bands]


def _mel_edges_hz(config: FeatureConfig) -> np.ndarray:
    """Return where band b begins, peaks and ends as elements b, b + 1 and b + 2: [mel_bins + 2], in Hz."""
    lowest_mel, highest_mel = 1127.0 * np.log1p(np.array([config.mel_min_hz, config.mel_max_hz]) / 700.0)
    return 700.0 * np.expm1(np.linspace(lowest_mel, highest_mel, config.mel_bins + 2) / 1127.0)


@lru_cache
def _cosines(mel_bins: int, coefficients: int) -> np.ndarray:
    """Return the DCT-II as a matrix, float32 [mel_bins, coefficients]."""
    angles = np.pi / mel_bins * np.outer(np.arange(mel_bins) + 0.5, np.arange(coefficients))
    return (np.cos(angles) * np.sqrt(2.0 / mel_bins)).astype(np.float32)
