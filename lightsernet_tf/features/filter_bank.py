"""The constants of the front end: window, mel bands and cosines, as float32 matrices."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lightsernet_tf.config import FeatureConfig


class BandGroup(NamedTuple):
    """Neighbouring bands: the columns that count for any of them, and their weights [columns, bands]."""

    first_column: int
    last_column: int
    weights: np.ndarray


@lru_cache
def hann_window(length: int) -> np.ndarray:
    """Return the periodic Hann window: [length]."""
    # tf.signal's own values, computed at once wherever a graph is being built: to the last bit what was published.
    with tf.init_scope():
        return tf.signal.hann_window(length, periodic=True).numpy()


@lru_cache
def mel_weights(config: FeatureConfig) -> np.ndarray:
    """Return the mel bands' weights of the spectrum's bins: [frame_length_samples / 2 + 1, mel_bins]."""
    with tf.init_scope():
        return tf.signal.linear_to_mel_weight_matrix(
            config.mel_bins,
            config.frame_length_samples // 2 + 1,
            config.sample_rate_hz,
            config.mel_min_hz,
            config.mel_max_hz,
        ).numpy()


def group_bands(weights: np.ndarray, bands_a_group: int) -> tuple[BandGroup, ...]:
    """Return a filter bank [columns, bands] in groups of neighbouring bands.

    A band spans few columns, so a product for each group does a third of the arithmetic of one with the whole matrix.
    """
    groups = []
    for first_band in range(0, weights.shape[1], bands_a_group):
        bands = weights[:, first_band : first_band + bands_a_group]
        first, last = counting_rows(bands)
        groups.append(BandGroup(first, last, bands[first:last]))
    return tuple(groups)


def counting_rows(weights: np.ndarray) -> tuple[int, int]:
    """Return the first row with a weight other than zero, and the one after the last; where there is none, the first.

    Bands narrower than the distance of two bins may hold none: one bin of weight zero stands for them.
    """
    counting = np.flatnonzero(weights.any(axis=1))
    return (int(counting[0]), int(counting[-1]) + 1) if counting.size else (0, 1)


def mel_edges_hz(config: FeatureConfig) -> np.ndarray:
    """Return where band b begins, peaks and ends as elements b, b + 1 and b + 2: [config.mel_bins + 2], in Hz."""
    lowest_mel, highest_mel = 1127.0 * np.log1p(np.array([config.mel_min_hz, config.mel_max_hz]) / 700.0)
    return 700.0 * np.expm1(np.linspace(lowest_mel, highest_mel, config.mel_bins + 2) / 1127.0)


@lru_cache
def cosines(mel_bins: int, coefficients: int) -> np.ndarray:
    """Return the DCT-II as a matrix: [mel_bins, coefficients]."""
    angles = np.pi / mel_bins * np.outer(np.arange(mel_bins) + 0.5, np.arange(coefficients))
    return (np.cos(angles) * np.sqrt(2.0 / mel_bins)).astype(np.float32)
