"""Clips a second per core from file to MFCC: this package against librosa, alternating in one run.

Both read the same files, take the middle three seconds of each, bring them to their level (99.9th percentile) and
compute 40 coefficients of 1024-sample frames, 256 samples apart. The process is bound to one core and what counts is
its CPU time, so that other work on the machine matters less.

    python benchmarks/features.py                     # 500 generated clips of three seconds
    python benchmarks/features.py --folder emodb/wav  # the WAV files of a folder
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sized
from importlib.metadata import version
from pathlib import Path

# Before anything makes threads: each then has one for its arithmetic.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import librosa
import numpy as np
import soundfile
import tensorflow as tf

from lightsernet_tf.audio.decoding import decode
from lightsernet_tf.config import AudioConfig, FeatureConfig
from lightsernet_tf.data.feature_store import FILES_PER_BATCH
from lightsernet_tf.features.front_end import extract
from lightsernet_tf.features.windows import levelled_windows, window_samples

AUDIO, FEATURES = AudioConfig(), FeatureConfig()


def our_pipeline(paths: list[Path]) -> tf.data.Dataset:
    """Return batches of the features of all files, computed in the stages of the feature store."""

    def window(waveform: tf.Tensor, problem: tf.Tensor) -> tf.Tensor:
        return levelled_windows(waveform, AUDIO, FEATURES.sample_rate_hz)[0]  # [samples]

    windows = decode(paths, FEATURES.sample_rate_hz).map(window, tf.data.AUTOTUNE).batch(FILES_PER_BATCH)
    return windows.map(lambda batch: extract(batch, FEATURES), tf.data.AUTOTUNE).prefetch(1)


def librosa_pipeline(paths: list[Path]) -> Iterator[np.ndarray]:
    """Compute the same with librosa's own functions and NumPy, in batches of one file."""
    window = window_samples(AUDIO, FEATURES.sample_rate_hz)
    for path in paths:
        waveform, _ = librosa.load(path, sr=FEATURES.sample_rate_hz)
        excess = max(len(waveform) - window, 0)
        waveform = waveform[excess // 2 : excess // 2 + window]
        waveform = np.clip(waveform / np.percentile(np.abs(waveform), 99.9), -1.0, 1.0)
        cepstrum = librosa.feature.mfcc(
            y=librosa.util.pad_center(waveform, size=window),
            sr=FEATURES.sample_rate_hz,
            n_mfcc=FEATURES.mfcc_coefficients,
            n_fft=FEATURES.frame_length_samples,
            hop_length=FEATURES.frame_step_samples,
            n_mels=FEATURES.mel_bins,
            fmin=FEATURES.mel_min_hz,
            fmax=FEATURES.mel_max_hz,
            htk=True,
            center=False,
        )
        yield cepstrum[np.newaxis]


def clips_a_second(batches: Iterable[Sized]) -> float:
    """Return clips per second of CPU time."""
    start = time.process_time()
    count = sum(len(batch) for batch in batches)
    return count / (time.process_time() - start)


def generate(folder: Path, count: int) -> list[Path]:
    """Write clips of three seconds of noise, 16-bit mono at 16 kHz."""
    random = np.random.default_rng(0)
    paths = [folder / f"{index:04d}.wav" for index in range(count)]
    for path in paths:
        soundfile.write(path, 0.1 * random.standard_normal(3 * FEATURES.sample_rate_hz), FEATURES.sample_rate_hz)
    return paths


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="WAV files to read instead of generated ones")
    parser.add_argument("--clips", type=int, default=500, help="how many (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.folder is None:
            paths = generate(Path(folder), arguments.clips)
        else:
            paths = sorted(arguments.folder.glob("*.wav"))[: arguments.clips]
        if not paths:
            print(f"error: {arguments.folder}: expected WAV files, received none", file=sys.stderr)
            return 2
        ours = our_pipeline(paths)
        pairs = [(clips_a_second(ours), clips_a_second(librosa_pipeline(paths))) for _ in range(arguments.rounds + 1)][
            1:
        ]  # the first round warms up
    our_rates, librosa_rates = zip(*pairs, strict=True)
    print(f"{len(paths)} clips, {arguments.rounds} rounds, clips a second per core: median (lowest - highest)")
    for name, rates in (("lightsernet_tf", our_rates), (f"librosa {version('librosa')}", librosa_rates)):
        print(f"  {name:16s} {statistics.median(rates):7.1f} ({min(rates):.1f} - {max(rates):.1f})")
    ratios = [our / peer for our, peer in pairs]
    print(f"  {'ratio':16s} {statistics.median(ratios):7.2f} ({min(ratios):.2f} - {max(ratios):.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
