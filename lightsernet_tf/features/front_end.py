"""Waveforms to what the network sees: spectrogram, log mel spectrogram, MFCC; the one front end of training and device.

What this module does not do: read audio (see ``audio.decoding``) or bring it to its level (see ``features.windows``).
Every feature takes float32 [..., samples] and returns float32 [..., frames, bins]. The constants (window, filter bank,
cosines) are plain matrices and the operations are ones that TensorFlow Lite has built in.

A feature is added by writing its function, its record in ``FEATURES`` and its name in ``config.FeatureKind``;
docs/extending.md shows one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from lightsernet_tf.config import FeatureConfig, FeatureKind
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.features.filter_bank import (
    BandGroup,
    cosines,
    counting_rows,
    group_bands,
    hann_window,
    mel_edges_hz,
    mel_weights,
)
from lightsernet_tf.features.fourier import fft_bins, fft_magnitudes, frames, matrix_bins, matrix_magnitudes

Fourier = Literal["fft", "matrix"]


class _Transform(NamedTuple):
    magnitudes: Callable[[tf.Tensor, int, int], tf.Tensor]  # frames, first bin, last bin -> [..., frames, columns]
    bins: Callable[[int, int, int], np.ndarray]  # frame length, first bin, last bin -> which bin each column is
    bands_a_group: int  # of the mel filter bank: smaller groups need fewer constants and more operations


_TRANSFORMS: dict[Fourier, _Transform] = {
    "fft": _Transform(fft_magnitudes, fft_bins, bands_a_group=32),
    "matrix": _Transform(matrix_magnitudes, matrix_bins, bands_a_group=16),
}


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
    num_bins = len(spectrum_bins_hz(config))
    magnitudes = _magnitudes(waveform, config, fourier, 0, num_bins)  # [..., frames, columns]
    bins = _TRANSFORMS[fourier].bins(config.frame_length_samples, 0, num_bins)  # [columns]
    if np.array_equal(bins, np.arange(num_bins)):
        return magnitudes
    columns = np.argmax(bins == np.arange(num_bins)[:, None], axis=1)  # where each bin stands
    return tf.gather(magnitudes, columns, axis=-1)  # [..., frames, bins]


def log_mel_spectrogram(waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier = "fft") -> tf.Tensor:
    """Return log(mel energies + log_offset): [..., frames, mel bands whose upper edge is within max_frequency_hz].

    The bands are triangles on the HTK mel scale of ``tf.signal.linear_to_mel_weight_matrix``, applied to magnitudes.
    For the parameters see `spectrogram`.
    """
    bank = _mel_bank(config, fourier)
    magnitudes = _magnitudes(waveform, config, fourier, bank.first_bin, bank.last_bin)  # [..., frames, columns]
    with tf.name_scope("mel"):
        energies = [
            tf.matmul(magnitudes[..., group.first_column : group.last_column], group.weights) for group in bank.groups
        ]
    return tf.math.log(tf.concat(energies, axis=-1) + config.log_offset)  # [..., frames, mel_bins]


def mfcc(waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier = "fft") -> tf.Tensor:
    """Return the first coefficients of the DCT-II of the log mel spectrogram, clipped: [..., frames, coefficients].

    Scaled as ``tf.signal.mfccs_from_log_mel_spectrograms``: orthonormal but for the first coefficient, which is
    sqrt(2) times as large. For the parameters see `spectrogram`.
    """
    log_mel = log_mel_spectrogram(waveform, config, fourier)  # [..., frames, mel_bins]
    with tf.name_scope("cosines"):
        cepstrum = tf.matmul(
            log_mel, cosines(log_mel.shape[-1], len(coefficient_numbers(config)))
        )  # [..., frames, coefficients]
    return tf.clip_by_value(cepstrum, -config.mfcc_clip, config.mfcc_clip)


def spectrum_bins_hz(config: FeatureConfig) -> np.ndarray:
    """Return the frequencies of the bins of `spectrogram`: [bins], in Hz."""
    bin_hz = config.sample_rate_hz / config.frame_length_samples
    return bin_hz * np.arange(1 + int(_highest_hz(config) / bin_hz))


def mel_centres_hz(config: FeatureConfig) -> np.ndarray:
    """Return where the bands of `log_mel_spectrogram` peak: [mel bands that are kept], in Hz.

    Raises
    ------
    ConfigError
        If no band lies below ``max_frequency_hz``.
    """
    edges_hz = mel_edges_hz(config)  # [mel_bins + 2]; band b begins at b, peaks at b + 1 and ends at b + 2
    kept = int(np.sum(edges_hz[2:] <= _highest_hz(config) * (1 + 1e-9)))
    if kept < 1:
        raise ConfigError(
            "features.max_frequency_hz: expected at least the upper edge of the lowest mel band, "
            f"{edges_hz[2]:.1f} Hz. Received: max_frequency_hz={config.max_frequency_hz}"
        )
    return edges_hz[1 : 1 + kept]


def coefficient_numbers(config: FeatureConfig) -> np.ndarray:
    """Return the numbers of the coefficients of `mfcc`, from 0, at most one for each mel band: [coefficients]."""
    return np.arange(min(config.mfcc_coefficients, len(mel_centres_hz(config))))


def _highest_hz(config: FeatureConfig) -> float:
    return config.sample_rate_hz / 2 if config.max_frequency_hz is None else config.max_frequency_hz


@dataclass(frozen=True)
class Axis:
    """How pictures show a feature.

    Parameters
    ----------
    label
        Of the bins, with their unit.
    scale
        On which the bins lie; ``count`` where they are numbered.
    values
        What is coloured: ``magnitude`` in dB below the loudest, ``logarithm`` from the least to the largest, or
        ``clipped`` values of both signs, up to ``mfcc_clip``.
    """

    label: str
    scale: Literal["hz", "mel", "count"]
    values: Literal["magnitude", "logarithm", "clipped"]


@dataclass(frozen=True)
class Feature:
    """What a network may be given.

    Parameters
    ----------
    function
        Computes it: float32 [..., samples] -> [..., frames, bins]; see `spectrogram` for its parameters.
    bins
        Returns the frequency or the number of each bin: [bins].
    axis
        How pictures show it.
    """

    function: Callable[[tf.Tensor, FeatureConfig, Fourier], tf.Tensor]
    bins: Callable[[FeatureConfig], np.ndarray]
    axis: Axis


FEATURES: dict[FeatureKind, Feature] = {
    "spectrogram": Feature(spectrogram, spectrum_bins_hz, Axis("spectrogram (Hz)", "hz", "magnitude")),
    "log_mel_spectrogram": Feature(
        log_mel_spectrogram, mel_centres_hz, Axis("log mel spectrogram (Hz)", "mel", "logarithm")
    ),
    "mfcc": Feature(mfcc, coefficient_numbers, Axis("MFCC (coefficient)", "count", "clipped")),
}


def extract(waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier = "fft") -> tf.Tensor:
    """Return the features that ``config.kind`` names: [..., samples] -> [..., frames, bins]; see `spectrogram`."""
    return FEATURES[config.kind].function(waveform, config, fourier)


def feature_shape(num_samples: int, config: FeatureConfig) -> tuple[int, int]:
    """Return (frames, bins) of the features of a waveform.

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
    return num_frames, len(FEATURES[config.kind].bins(config))


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
        *batch, samples = input_shape
        frames_bins = (None, None) if samples is None else feature_shape(samples, self.config)
        return (*batch, *frames_bins, 1)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the layer."""
        return {**super().get_config(), "config": dataclasses.asdict(self.config), "fourier": self.fourier}


def _magnitudes(
    waveform: tf.Tensor, config: FeatureConfig, fourier: Fourier, first_bin: int, last_bin: int
) -> tf.Tensor:
    framed = frames(waveform, config.frame_length_samples, config.frame_step_samples)  # [..., frames, length]
    windowed = framed * hann_window(config.frame_length_samples)
    # The names of these scopes tell an exported graph's products apart: rounded to float16, those of the transform
    # would bury quiet bands that lie beside loud ones.
    with tf.name_scope("fourier"):
        return _TRANSFORMS[fourier].magnitudes(windowed, first_bin, last_bin)  # [..., frames, columns]


class _MelBank(NamedTuple):
    first_bin: int
    last_bin: int
    groups: tuple[BandGroup, ...]  # their weights are those of the transform's columns


@lru_cache
def _mel_bank(config: FeatureConfig, fourier: Fourier) -> _MelBank:
    """Return the mel bands that are kept, for the columns that the transform gives."""
    transform = _TRANSFORMS[fourier]
    by_bin = mel_weights(config)[:, : len(mel_centres_hz(config))]  # [bins, bands]
    first_bin, last_bin = counting_rows(by_bin)
    bins = transform.bins(config.frame_length_samples, first_bin, last_bin)  # [columns]
    by_column = np.where(bins[:, None] < 0, np.float32(0), by_bin[bins])  # a repeated bin counts once
    return _MelBank(first_bin, last_bin, group_bands(by_column, transform.bands_a_group))
