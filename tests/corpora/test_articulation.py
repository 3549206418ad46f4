"""Holds the plan of an utterance against what was asked of it."""

import numpy as np
import pytest

from lightsernet_tf.corpora.articulation import HOP_SECONDS, VOWEL_FORMANTS_HZ, Delivery, articulate


def generator(seed=7):
    return np.random.Generator(np.random.PCG64(seed))


def test_mean_pitch_is_the_one_asked_for():
    tracks = articulate(Delivery(duration_seconds=3.0, f0_hz=150.0, f0_range_semitones=8.0), generator())
    assert np.exp(np.average(np.log(tracks.f0_hz), weights=tracks.voicing)) == pytest.approx(150.0, rel=1e-9)
    assert tracks.f0_hz.max() / tracks.f0_hz.min() > 1.3


def test_a_faster_rate_says_more_syllables():
    def onsets(rate):
        voicing = articulate(Delivery(3.0, 120.0, syllables_per_second=rate), generator()).voicing
        return np.sum(np.diff(np.sign(np.diff(voicing))) < 0)

    assert onsets(6.0) > 1.4 * onsets(3.0)


def test_every_track_has_one_entry_per_hop():
    tracks = articulate(Delivery(duration_seconds=2.0, f0_hz=120.0), generator())
    assert {len(track) for track in tracks} == {round(2.0 / HOP_SECONDS)}
    assert tracks.formants_hz.shape[1] == 6


def test_ends_are_silent_and_pauses_lie_between_phrases():
    pauses = 0
    for seed in range(10):
        tracks = articulate(Delivery(duration_seconds=3.9, f0_hz=120.0), generator(seed))
        silent = tracks.voicing + tracks.noise < 1e-12
        assert silent[:9].all()
        assert silent[-9:].all()
        runs = np.split(silent, np.flatnonzero(np.diff(silent)) + 1)[1:-1]
        pauses += sum(run[0] and len(run) * HOP_SECONDS > 0.1 for run in runs)
    assert pauses >= 5


def test_formants_stay_between_those_of_the_vowels_and_scale_with_the_tract():
    long_hz = articulate(Delivery(3.0, 120.0, formant_scale=1.0), generator()).formants_hz
    short_hz = articulate(Delivery(3.0, 120.0, formant_scale=1.2), generator()).formants_hz
    np.testing.assert_allclose(short_hz, 1.2 * long_hz)
    assert (np.diff(long_hz, axis=1) > 0).all()  # in order, never crossing
    assert np.ptp(long_hz[:, 1]) > 500  # and moving
    assert long_hz[:, 1].max() <= VOWEL_FORMANTS_HZ[:, 1].max()


def test_a_wider_range_moves_the_pitch_further():
    narrow, wide = (
        np.ptp(np.log2(articulate(Delivery(3.0, 120.0, f0_range_semitones=span), generator()).f0_hz))
        for span in (2.0, 8.0)
    )
    assert wide == pytest.approx(4 * narrow)
