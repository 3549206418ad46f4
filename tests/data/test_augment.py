from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from lightsernet_tf.config import AugmentConfig
from lightsernet_tf.data.augment import augment_waveform, changes_features, changes_waveforms, make_masks

RATE_HZ = 16000


@pytest.fixture(scope="module")
def waveform():
    return np.random.default_rng(3).uniform(-1, 1, 4000).astype(np.float32)


def changed(waveform, config, count=40):
    return [
        augment_waveform(tf.constant(waveform), config, RATE_HZ, [5, position]).numpy() for position in range(count)
    ]


def test_what_is_switched_on():
    assert not changes_waveforms(AugmentConfig())
    assert not changes_features(AugmentConfig())
    assert changes_waveforms(AugmentConfig(time_shift_max_seconds=0.1))
    assert changes_waveforms(AugmentConfig(gain_max_db=3.0))
    assert changes_waveforms(AugmentConfig(noise_min_snr_db=0.0))
    assert changes_features(AugmentConfig(time_mask_max_frames=1))
    assert changes_features(AugmentConfig(frequency_mask_max_bins=1))


def test_nothing_switched_on_changes_nothing(waveform):
    np.testing.assert_array_equal(changed(waveform, AugmentConfig(), count=1)[0], waveform)


def test_the_seed_decides(waveform):
    config = AugmentConfig(time_shift_max_seconds=0.1, gain_max_db=6.0, noise_min_snr_db=10.0)
    first, again = changed(waveform, config), changed(waveform, config)
    np.testing.assert_array_equal(first, again)
    assert len({row.tobytes() for row in first}) == len(first)


def test_shift_moves_and_leaves_silence(waveform):
    max_samples = 5
    shifts = []
    for row in changed(waveform, AugmentConfig(time_shift_max_seconds=max_samples / RATE_HZ), count=100):
        candidates = {}
        for shift in range(-max_samples, max_samples + 1):
            moved = np.roll(waveform, shift)
            moved[slice(0, shift) if shift >= 0 else slice(shift, None)] = 0.0
            candidates[moved.tobytes()] = shift
        shifts.append(candidates[row.tobytes()])
    assert set(shifts) == set(range(-max_samples, max_samples + 1))


def test_gain_is_one_factor_within_bounds(waveform):
    gains_db = []
    for row in changed(waveform, AugmentConfig(gain_max_db=6.0)):
        ratios = row / waveform
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-5)
        gains_db.append(20 * np.log10(ratios[0]))
    assert -6.001 <= min(gains_db) < -3
    assert 3 < max(gains_db) <= 6.001


def test_noise_has_the_ratio_it_promises(waveform):
    ratios_db = []
    for row in changed(waveform, AugmentConfig(noise_min_snr_db=5.0)):
        noise = row - waveform
        ratios_db.append(10 * np.log10(np.mean(waveform**2) / np.mean(noise**2)))
        assert abs(np.mean(noise)) < 4 * np.std(noise) / np.sqrt(noise.size)
    # The power of 4000 samples of noise is within 0.5 dB of its expectation.
    assert 4.5 < min(ratios_db) < 15
    assert 25 < max(ratios_db) < 35.5


def test_silence_stays_silent():
    config = AugmentConfig(time_shift_max_seconds=0.1, gain_max_db=6.0, noise_min_snr_db=0.0)
    np.testing.assert_array_equal(changed(np.zeros(100, np.float32), config, count=3), 0.0)


def masked(config, input_shape, count, seed=11):
    ones = tf.data.Dataset.from_tensors(tf.ones(input_shape)).repeat(count)
    rows = list(ones.map(make_masks(config, input_shape, seed)).as_numpy_iterator())
    return np.stack(rows)[..., 0]  # [count, frames, bins]


def widths(silent):
    """Length of the one run of True in each row of ``[count, positions]``."""
    edges = np.diff(np.pad(silent.astype(int), [(0, 0), (1, 1)]), axis=1)
    assert (np.abs(edges).sum(axis=1) <= 2).all()
    return silent.sum(axis=1)


def test_masks_are_one_run_of_frames_and_one_band_of_bins():
    rows = masked(AugmentConfig(time_mask_max_frames=4, frequency_mask_max_bins=3), (30, 20, 1), count=200)
    silent_frames, silent_bins = (rows == 0).all(axis=2), (rows == 0).all(axis=1)
    np.testing.assert_array_equal(rows == 0, silent_frames[:, :, None] | silent_bins[:, None, :])
    assert set(widths(silent_frames)) == {0, 1, 2, 3, 4}
    assert set(widths(silent_bins)) == {0, 1, 2, 3}
    assert len(np.unique(rows, axis=0)) > 150


def test_a_mask_never_takes_all():
    rows = masked(AugmentConfig(time_mask_max_frames=100), (5, 3, 1), count=100)
    assert set(widths((rows == 0).all(axis=2))) == {0, 1, 2, 3, 4}
    assert (rows != 0).any(axis=(1, 2)).all()


def test_masks_are_a_function_of_the_seed():
    config = AugmentConfig(time_mask_max_frames=10, frequency_mask_max_bins=5)
    first = masked(config, (30, 20, 1), count=20)
    np.testing.assert_array_equal(masked(config, (30, 20, 1), count=20), first)
    assert (masked(config, (30, 20, 1), count=20, seed=12) != first).any()


def test_the_global_generator_is_left_alone():
    tf.random.set_seed(7)
    expected = tf.random.uniform([4]).numpy()
    tf.random.set_seed(7)
    masked(AugmentConfig(time_mask_max_frames=10), (30, 20, 1), count=2)
    np.testing.assert_array_equal(tf.random.uniform([4]).numpy(), expected)
