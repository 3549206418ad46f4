"""Holds the synthesised voice against librosa's pitch tracker, textbook resonators and what was asked of it."""

import dataclasses

import librosa
import numpy as np
import pytest

from lightsernet_tf.corpora.articulation import HOP_SAMPLES, SAMPLE_RATE_HZ, Delivery, articulate
from lightsernet_tf.corpora.synthesis import glottal_pulses, render, resonances, synthesize


def generator(seed=7):
    return np.random.Generator(np.random.PCG64(seed))


def pulses(f0_hz=125.0, jitter=0.0, shimmer=0.0):
    return glottal_pulses(np.full(SAMPLE_RATE_HZ, f0_hz), jitter, shimmer, generator())


@pytest.mark.parametrize("f0_hz", [100.0, 210.0])
def test_pitch_is_the_intended_contour(f0_hz):
    delivery = Delivery(duration_seconds=3.0, f0_hz=f0_hz)
    tracks = articulate(delivery, generator())
    speech = render(tracks, delivery, generator())
    measured_hz = librosa.yin(
        speech, fmin=60, fmax=500, sr=SAMPLE_RATE_HZ, frame_length=1024, hop_length=HOP_SAMPLES, center=False
    )
    centres = np.arange(len(measured_hz)) + 512 // HOP_SAMPLES
    voiced = (tracks.voicing[centres] > 0.4) & (tracks.noise[centres] < 0.01)
    deviation = np.abs(12 * np.log2(measured_hz / tracks.f0_hz[centres]))[voiced]
    assert voiced.sum() > 50
    assert np.median(deviation) < 0.3  # semitones
    assert np.mean(deviation < 1) > 0.9


def test_steady_pulses_repeat_every_cycle_and_have_no_other_frequency():
    source = pulses(f0_hz=125.0)  # 128 samples a cycle
    np.testing.assert_allclose(source[256:384], source[128:256], atol=1e-6)
    spectrum = np.abs(np.fft.rfft(source[128 : 128 * 101]))
    harmonics = np.zeros(len(spectrum), dtype=bool)
    harmonics[::100] = True
    assert spectrum[~harmonics].max() < 1e-5 * spectrum[harmonics].max()


def test_pulses_fall_by_six_db_an_octave():
    source = pulses(f0_hz=125.0)[128 : 128 * 101]
    harmonic_db = 20 * np.log10(np.abs(np.fft.rfft(source))[100::100][:32])
    slope = np.polyfit(np.log2(np.arange(4, 32)), harmonic_db[4:], 1)[0]
    assert -8 < slope < -4  # a flow of -12 dB an octave, differentiated


def test_jitter_and_shimmer_are_the_ones_asked_for():
    source = pulses(f0_hz=100.0, jitter=0.02, shimmer=0.1)
    closures = [start + np.argmin(source[start : start + 160]) for start in range(0, len(source) - 320, 160)]
    cycles_samples = np.diff(np.unique(closures))
    cycles_samples = cycles_samples[(cycles_samples > 140) & (cycles_samples < 180)]
    assert np.std(cycles_samples) / 160 == pytest.approx(0.02, abs=0.01)
    assert np.std(source[closures]) / np.abs(np.mean(source[closures])) == pytest.approx(0.1, abs=0.05)
    steady = pulses(f0_hz=100.0)
    assert np.ptp([steady[start : start + 160].min() for start in range(0, len(steady) - 320, 160)]) < 1e-6


def test_a_resonance_peaks_at_its_formant_with_its_bandwidth():
    gain = np.abs(resonances(np.array([[1500.0]]), np.array([[100.0]])))[0]
    frequency_hz = np.fft.rfftfreq(1024, 1 / SAMPLE_RATE_HZ)
    assert gain[0] == pytest.approx(1.0)
    assert frequency_hz[np.argmax(gain)] == pytest.approx(1500, abs=16)
    width_hz = np.sum(gain > gain.max() / np.sqrt(2)) * 15.625
    assert width_hz == pytest.approx(100, abs=32)


def test_resonances_in_cascade_multiply():
    apart = resonances(np.array([[500.0], [1500.0]]), np.array([80.0]))
    together = resonances(np.array([[500.0, 1500.0]]), np.array([80.0, 80.0]))
    np.testing.assert_allclose(together[0], apart[0] * apart[1], rtol=1e-12)


def test_frames_add_up_to_the_signal_where_the_filter_is_flat(monkeypatch):
    flat = np.ones((1, 513), dtype=np.complex128)
    monkeypatch.setattr("lightsernet_tf.corpora.synthesis.resonances", lambda centres_hz, bandwidths_hz: flat)
    delivery = Delivery(duration_seconds=1.0, f0_hz=125.0, jitter=0.0, shimmer=0.0, breathiness=0.0)
    tracks = articulate(delivery, generator())
    steady = tracks._replace(f0_hz=np.full(125, 125.0), voicing=np.ones(125), breath=np.zeros(125), noise=np.zeros(125))
    np.testing.assert_allclose(render(steady, delivery, generator())[128:], pulses()[128:], atol=1e-12)


def test_softer_tilt_and_longer_tract_move_the_spectrum_down():
    def centroid_hz(**changes):
        delivery = Delivery(duration_seconds=3.0, f0_hz=120.0, **changes)
        return librosa.feature.spectral_centroid(
            S=np.abs(librosa.stft(synthesize(delivery, generator()), n_fft=512)), sr=SAMPLE_RATE_HZ
        ).mean()

    neutral_hz = centroid_hz()
    assert centroid_hz(tilt_db_per_octave=-3.0) < neutral_hz < centroid_hz(tilt_db_per_octave=3.0)
    assert centroid_hz(formant_scale=0.85) < neutral_hz < centroid_hz(formant_scale=1.15)


def test_background_noise_is_at_the_level_asked_for():
    clean = synthesize(Delivery(3.0, 120.0, snr_db=200.0), generator())
    noisy = synthesize(Delivery(3.0, 120.0, snr_db=20.0), generator())
    noise = noisy - clean * (clean @ noisy) / (clean @ clean)
    assert 10 * np.log10(np.mean(clean**2) / np.mean(noise**2)) == pytest.approx(20, abs=1)


def test_the_peak_is_where_it_should_be_and_the_same_seed_says_the_same():
    delivery = Delivery(duration_seconds=1.6, f0_hz=180.0, peak_db=-6.0)
    speech = synthesize(delivery, generator())
    assert np.max(np.abs(speech)) == pytest.approx(10 ** (-6 / 20))
    assert len(speech) == 1.6 * SAMPLE_RATE_HZ
    assert np.array_equal(speech, synthesize(delivery, generator()))
    assert not np.array_equal(speech, synthesize(delivery, generator(8)))


@pytest.mark.parametrize("rate", [1.0, 12.0])
def test_odd_deliveries_stay_finite(rate):
    delivery = dataclasses.replace(Delivery(1.5, 90.0), syllables_per_second=rate, jitter=0.1, formant_scale=1.35)
    for seed in range(20):
        assert np.isfinite(synthesize(delivery, generator(seed))).all()
