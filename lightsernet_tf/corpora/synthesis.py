"""Speech-like sound by source and filter: glottal pulses and noise through moving formants, NumPy alone.

The source is a train of Rosenberg pulses with jitter and shimmer on an intonation contour, breath noise beside it and
fricative noise and bursts between; the filter is a cascade of resonators (Fant, 1960; Klatt, 1980) whose formants glide
from syllable to syllable. What comes out has the acoustics of speech and no words. It serves the demo corpus; it does
not aim at sounding like anybody.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.corpora.articulation import HOP_SAMPLES, SAMPLE_RATE_HZ, Delivery, Floats, Tracks, articulate

FFT_SAMPLES = 1024  # four times a frame's length (two hops): room for a resonance to ring out before it wraps around
FORMANT_BANDWIDTHS_HZ = (70.0, 90.0, 130.0, 220.0, 320.0, 400.0)
CHUNK_HOPS = 32  # filtered at once: small enough for the processor's cache

DELAY = np.exp(-2j * np.pi * np.arange(FFT_SAMPLES // 2 + 1) / FFT_SAMPLES)  # [bins], by one sample: 1/z
RADIATION = 1 - DELAY  # the lips radiate changes of flow; the pulses come differentiated already


def synthesize(delivery: Delivery, rng: np.random.Generator) -> Floats:
    """Speak one utterance of random syllables.

    Parameters
    ----------
    delivery
        How it is spoken.
    rng
        Chooses the syllables, the accents and the noise.

    Returns
    -------
    ndarray
        float64 [samples] at 16 kHz, its peak at ``delivery.peak_db``.
    """
    speech = render(articulate(delivery, rng), delivery, rng)
    background = _pink_noise(len(speech), rng)
    background *= np.sqrt(np.mean(speech**2)) * 10 ** (-delivery.snr_db / 20)
    recording = speech + background
    return recording * (10 ** (delivery.peak_db / 20) / np.max(np.abs(recording)))


def render(tracks: Tracks, delivery: Delivery, rng: np.random.Generator) -> Floats:
    """Sound the tracks: pulses, breath and noise, each through its own filter, overlap-added every 8 ms.

    Returns
    -------
    ndarray
        float64 [hops * 128], of arbitrary level and without background noise.
    """
    hops = len(tracks.f0_hz)
    samples = hops * HOP_SAMPLES
    sample_hops = np.arange(samples) / HOP_SAMPLES

    def per_sample(track: Floats) -> Floats:
        return np.interp(sample_hops, np.arange(hops) + 0.5, track)

    pulses = glottal_pulses(per_sample(tracks.f0_hz), delivery.jitter, delivery.shimmer, rng)
    voice = _frames(pulses * per_sample(tracks.voicing))  # [hops, 256]
    breath = _frames(rng.standard_normal(samples) * per_sample(tracks.breath))
    noise = _frames(rng.standard_normal(samples) * per_sample(tracks.noise))
    tilt, channel = _slope(delivery.tilt_db_per_octave), _slope(delivery.channel_db_per_octave)
    overlaps = FFT_SAMPLES // HOP_SAMPLES
    blocks = np.zeros((hops + overlaps - 1, HOP_SAMPLES))
    for start in range(0, hops, CHUNK_HOPS):
        chunk = slice(start, min(start + CHUNK_HOPS, hops))
        tract = resonances(tracks.formants_hz[chunk], np.array(FORMANT_BANDWIDTHS_HZ))
        mouth = resonances(tracks.noise_hz[chunk, None], tracks.noise_bandwidth_hz[chunk, None])
        spectra = (_spectra(voice[chunk]) * tilt + _spectra(breath[chunk]) * RADIATION) * tract
        spectra += _spectra(noise[chunk]) * RADIATION * mouth
        pieces = np.fft.irfft(spectra * channel, FFT_SAMPLES).reshape(-1, overlaps, HOP_SAMPLES)
        for position in range(overlaps):
            blocks[chunk.start + position : chunk.stop + position] += pieces[:, position]
    return blocks[:hops].ravel()


def glottal_pulses(f0_hz: Floats, jitter: float, shimmer: float, rng: np.random.Generator) -> Floats:
    """Make the derivative of the glottal flow, which is what the lips radiate (Rosenberg, JASA 1971, pulse C).

    Parameters
    ----------
    f0_hz
        Fundamental frequency [samples].
    jitter, shimmer
        Standard deviation of the cycles' lengths and amplitudes, as fractions.
    rng
        Draws them.

    Returns
    -------
    ndarray
        float64 [samples], in the order of 1 at its negative peaks.
    """
    steady = np.cumsum(f0_hz) / SAMPLE_RATE_HZ
    cycles = int(steady[-1] * 1.2) + 2
    stretch = 1 + jitter * np.clip(rng.standard_normal(cycles), -3, 3)
    strength = 1 + shimmer * np.clip(rng.standard_normal(cycles), -3, 3)
    phase = np.cumsum(f0_hz * stretch[steady.astype(np.int64)]) / SAMPLE_RATE_HZ
    cycle = np.minimum(phase.astype(np.int64), cycles - 1)
    phase -= np.floor(phase)
    peak, closed = 0.4, 0.6  # opening takes two thirds of an open phase of 60 %
    flow = np.where(
        phase < peak,
        0.5 - 0.5 * np.cos(np.pi * phase / peak),
        np.cos(0.5 * np.pi * np.minimum((phase - peak) / (closed - peak), 1.0)),
    )
    flow *= strength[cycle]
    return np.diff(flow, prepend=0.0) * (SAMPLE_RATE_HZ / 10) / f0_hz


def resonances(centres_hz: Floats, bandwidths_hz: Floats) -> NDArray[np.complex128]:
    """Return the response of two-pole resonators in cascade, each with unit gain at 0 Hz (Klatt, JASA 1980, eq. 1-2).

    Parameters
    ----------
    centres_hz
        [hops, resonators]
    bandwidths_hz
        [hops, resonators], or [resonators] where they stay the same.

    Returns
    -------
    ndarray
        complex128 [hops, bins] from 0 to 8000 Hz.
    """
    radius = np.exp(-np.pi * bandwidths_hz / SAMPLE_RATE_HZ)
    first = -2 * radius * np.cos(2 * np.pi * centres_hz / SAMPLE_RATE_HZ)  # [hops, resonators]
    second = np.broadcast_to(radius**2, first.shape)
    response = np.ones((len(centres_hz), len(DELAY)), dtype=np.complex128)
    for a, b in zip(first.T[..., None], second.T[..., None], strict=True):
        response *= (1 + a + b) / (1 + a * DELAY + b * DELAY**2)
    return response


def _slope(db_per_octave: float) -> Floats:
    frequency_hz = np.fft.rfftfreq(FFT_SAMPLES, 1 / SAMPLE_RATE_HZ)
    return 10 ** (db_per_octave * np.log2(np.maximum(frequency_hz, 250.0) / 250.0) / 20)


def _frames(signal: Floats) -> Floats:
    """Cut a signal into frames of two hops under a Hann window, which add up to the signal: [hops, 256]."""
    blocks = np.append(signal, np.zeros(HOP_SAMPLES)).reshape(-1, HOP_SAMPLES)
    window = 0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * HOP_SAMPLES) + 0.5) / HOP_SAMPLES)
    return np.concatenate([blocks[:-1], blocks[1:]], axis=1) * window


def _spectra(frames: Floats) -> NDArray[np.complex128]:
    return np.fft.rfft(frames, FFT_SAMPLES)


def _pink_noise(samples: int, rng: np.random.Generator) -> Floats:
    """Return noise that falls by 3 dB an octave, of root mean square 1: [samples]."""
    length = 1 << (samples - 1).bit_length()
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE_HZ), 60.0))
    noise = np.fft.irfft(spectrum, length)[:samples]
    return noise / np.sqrt(np.mean(noise**2))
