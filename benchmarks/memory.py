"""Peak resident memory of building a feature store and reading an epoch from it, as the corpus grows.

Every row is measured in a process of its own. The row of 0 utterances shows what Python and TensorFlow take.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 16000


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m benchmarks.memory --utterances 500 10000",
    )
    parser.add_argument("--utterances", type=int, nargs="+", default=[0, 500, 10_000], help="sizes of the corpus")
    parser.add_argument("--with-waveforms", action="store_true", help="keep the waveforms too and augment them")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.measure is not None:
        measure(options.measure, options.with_waveforms)
        return 0
    print("| utterances | features MB | peak resident MB | build s | epoch s |\n|---|---|---|---|---|")
    for utterances in options.utterances:
        with tempfile.TemporaryDirectory() as folder:
            write_corpus(Path(folder), utterances)
            flags = ["--with-waveforms"] if options.with_waveforms else []
            command = [sys.executable, "-m", "benchmarks.memory", "--measure", folder, *flags]
            output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        print(f"| {utterances} | {output.strip()} |", flush=True)
    return 0


def write_corpus(folder: Path, utterances: int) -> None:
    """Write noises of 1 to 3 s as 16-bit WAV files."""
    random = np.random.default_rng(0)
    noise = 0.1 * random.standard_normal(10 * RATE_HZ)
    for index in range(utterances):
        start, length = random.integers(7 * RATE_HZ), random.integers(RATE_HZ, 3 * RATE_HZ)
        soundfile.write(folder / f"{index:06}.wav", noise[start : start + length], RATE_HZ, subtype="PCM_16")


def measure(folder: Path, with_waveforms: bool) -> None:
    """Build a store of the files in a folder, read one epoch of it and print what that took."""
    from lightsernet_tf.config import AugmentConfig, Config, TrainConfig
    from lightsernet_tf.data.batches import training_batches
    from lightsernet_tf.data.feature_store import open_feature_store

    paths = sorted(folder.glob("*.wav"))
    if not paths:
        print(f"0 | {peak_resident_mb():.0f} | |")
        return
    start = time.perf_counter()
    augment = AugmentConfig(gain_max_db=6.0 if with_waveforms else 0.0)
    config = Config(augment=augment, train=TrainConfig(seed=0), cache_dir=str(folder / "cache"))
    store = open_feature_store(paths, config)
    built = time.perf_counter()
    rows = np.arange(len(paths))
    batches = training_batches(store, rows, rows % 3, config, class_weights=None, first_epoch=0, last_epoch=1)
    for _ in batches:
        pass
    read = time.perf_counter()
    features_mb = store.features.nbytes / 1e6
    print(f"{features_mb:.0f} | {peak_resident_mb():.0f} | {built - start:.1f} | {read - built:.1f}")


def peak_resident_mb() -> float:
    """Return this process's peak, mapped files included; not that of the parent before it started this program."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak_kib) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
