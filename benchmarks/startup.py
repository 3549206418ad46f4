"""From the start of a process to its first answer, and its memory at the peak: the Python API and the command.

Each is a process of its own that hears a generated WAV file, once without counting and then again and again. Only what
a device has is imported; to measure that environment, run this with a Python made of tflite/requirements.txt.

    python benchmarks/startup.py [FILE.tflite]
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RUNS = 10
REPOSITORY = Path(__file__).parents[1]
SCRIPT = """
import sys, soundfile
from lightsernet_tf.predict.recognizer import EmotionRecognizer
samples, rate_hz = soundfile.read(sys.argv[2])
EmotionRecognizer(sys.argv[1]).predict(samples, rate_hz)
"""


def seconds(command: list[str]) -> float:
    """Return how long a process takes."""
    start = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main() -> int:
    """Print the table."""
    model = sys.argv[1] if len(sys.argv) > 1 else str(REPOSITORY / "tflite/light_sernet_emodb_int8.tflite")
    print(f"{Path(model).name}, Python {sys.version.split()[0]}, {RUNS} runs each")
    print("| | s, median | s, lowest - highest | MB at the peak, so far |\n| :-- | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as folder:
        for rate_hz in (16000, 44100):
            wav = str(Path(folder) / f"{rate_hz}.wav")
            soundfile.write(wav, 0.1 * np.random.default_rng(0).standard_normal(3 * rate_hz), rate_hz)
            command = ["-m", "lightsernet_tf.predict", wav, "--model", model]
            for name, arguments in (("EmotionRecognizer", ["-c", SCRIPT, model, wav]), ("predict", command)):
                times = [seconds([sys.executable, *arguments]) for _ in range(RUNS + 1)][1:]
                peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
                span = f"{min(times):.2f} - {max(times):.2f}"
                print(f"| {name}, {rate_hz} Hz | {statistics.median(times):.2f} | {span} | {peak_mb:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
