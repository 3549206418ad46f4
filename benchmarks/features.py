"""Clips a second per core from file to MFCC: this package against librosa, alternating in one run.

Both read the same files, take three seconds of each and compute 40 coefficients of 1024-sample frames, 256 samples
apart. The process is bound to one core and what counts is its CPU time, so that other work on the machine matters less.

    python benchmarks/features.py                     # 200 generated clips of three seconds
    python benchmarks/features.py --folder emodb/wav  # the WAV files of a folder
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import librosa
import numpy as np
import soundfile

# Before TensorFlow is imported, so that it sizes its thread pools accordingly; as training switches it on.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

import tensorflow as tf  # noqa: E402 -- the core is chosen above

from lightsernet_tf.audio import decode, prepare, window_samples  # noqa: E402
from lightsernet_tf.config import AudioConfig, FeatureConfig  # noqa: E402
from lightsernet_tf.features import extract  # noqa: E402

AUDIO, FEATURES = AudioConfig(), FeatureConfig()


def ours(paths: list[Path]) -> int:
    """Compute the features of all files as a training run does; return how many there were."""

    def features(waveform: tf.Tensor, problem: tf.Tensor) -> tf.Tensor:
        return extract(prepare(waveform, AUDIO, FEATURES.sample_rate_hz), FEATURES)

    dataset = decode(paths, FEATURES.sample_rate_hz).map(features, num_parallel_calls=tf.data.AUTOTUNE)
    return sum(1 for _ in dataset.prefetch(tf.data.AUTOTUNE))


def with_librosa(paths: list[Path]) -> int:
    """Compute the same with librosa's own functions, file by file."""
    for path in paths:
        waveform, _ = librosa.load(path, sr=FEATURES.sample_rate_hz)
        waveform = librosa.util.fix_length(waveform, size=window_samples(AUDIO, FEATURES.sample_rate_hz))
        librosa.feature.mfcc(
            y=waveform,
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
    return len(paths)


def clips_a_second(compute: Callable[[list[Path]], int], paths: list[Path]) -> float:
    """Return clips per second of CPU time."""
    start = time.process_time()
    count = compute(paths)
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
    parser.add_argument("--clips", type=int, default=200, help="how many (default: %(default)s)")
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
        ours(paths[:4]), with_librosa(paths[:4])
        pairs = [
            (clips_a_second(ours, paths), clips_a_second(with_librosa, paths)) for _ in range(arguments.rounds)
        ]
    our_rates, librosa_rates = zip(*pairs, strict=True)
    print(f"{len(paths)} clips, {arguments.rounds} rounds, clips a second per core: median (lowest - highest)")
    for name, rates in (("lightsernet_tf", our_rates), (f"librosa {librosa.__version__}", librosa_rates)):
        print(f"  {name:16s} {statistics.median(rates):7.1f} ({min(rates):.1f} - {max(rates):.1f})")
    ratios = [our / peer for our, peer in pairs]
    print(f"  {'ratio':16s} {statistics.median(ratios):7.2f} ({min(ratios):.2f} - {max(ratios):.2f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
