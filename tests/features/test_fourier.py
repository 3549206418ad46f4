"""Frames are held against tf.signal, transforms against SciPy and a worked example."""

import doctest
import itertools

import numpy as np
import pytest
import scipy.fft
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsernet_tf.features import fourier
from lightsernet_tf.features.fourier import fft_bins, fft_magnitudes, frames, matrix_bins, matrix_magnitudes


def noise(*shape, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def test_worked_examples():
    assert doctest.testmod(fourier) == (0, 7)


@settings(max_examples=30, deadline=None)
@given(power=st.integers(4, 9), step=st.integers(1, 512), extra=st.integers(0, 700), batch=st.integers(1, 3))
def test_frames_are_those_of_tf_signal(power, step, extra, batch):
    length = 2**power
    step = min(step, length)
    waveform = noise(batch, length + extra, seed=extra)
    np.testing.assert_array_equal(frames(waveform, length, step), tf.signal.frame(waveform, length, step))


TRANSFORMS = [(fft_magnitudes, fft_bins), (matrix_magnitudes, matrix_bins)]


@pytest.mark.parametrize("length", [2**power for power in range(4, 14)])
@pytest.mark.parametrize(("magnitudes", "bins"), TRANSFORMS)
def test_both_transforms_are_scipys(length, magnitudes, bins):
    framed = noise(3, 5, length)
    expected = np.abs(scipy.fft.rfft(framed.astype(np.float64)))
    last_bins = (7, length // 4, length // 2, length // 2 + 1)
    for first, last in [(0, 1), (0, 2), (5, 6), *itertools.product((0, 2, 3), last_bins)]:
        columns = bins(length, first, last)
        counting = columns >= 0
        assert set(range(first, last)) <= set(columns)
        assert np.unique(columns[counting]).size == counting.sum()
        computed = magnitudes(framed, first, last)
        assert computed.shape == (3, 5, len(columns))
        np.testing.assert_allclose(
            computed.numpy()[..., counting], expected[..., columns[counting]], rtol=0, atol=2e-6 * expected.max()
        )


def test_the_matrix_transform_keeps_neighbours_near_each_other():
    """Else a mel band would need a row of weights for most columns."""
    columns = matrix_bins(1024, 0, 513)
    order = np.argsort(columns)[np.sum(columns < 0) :]
    np.testing.assert_array_equal(columns[order], np.arange(513))
    assert np.abs(np.diff(order)).max() <= 2 * 34


def test_a_quiet_tone_beside_a_loud_one_is_seen_by_both():
    """A float32 sum of squares of neighbouring bins, taken apart by subtraction, would lose it."""
    time = np.arange(1024)
    loud, quiet = np.cos(2 * np.pi * 40 * time / 1024), 1e-5 * np.cos(2 * np.pi * 24 * time / 1024)
    framed = (loud + quiet).astype(np.float32)
    for magnitudes, bins in TRANSFORMS:
        column = np.flatnonzero(bins(1024, 0, 513) == 24)
        np.testing.assert_allclose(magnitudes(framed, 0, 513).numpy()[column], 512e-5, rtol=0.02)
