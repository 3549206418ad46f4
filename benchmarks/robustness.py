"""How an exported file fares with recordings that are unlike those it was trained on.

The held-out utterances of the fold that a configuration names (its test data, or its validation data where it tests
nobody) are heard as they are, with white noise, with less bandwidth, and through lossy codecs.

    python benchmarks/robustness.py FILE.tflite --config configs/emodb_final.yaml --corpus.data_dir data/emodb
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

# Before TensorFlow is imported, which otherwise tells what it finds on the machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from lightsernet_tf.audio.sound_files import read_sound_file
from lightsernet_tf.cli import native_messages_hidden
from lightsernet_tf.config_parser import config_parser, parse_config
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.splits import choose_fold
from lightsernet_tf.evaluate.bootstrap import bootstrap_intervals
from lightsernet_tf.evaluate.scores import score_predictions
from lightsernet_tf.evaluate.sections import interval
from lightsernet_tf.predict.recognizer import EmotionRecognizer
from lightsernet_tf.predict.waveforms import as_mono
from lightsernet_tf.reporting.markdown import markdown_table

Waveform = NDArray[np.float32]
Change = Callable[[Waveform, int], tuple[Waveform, int]]  # samples and rate -> samples and rate


def noise(snr_db: float) -> Change:
    """Return what adds white noise at a signal-to-noise ratio over the whole clip."""

    def add(waveform: Waveform, rate_hz: int) -> tuple[Waveform, int]:
        drawn = np.random.default_rng(len(waveform)).standard_normal(len(waveform))
        level = np.sqrt(np.mean(waveform**2)) * 10 ** (-snr_db / 20)
        return (waveform + level * drawn).astype(np.float32), rate_hz

    return add


def bandwidth(of_rate_hz: int) -> Change:
    """Return what leaves the frequencies of a lower rate."""

    def cut(waveform: Waveform, rate_hz: int) -> tuple[Waveform, int]:
        return soxr.resample(soxr.resample(waveform, rate_hz, of_rate_hz), of_rate_hz, rate_hz), rate_hz

    return cut


def codec(name: str, of_rate_hz: int) -> Change:
    """Return what encodes and decodes with libsndfile's own quality."""

    def code(waveform: Waveform, rate_hz: int) -> tuple[Waveform, int]:
        stream = io.BytesIO()
        converted = waveform if rate_hz == of_rate_hz else soxr.resample(waveform, rate_hz, of_rate_hz)
        soundfile.write(stream, converted, of_rate_hz, format=name)
        stream.seek(0)
        return soundfile.read(stream, dtype="float32")

    return code


CHANGES: dict[str, Change] = {
    "as recorded": lambda waveform, rate_hz: (waveform, rate_hz),
    "ten times quieter": lambda waveform, rate_hz: (0.1 * waveform, rate_hz),
    "converted to 48 kHz": lambda waveform, rate_hz: (soxr.resample(waveform, rate_hz, 48000), 48000),
    "white noise, 40 dB below": noise(40),
    "white noise, 30 dB below": noise(30),
    "white noise, 20 dB below": noise(20),
    "up to 7 kHz": bandwidth(14000),
    "up to 4 kHz (telephone)": bandwidth(8000),
    "OGG Vorbis, 16 kHz": codec("OGG", 16000),
    "MP3, 44.1 kHz": codec("MP3", 44100),
    "MP3, 16 kHz": codec("MP3", 16000),
}


def main() -> int:
    """Print the table."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 0
    config, _ = parse_config(config_parser("train", ""), sys.argv[2:])
    experiment = prepare(config)
    fold = choose_fold(experiment.folds, config.split)
    part, positions = ("test", fold.test) if fold.test else ("validation", fold.validation)
    with native_messages_hidden():
        recognizer = EmotionRecognizer(Path(sys.argv[1]))
        heard = [read_sound_file(experiment.corpus.utterances[position].path) for position in positions]
    clips = [(as_mono(samples), rate_hz) for samples, rate_hz in heard]
    true = experiment.class_ids[list(positions)]
    rows = []
    for name, change in CHANGES.items():
        labels = [recognizer.predict(*change(*clip)).label for clip in clips]
        predicted = [experiment.labels.index(label) for label in labels]
        scores = score_predictions(true, predicted, experiment.labels)
        limits = bootstrap_intervals(scores.confusion, seed=config.train.seed)
        rows.append((name, interval(scores.wa, limits["wa"]), interval(scores.ua, limits["ua"])))
    print(f"{Path(sys.argv[1]).name}, {len(clips)} {part} utterances of {experiment.corpus.name}, fold {fold.name}\n")
    print(markdown_table(("recordings", "WA", "UA"), rows, "lrr"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
