"""What a synthetic speaker does over time: random syllables with pauses, accents and a pitch contour over them.

This module plans; ``synthesis`` makes it sound. There are consonants and vowels with the formants of real ones, but no
words and no language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16000
HOP_SAMPLES = 128
HOP_SECONDS = HOP_SAMPLES / SAMPLE_RATE_HZ

Floats = NDArray[np.float64]

# First three formants of ten vowels, means of men (Peterson & Barney, JASA 1952, table II): [vowels, 3].
VOWEL_FORMANTS_HZ = np.array(
    [
        [270, 390, 530, 660, 730, 570, 440, 300, 640, 490],
        [2290, 1990, 1840, 1720, 1090, 840, 1020, 870, 1190, 1350],
        [3010, 2550, 2480, 2410, 2440, 2410, 2240, 2240, 2390, 1690],
    ],
    dtype=np.float64,
).T
UPPER_FORMANTS_HZ = (3500.0, 4500.0, 5500.0)


class Consonant(NamedTuple):
    """What precedes a vowel: relative amplitudes of voice and noise, where the noise sits, where formants start."""

    voicing: float
    noise: float
    noise_hz: float
    noise_bandwidth_hz: float
    second_formant_hz: float
    is_stop: bool = False


CONSONANTS = (
    Consonant(0.00, 0.08, 6000, 2200, 1700),  # s
    Consonant(0.00, 0.08, 3600, 1600, 1900),  # sh
    Consonant(0.00, 0.03, 4500, 6000, 1000),  # f
    Consonant(0.25, 0.05, 5500, 2200, 1700),  # z
    Consonant(0.00, 0.12, 1200, 2000, 800, is_stop=True),  # p
    Consonant(0.00, 0.13, 4800, 2500, 1800, is_stop=True),  # t
    Consonant(0.00, 0.13, 2100, 1200, 2100, is_stop=True),  # k
    Consonant(0.10, 0.08, 4500, 2500, 1800, is_stop=True),  # d
    Consonant(0.30, 0.00, 4000, 2000, 900),  # m
    Consonant(0.30, 0.00, 4000, 2000, 1700),  # n
    Consonant(0.45, 0.00, 4000, 2000, 1300),  # l
    Consonant(0.70, 0.00, 4000, 2000, 1500),  # none
)


@dataclass(frozen=True)
class Delivery:
    """How one utterance is spoken and recorded.

    Parameters
    ----------
    duration_seconds
        Length of the recording, with its silent ends.
    f0_hz
        Geometric mean of the fundamental frequency.
    f0_range_semitones
        Height of the largest pitch accents above the declining base line.
    syllables_per_second
        Speaking rate between the pauses.
    formant_scale
        Formants relative to a man's: shorter vocal tracts, and smiles, lie above 1.
    tilt_db_per_octave
        Change of the voice's spectral slope above 250 Hz; negative is softer.
    breathiness
        Amplitude of the breath noise relative to the voice.
    jitter
        Standard deviation of the length of successive glottal cycles, as a fraction.
    shimmer
        Standard deviation of their amplitude, as a fraction.
    channel_db_per_octave
        Slope of the microphone's response above 250 Hz, for voice and noise alike.
    snr_db
        Level of the speech above the background noise.
    peak_db
        Highest sample, relative to full scale.
    """

    duration_seconds: float
    f0_hz: float
    f0_range_semitones: float = 4.0
    syllables_per_second: float = 4.5
    formant_scale: float = 1.0
    tilt_db_per_octave: float = 0.0
    breathiness: float = 0.02
    jitter: float = 0.008
    shimmer: float = 0.05
    channel_db_per_octave: float = 0.0
    snr_db: float = 40.0
    peak_db: float = -3.0


class Tracks(NamedTuple):
    """What the voice does over time; every array has one entry per hop of 8 ms."""

    f0_hz: Floats  # [hops]
    voicing: Floats  # [hops], amplitude of the glottal pulses
    breath: Floats  # [hops], amplitude of the noise at the glottis
    noise: Floats  # [hops], amplitude of the noise at the constriction
    noise_hz: Floats  # [hops]
    noise_bandwidth_hz: Floats  # [hops]
    formants_hz: Floats  # [hops, 6]


def articulate(delivery: Delivery, rng: np.random.Generator) -> Tracks:
    """Plan an utterance: syllables with pauses between phrases, an accent on some, and a contour over them all."""
    hops = round(delivery.duration_seconds / HOP_SECONDS)
    onset, length, after_pause, before_pause = _syllable_times(delivery, rng)
    syllables = len(onset)
    accent = np.where(rng.random(syllables) < 0.45, rng.uniform(0.5, 1.0, syllables), rng.uniform(0.0, 0.25, syllables))
    consonants = [CONSONANTS[index] for index in rng.integers(len(CONSONANTS), size=syllables)]
    consonant = np.array([c[:5] for c in consonants])  # [syllables, 5]
    is_stop = np.array([c.is_stop for c in consonants])
    vowels_hz = VOWEL_FORMANTS_HZ[rng.integers(len(VOWEL_FORMANTS_HZ), size=syllables)]  # [syllables, 3]

    # Six control points per syllable: through the consonant (three), into the vowel, late in the vowel, and its end.
    consonant_share = rng.uniform(0.28, 0.42, syllables)[:, None]
    points = np.concatenate(
        [consonant_share * [0.0, 0.55, 0.85], consonant_share + (1 - consonant_share) * [0.2, 0.75, 0.99]], axis=1
    )
    seconds = (onset[:, None] + length[:, None] * points).ravel()  # [syllables * 6]
    hop_seconds = (np.arange(hops) + 0.5) * HOP_SECONDS

    def track(values: Floats) -> Floats:
        return np.interp(hop_seconds, seconds, values.ravel())

    loudness = 10 ** ((5.0 * accent - 4.0 * onset / delivery.duration_seconds) / 20)
    closure, voiced = consonant[:, 0], np.ones(syllables)
    voicing = loudness[:, None] * np.stack(
        [closure * ~after_pause, closure, closure + 0.1, voiced, 0.85 * voiced, 0.5 * ~before_pause], axis=1
    )
    puff = consonant[:, 1]
    noise = np.stack(
        [0 * puff, puff * ~is_stop, puff * np.where(is_stop, 1.3, 0.7), 0 * puff, 0 * puff, 0 * puff],
        axis=1,
    )
    locus_hz = np.stack([np.full(syllables, 300.0), consonant[:, 4], np.full(syllables, 2500.0)], axis=1)
    formants_hz = [
        track(np.stack([locus_hz[:, i]] * 3 + [vowels_hz[:, i]] * 2 + [(vowels_hz[:, i] + 500 * (i + 1)) / 2], axis=1))
        for i in range(3)
    ]
    formants_hz += [np.full(hops, upper_hz) for upper_hz in UPPER_FORMANTS_HZ]
    voicing_track = track(voicing)
    middle_seconds = onset + 0.65 * length
    return Tracks(
        f0_hz=_intonation(delivery, hop_seconds, middle_seconds, accent, voicing_track, rng),
        voicing=voicing_track,
        breath=delivery.breathiness * voicing_track + 0.15 * track(noise),
        noise=track(noise),
        noise_hz=track(np.repeat(consonant[:, 2], 6)),
        noise_bandwidth_hz=track(np.repeat(consonant[:, 3], 6)),
        formants_hz=delivery.formant_scale * np.stack(formants_hz, axis=1),
    )


def _syllable_times(delivery: Delivery, rng: np.random.Generator) -> tuple[Floats, Floats, NDArray, NDArray]:
    """Return onset and length of each syllable in seconds, and whether a pause comes before and after it."""
    head_seconds, tail_seconds = rng.uniform(0.08, 0.22, 2)
    speech_seconds = delivery.duration_seconds - head_seconds - tail_seconds
    pauses = int(rng.integers(0, 1 + int(speech_seconds / 1.1)))
    pause_seconds = rng.uniform(0.12, 0.28, pauses)
    syllables = max(2 + pauses, round((speech_seconds - pause_seconds.sum()) * delivery.syllables_per_second))
    pause_after = np.sort(rng.choice(syllables - 1, size=pauses, replace=False))
    length = np.exp(rng.normal(0.0, 0.2, syllables))
    before_pause = np.zeros(syllables, dtype=bool)
    before_pause[np.append(pause_after, syllables - 1)] = True
    length[before_pause] *= 1.35  # phrase-final lengthening
    length *= (speech_seconds - pause_seconds.sum()) / length.sum()
    gap_seconds = np.zeros(syllables)
    gap_seconds[pause_after] = pause_seconds
    onset = head_seconds + np.concatenate([[0.0], np.cumsum(length + gap_seconds)[:-1]])
    after_pause = np.roll(before_pause, 1)
    return onset, length, after_pause, before_pause


def _intonation(
    delivery: Delivery,
    seconds: Floats,
    accent_seconds: Floats,
    accent: Floats,
    voicing: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Draw a declining base line with accents on it, its mean over the voiced hops at ``delivery.f0_hz``."""
    span = delivery.f0_range_semitones
    declination = -0.35 * span * seconds / seconds[-1]
    bumps = np.exp(-(((seconds[:, None] - accent_seconds) / 0.09) ** 2)) @ accent  # [hops]
    last_rise = rng.uniform(-0.5, 0.35) * np.clip((seconds - seconds[-1] + 0.5) / 0.4, 0.0, 1.0)
    semitones = declination + span * (bumps + last_rise)
    semitones -= np.average(semitones, weights=voicing)
    return delivery.f0_hz * 2 ** (semitones / 12)
