"""The constants of the front end: window, mel bands and cosines, as float32 matrices."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lightsernet_tf.config import FeatureConfig

BANDS_A_GROUP = 32


class MelGroup(NamedTuple):
    """Neighbouring mel bands: the bins that count for any of them, and their weights [bins, bands]."""

    first_bin: int
    last_bin: int
    weights: np.ndarray


@lru_cache
def hann_window(length: int) -> np.ndarray:
    """Return the periodic Hann window: [length]."""
    # tf.signal's own values, computed at once wherever a graph is being built: to the last bit what was published.
    with tf.init_scope():
        return tf.signal.hann_window(length, periodic=True).numpy()


@lru_cache
def mel_groups(config: FeatureConfig, mel_bins: int) -> tuple[MelGroup, ...]:
    """Return the lowest ``mel_bins`` bands of the filter bank in groups.

    A band spans few bins, so a product for each group does a third of the arithmetic of one with the whole matrix.
    """
    with tf.init_scope():
        weights = tf.signal.linear_to_mel_weight_matrix(
            config.mel_bins,
            config.frame_length_samples // 2 + 1,
            config.sample_rate_hz,
            config.mel_min_hz,
            config.mel_max_hz,
        ).numpy()  # [bins, config.mel_bins]
    counting = np.flatnonzero(weights[:, :mel_bins].any(axis=1))
    lowest = counting[0] if counting.size else 0
    groups = []
    for first_band in range(0, mel_bins, BANDS_A_GROUP):
        bands = weights[:, first_band : min(first_band + BANDS_A_GROUP, mel_bins)]
        counting = np.flatnonzero(bands.any(axis=1))
        # Bands narrower than the distance of two bins may hold none: one bin of weight zero stands for them.
        first_bin, last_bin = (counting[0], counting[-1] + 1) if counting.size else (lowest, lowest + 1)
        groups.append(MelGroup(int(first_bin), int(last_bin), bands[first_bin:last_bin]))
    return tuple(groups)


def mel_edges_hz(config: FeatureConfig) -> np.ndarray:
    """Return where band b begins, peaks and ends as elements b, b + 1 and b + 2: [config.mel_bins + 2], in Hz."""
    lowest_mel, highest_mel = 1127.0 * np.log1p(np.array([config.mel_min_hz, config.mel_max_hz]) / 700.0)
    return 700.0 * np.expm1(np.linspace(lowest_mel, highest_mel, config.mel_bins + 2) / 1127.0)


@lru_cache
def cosines(mel_bins: int, coefficients: int) -> np.ndarray:
    """Return the DCT-II as a matrix: [mel_bins, coefficients]."""
    angles = np.pi / mel_bins * np.outer(np.arange(mel_bins) + 0.5, np.arange(coefficients))
    return (np.cos(angles) * np.sqrt(2.0 / mel_bins)).astype(np.float32)
