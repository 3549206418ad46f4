"""What is in a corpus: who says what how often, how long, and which files will make trouble.

Every file is decoded once, block by block: memory grows neither with the corpus nor with the length of its files.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from lightsernet_tf.audio.sound_files import blocks, mix, open_sound_file
from lightsernet_tf.corpora.base import Corpus, Skipped
from lightsernet_tf.errors import AudioError

# Corpora such as EMO-DB are scaled until one sample reaches full scale: only several in a row have lost their peak.
CLIPPED_RUN_SAMPLES = 3
FULL_SCALE = 0.9999
_FULL_SCALE_OF_COARSE = {"PCM_U8": 127 / 128, "PCM_S8": 127 / 128, "ULAW": 32124 / 32768, "ALAW": 32256 / 32768}


class Recording(NamedTuple):
    """The properties of a file's samples.

    ``content`` is the SHA-256 of its samples mixed as in training: mono, float32, little endian, at the file's own
    rate; ``full_scale`` the share of samples whose magnitude is at least ``FULL_SCALE``; ``clipped`` is true where
    ``CLIPPED_RUN_SAMPLES`` of these follow each other in a channel; ``silent`` where all samples have the same value.
    """

    sample_rate_hz: int
    channels: int
    duration_seconds: float
    content: str
    full_scale: float
    clipped: bool
    silent: bool


@dataclass(frozen=True)
class CorpusSummary:
    """The contents of a corpus in numbers.

    Parameters
    ----------
    corpus
        What was inspected.
    counts
        Utterances by (speaker, label).
    formats
        Files by (sample rate in Hz, channels).
    durations_seconds
        Sorted, of the files that could be read.
    duplicates
        Groups of files of one rate whose samples, mixed to mono, are the same, whatever their names and formats: those
        that training takes for the same. Training resamples first, so it also finds silence of two rates the same.
    full_scale
        Number of files with a sample at full scale, clipped or not.
    clipped
        Files with ``CLIPPED_RUN_SAMPLES`` in a row at full scale, and the share of all samples there, worst first.
    silent
        Files in which every sample has the same value.
    unreadable
        Files that cannot be decoded or hold no usable samples, and why.
    """

    corpus: Corpus
    counts: Mapping[tuple[str, str], int]
    formats: Mapping[tuple[int, int], int]
    durations_seconds: tuple[float, ...]
    duplicates: tuple[tuple[Path, ...], ...]
    full_scale: int
    clipped: tuple[tuple[Path, float], ...]
    silent: tuple[Path, ...]
    unreadable: tuple[Skipped, ...]

    @property
    def speakers(self) -> list[str]:
        """The corpus's speakers, sorted."""
        return sorted({speaker for speaker, _ in self.counts})


def inspect_recording(path: Path) -> Recording:
    """Decode a file block by block.

    Raises
    ------
    AudioError
        If it is no audio, is cut short, is empty or holds samples that are not finite.
    """
    digest = hashlib.sha256()
    frames = full_scale = unfinite = 0
    clipped = False
    lowest, highest = np.inf, -np.inf
    with open_sound_file(path) as audio:
        rate_hz, channels = audio.samplerate, audio.channels
        limit = _FULL_SCALE_OF_COARSE.get(audio.subtype, FULL_SCALE)
        loud = np.zeros((0, channels), bool)
        for block in blocks(audio):  # [frames, channels]
            digest.update(mix(block).astype("<f4").tobytes())
            frames += len(block)
            # The end of the block before goes first, so that no run is cut in two.
            loud = np.concatenate([loud[1 - CLIPPED_RUN_SAMPLES :], np.abs(block) >= limit])
            full_scale += np.count_nonzero(loud[-len(block) :])
            clipped = clipped or _has_run(loud)
            unfinite += np.count_nonzero(~np.isfinite(block))
            lowest, highest = min(lowest, block.min()), max(highest, block.max())
        if frames == 0:
            raise AudioError("expected audio, received a file without samples")
        if unfinite:
            raise AudioError(f"expected finite samples, received {unfinite} that are NaN or infinite")
    return Recording(
        sample_rate_hz=rate_hz,
        channels=channels,
        duration_seconds=frames / rate_hz,
        content=digest.hexdigest(),
        full_scale=full_scale / (frames * channels),
        clipped=clipped,
        silent=bool(lowest == highest),
    )


def _has_run(loud: np.ndarray) -> bool:
    """Return whether ``CLIPPED_RUN_SAMPLES`` frames in a row are true in one channel of [frames, channels]."""
    runs = [loud[first : len(loud) + 1 - CLIPPED_RUN_SAMPLES + first] for first in range(CLIPPED_RUN_SAMPLES)]
    return len(loud) >= CLIPPED_RUN_SAMPLES and bool(np.logical_and.reduce(runs).any())


def inspect_corpus(corpus: Corpus) -> CorpusSummary:
    """Decode every file of a corpus once and count; a progress bar runs on the standard error stream."""
    recordings: dict[Path, Recording] = {}
    unreadable = []
    for utterance in tqdm(corpus.utterances, desc=f"reading {corpus.name}", unit=" files", leave=False):
        try:
            recordings[utterance.path] = inspect_recording(utterance.path)
        except AudioError as error:
            unreadable.append(Skipped(utterance.path, str(error).removeprefix(f"{utterance.path}: ")))
    by_content: dict[tuple[int, str], list[Path]] = {}
    for path, recording in recordings.items():
        by_content.setdefault((recording.sample_rate_hz, recording.content), []).append(path)
    clipped = [(path, recording.full_scale) for path, recording in recordings.items() if recording.clipped]
    return CorpusSummary(
        corpus=corpus,
        counts=Counter((utterance.speaker, utterance.label) for utterance in corpus.utterances),
        formats=Counter((recording.sample_rate_hz, recording.channels) for recording in recordings.values()),
        durations_seconds=tuple(sorted(recording.duration_seconds for recording in recordings.values())),
        duplicates=tuple(tuple(paths) for paths in by_content.values() if len(paths) > 1),
        full_scale=sum(recording.full_scale > 0 for recording in recordings.values()),
        clipped=tuple(sorted(clipped, key=lambda pair: pair[1], reverse=True)),
        silent=tuple(path for path, recording in recordings.items() if recording.silent),
        unreadable=tuple(unreadable),
    )
