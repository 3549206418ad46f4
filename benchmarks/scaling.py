"""How cost grows with utterances, speakers, classes, folds and trials: one table for each thing that grows.

A corpus of short noises is written to a temporary folder and removed at the end. Seconds are CPU seconds of all threads
unless a column says wall, because other work on the machine changes those less.

    python benchmarks/scaling.py                                   # everything; about ten minutes on two cores
    python benchmarks/scaling.py --only trials --trials 10 100     # one part, other sizes
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import json
import logging
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np
from memory import peak_resident_mb, write_corpus

from lightsernet_tf.cli import run_command
from lightsernet_tf.config import AugmentConfig, Config, CorpusConfig, FeatureConfig, SplitConfig, TrainConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Corpus, Utterance
from lightsernet_tf.data.leaks import check_leaks
from lightsernet_tf.data.splits import PROTOCOLS, check_classes, make_folds
from lightsernet_tf.errors import InputError
from lightsernet_tf.tune.settings import SearchConfig, Strategy

CLASSES = 7
LOG_MEL, SPECTROGRAM = FeatureConfig(kind="log_mel_spectrogram"), FeatureConfig(kind="spectrogram")
BATCH_SIZE = 32
FOLD_UTTERANCES = 500  # of the fold whose stages are timed


@dataclass
class Took:
    """CPU seconds of all threads of this process and wall seconds, both of a ``with`` block."""

    cpu: float = 0.0
    wall: float = 0.0


@contextlib.contextmanager
def timed() -> Iterator[Took]:
    """Time a block."""
    took = Took()
    wall, cpu = time.perf_counter(), time.process_time()
    yield took
    took.wall, took.cpu = time.perf_counter() - wall, time.process_time() - cpu


def print_header(*names: str) -> None:
    """Print the head of a table."""
    print(f"\n| {' | '.join(names)} |\n|{' --: |' * len(names)}", flush=True)


def print_row(*cells: object) -> None:
    """Print a line of a table: numbers with three digits that count."""
    print(f"| {' | '.join(map(_cell, cells))} |", flush=True)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


@dataclass(frozen=True)
class Bench:
    """A corpus of noises and the settings that the parts ask for.

    Parameters
    ----------
    folder
        Where the files, the cache and the runs lie.
    sizes
        Numbers of utterances, rising; a corpus of a size is the first so many files.
    steps
        Training steps that are timed at most.
    trials
        Numbers of trials.
    made_up
        Numbers of utterances without audio.
    """

    folder: Path
    sizes: tuple[int, ...]
    steps: int
    trials: tuple[int, ...]
    made_up: tuple[int, ...]

    @cached_property
    def files(self) -> list[str]:
        """Names of the WAV files, 1 to 3 s each, written on first use."""
        (self.folder / "wav").mkdir(exist_ok=True)
        if not any((self.folder / "wav").iterdir()):
            write_corpus(self.folder / "wav", max(self.sizes))
        return sorted(path.name for path in (self.folder / "wav").iterdir())

    def config(self, utterances: int, speakers: int = 10, classes: int = CLASSES, **split: Any) -> Config:
        """Return settings for a manifest of so many utterances, which is written; ``split`` as in ``SplitConfig``."""
        manifest = self.folder / f"{utterances}_{speakers}_{classes}.csv"
        if not manifest.exists():
            labels = np.random.default_rng(0).permutation(utterances) % classes
            names = self.files[:utterances]
            lines = [f"wav/{name},label_{labels[n]:02},speaker_{n % speakers:05}" for n, name in enumerate(names)]
            manifest.write_text("\n".join(["path,label,speaker", *lines]) + "\n", encoding="utf-8")
        return Config(
            corpus=CorpusConfig(name="manifest", data_dir=str(manifest)),
            split=SplitConfig(**{"protocol": "group_k_fold", **split}),
            train=TrainConfig(batch_size=BATCH_SIZE, schedule="constant"),
            runs_dir=str(self.folder / "runs"),
            cache_dir=str(self.folder / "cache"),
        )


def corpus_part(bench: Bench) -> None:
    """Read manifests, make all folds and guard them; no audio is read."""
    print_header("utterances", "speakers", "protocol", "folds", "read s", "folds s", "guards s", "folds MB")
    for utterances in bench.sizes:
        content = [f"{n:064x}" for n in range(utterances)]
        for speakers in (10, 100, 1000):
            if speakers > utterances // 2:
                continue
            for protocol in ("leave_one_speaker_out", "group_k_fold"):
                config = bench.config(utterances, speakers, protocol=protocol)
                with timed() as read:
                    corpus = load_corpus(config.corpus)
                with timed() as split:
                    folds = make_folds(corpus.utterances, config.split)
                with timed() as guard:
                    for fold in folds:
                        check_leaks(fold, corpus.utterances, content, PROTOCOLS[protocol])
                        check_classes(fold, corpus.utterances, corpus.labels, PROTOCOLS[protocol])
                positions = sum(sys.getsizeof(part) for fold in folds for part in fold.parts().values())
                print_row(utterances, speakers, protocol, len(folds), read.cpu, split.cpu, guard.cpu, positions / 1e6)
    tracemalloc.start()
    corpus = load_corpus(bench.config(max(bench.sizes), 100).corpus)
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    print(f"\nA corpus holds {held_bytes / len(corpus.utterances):.0f} bytes of Python objects an utterance.")


def features_part(bench: Bench) -> None:
    """Call ``prepare`` with features to compute (cold) and with features in the cache (warm), and bytes on the disk."""
    from lightsernet_tf.data.experiment import prepare

    smallest = min(bench.sizes)
    cases: list[tuple[str, int, dict[str, Any]]] = [("mfcc", n, {}) for n in bench.sizes]
    cases += [(features.kind, smallest, {"features": features}) for features in (LOG_MEL, SPECTROGRAM)]
    cases.append(("mfcc, with waveforms", smallest, {"augment": AugmentConfig(gain_max_db=6.0)}))
    print_header(
        *("features", "utterances", "cold s", "cold wall s", "warm s", "warm wall s"),
        *("audio bytes", "array bytes", "record bytes"),
    )
    for name, utterances, settings in cases:
        config = dataclasses.replace(bench.config(utterances), **settings)
        with tempfile.TemporaryDirectory(dir=bench.folder) as cache:
            config = dataclasses.replace(config, cache_dir=config.cache_dir if name == "mfcc" else cache)
            with timed() as cold:
                experiment = prepare(config)
            with timed() as warm:
                prepare(config)
            store = experiment.store
            array_bytes = store.features.nbytes + (store.waveforms.nbytes if store.waveforms_path else 0)
            disk_bytes = sum(p.stat().st_size for p in (store.features_path, store.waveforms_path) if p is not None)
        audio_bytes = sum((bench.folder / "wav" / file).stat().st_size for file in bench.files[:utterances])
        each = [round(total / utterances) for total in (audio_bytes, array_bytes, disk_bytes - array_bytes)]
        print_row(name, utterances, cold.cpu, cold.wall, warm.cpu, warm.wall, *each)
    print(
        "\nBytes are those of one utterance. A warm prepare reads all of them: audio for its digest, array for its CRC."
    )


def reads_part(bench: Bench) -> None:
    """Read batches from the memory map: at random and in order, from the page cache and from the disk."""
    from lightsernet_tf.data.experiment import prepare

    print_header("features", "rows of a batch", "pages", "wall µs an utterance", "CPU µs an utterance", "read / used")
    middle = bench.sizes[len(bench.sizes) // 2]
    for features, utterances in ((FeatureConfig(), max(bench.sizes)), (SPECTROGRAM, middle)):
        store = prepare(dataclasses.replace(bench.config(utterances), features=features)).store
        batches = min(100, utterances // BATCH_SIZE // 4)
        row_bytes = store.features[0].nbytes
        orders = {"in order": np.arange(utterances), "random": np.random.default_rng(0).permutation(utterances)}
        for (order, rows), dropped in ((item, dropped) for dropped in (False, True) for item in orders.items()):
            for batch in np.array_split(np.arange(utterances), utterances // BATCH_SIZE):  # into the page cache
                store.features[batch].sum()
            if dropped:
                _drop_pages(store.features_path)
            before = _bytes_read()
            with timed() as took:
                for start in range(0, batches * BATCH_SIZE, BATCH_SIZE):
                    np.array(store.features[rows[start : start + BATCH_SIZE]])
            used = batches * BATCH_SIZE
            print_row(
                *(
                    features.kind,
                    order,
                    "dropped" if dropped else "cached",
                    1e6 * took.wall / used,
                    1e6 * took.cpu / used,
                ),
                (_bytes_read() - before) / (used * row_bytes),
            )


def _drop_pages(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def _bytes_read() -> int:
    """Return what this process has had read from disks."""
    counters = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in counters if line.startswith("read_bytes:"))


def training_part(bench: Bench) -> None:
    """Time steps of training and a validation pass at every size, and what an epoch writes."""
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.evaluate.predictors import keras_predictor, predict_utterances
    from lightsernet_tf.model.network import build_network
    from lightsernet_tf.train.fit import compile_network

    print_header(
        *("features", "utterances", "steps timed", "train ms an utterance", "wall ms", "of which data ms"),
        *("validate ms", "an epoch, CPU minutes"),
    )
    cases = [(FeatureConfig(), utterances, bench.steps) for utterances in bench.sizes]
    cases += [(features, min(bench.sizes), min(5, bench.steps)) for features in (LOG_MEL, SPECTROGRAM)]
    for features, utterances, most_steps in cases:
        experiment = prepare(dataclasses.replace(bench.config(utterances), features=features))
        network = build_network(experiment)
        compile_network(network, experiment)
        steps = min(most_steps, utterances // BATCH_SIZE)
        heard = steps * BATCH_SIZE
        network.fit(_batches(experiment), steps_per_epoch=3, shuffle=False, verbose=0)  # traces
        with timed() as train:
            network.fit(_batches(experiment), steps_per_epoch=steps, shuffle=False, verbose=0)
        with timed() as data:
            for _ in _batches(experiment).take(steps):
                pass
        predict = keras_predictor(network)
        judged = range(min(utterances, 1000, 4 * heard))
        predict_utterances(predict, experiment.store, judged[:64])
        with timed() as validate:
            predict_utterances(predict, experiment.store, judged)
        print_row(
            *(features.kind, utterances, steps, 1e3 * train.cpu / heard, 1e3 * train.wall / heard),
            *(1e3 * data.cpu / heard, 1e3 * validate.cpu / len(judged), train.cpu / heard * utterances / 60),
        )
    _print_checkpoints(bench, network)


def _print_checkpoints(bench: Bench, network: Any) -> None:
    from lightsernet_tf.runs.checkpoints import save_state, save_weights

    weights, state = (bench.folder / "checkpoints_alone" / name for name in ("epoch_0001.weights.h5", "state.npz"))
    writers: dict[str, tuple[Path, Callable[[], object]]] = {
        "weights of an epoch": (weights, partial(save_weights, weights, network)),
        "state": (state, partial(save_state, state, network, network.optimizer, [])),
    }
    print_header("file", "bytes", "CPU ms", "wall ms, flushed to the disk")
    for name, (path, write) in writers.items():
        took = []
        for _ in range(5):
            with timed() as one:
                write()
            took.append(one)
        cpu, wall = (1e3 * statistics.median(getattr(one, key) for one in took) for key in ("cpu", "wall"))
        print_row(name, path.stat().st_size, cpu, wall)


def _batches(experiment: Any) -> Any:
    from lightsernet_tf.data.batches import training_batches

    rows = np.arange(len(experiment.corpus.utterances))
    return training_batches(
        experiment.store,
        rows,
        experiment.class_ids,
        experiment.config,
        class_weights=None,
        first_epoch=0,
        last_epoch=100,
    )


def memory_part(bench: Bench) -> None:
    """Take the peak resident memory of processes that prepare, with the features in the cache, and train 20 steps."""
    from lightsernet_tf.data.experiment import prepare

    settings = bench.folder / "process.yaml"
    print_header("utterances", "speakers", "protocol", "after prepare, MB", "after 20 steps, MB")
    print_row(0, 0, "imports alone", *_in_a_process(measure_memory, ""), "")
    cases = [(n, 10, "group_k_fold") for n in bench.sizes]
    cases += [(max(bench.sizes), speakers, "leave_one_speaker_out") for speakers in (100, 1000)]
    for utterances, speakers, protocol in cases:
        prepare(bench.config(utterances))  # the cache
        config = bench.config(utterances, speakers, protocol=protocol)
        print_row(utterances, speakers, protocol, *_in_a_process(measure_memory, _written(config, settings)))


def measure_memory(settings: str) -> list[float]:
    """Return this process's peaks: MB after preparing and after training."""
    from lightsernet_tf.config_parser import load_config
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.model.network import build_network
    from lightsernet_tf.train.fit import compile_network

    if not settings:
        return [peak_resident_mb()]
    experiment = prepare(load_config(Path(settings)))
    prepared = peak_resident_mb()
    network = build_network(experiment)
    compile_network(network, experiment)
    steps = min(20, len(experiment.class_ids) // BATCH_SIZE)
    network.fit(_batches(experiment), steps_per_epoch=steps, shuffle=False, verbose=0)
    return [prepared, peak_resident_mb()]


def _in_a_process(measure: Callable[[str], list[float]], argument: str) -> list[float]:
    command = [sys.executable, __file__, "--measure", measure.__name__, argument]
    output = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [float(number) for number in json.loads(output.splitlines()[-1])]


def _written(config: Config, path: Path) -> str:
    from lightsernet_tf.config_parser import config_yaml

    path.write_text(config_yaml(config), encoding="utf-8")
    return str(path)


def made_up_part(bench: Bench) -> None:
    """Make up corpora of any size, without audio, to see what Python alone takes: a process and ten folds each."""
    print_header(
        *("utterances", "objects s", "folds and guards s", "JSON of the cache s", "rows of a fold s", "split.json s"),
        *("peak resident, MB", "beyond the imports, bytes an utterance"),
    )
    for utterances in bench.made_up:
        *seconds, peak_mb, start_mb = _in_a_process(measure_made_up, str(utterances))
        print_row(utterances, *seconds, peak_mb, round(1e6 * (peak_mb - start_mb) / utterances))


def measure_made_up(count: str) -> list[float]:
    """Return CPU seconds of what ``prepare`` and ``train`` do beside audio and network, and the process's peak MB."""
    from lightsernet_tf.data.experiment import Experiment
    from lightsernet_tf.data.feature_store import FeatureStore
    from lightsernet_tf.runs.fold import describe_split

    start_mb, utterances, took = peak_resident_mb(), int(count), []
    config = SplitConfig(protocol="group_k_fold")
    with timed() as stage:
        spoken = [Utterance(Path(f"wav/{n:08}.wav"), f"label_{n % 7}", f"{n % 1009:05}") for n in range(utterances)]
        corpus = Corpus("manifest", tuple(spoken), tuple(f"label_{n}" for n in range(7)))
    took.append(stage)
    digests = [f"{n:064x}" for n in range(utterances)]
    with timed() as stage:
        folds = make_folds(corpus.utterances, config)
        for fold in folds:
            check_leaks(fold, corpus.utterances, digests, PROTOCOLS[config.protocol])
            check_classes(fold, corpus.utterances, corpus.labels, PROTOCOLS[config.protocol])
    took.append(stage)
    with timed() as stage:
        hashlib.sha256(json.dumps({"files": digests}, sort_keys=True).encode()).hexdigest()
        record = json.loads(json.dumps({"segments": [1] * utterances, "content": digests}).encode())
        segments = np.repeat(np.arange(utterances), record["segments"])
        store = FeatureStore(Path("features.npy"), None, segments, tuple(record["content"]), {})
    took.append(stage)
    with timed() as stage:
        store.segments_of(folds[0].train)
    took.append(stage)
    class_ids = np.arange(utterances) % 7
    with timed() as stage:
        json.dumps(describe_split(Experiment(Config(), corpus, store, class_ids, tuple(folds), ()), folds[0]), indent=2)
    took.append(stage)
    return [*(stage.cpu for stage in took), peak_resident_mb(), start_mb]


def classes_part(bench: Bench) -> None:
    """Time what grows with classes: parameters, steps, intervals, reports, predictions."""
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.evaluate.bootstrap import bootstrap_intervals
    from lightsernet_tf.evaluate.figures import draw_confusion
    from lightsernet_tf.evaluate.scores import score
    from lightsernet_tf.evaluate.sections import scores_section
    from lightsernet_tf.model.network import build_network
    from lightsernet_tf.train.fit import compile_network

    print_header(
        *("classes", "utterances", "parameters", "train ms an utterance", "intervals s", "scores s", "picture s"),
        *("report KB", "predictions s", "prediction bytes", "held while writing, bytes"),
    )
    random = np.random.default_rng(0)
    for classes in (2, 7, 50):
        for utterances in (size for size in bench.sizes if size >= 10 * classes):
            experiment = prepare(bench.config(utterances, classes=classes))
            network = build_network(experiment)
            each: object = ""
            if utterances == max(bench.sizes):
                compile_network(network, experiment)
                steps = min(40, bench.steps)
                network.fit(_batches(experiment), steps_per_epoch=3, shuffle=False, verbose=0)
                with timed() as train:
                    network.fit(_batches(experiment), steps_per_epoch=steps, shuffle=False, verbose=0)
                each = 1e3 * train.cpu / (steps * BATCH_SIZE)
            probabilities = random.dirichlet(np.ones(classes), utterances)
            with timed() as scoring:
                scores = score(experiment.class_ids, probabilities, experiment.labels)
            with timed() as interval:
                limits = bootstrap_intervals(scores.confusion, seed=0)
            with timed() as picture:
                draw_confusion(scores, bench.folder / "confusion.png", "classes", [])
            report_kb = len(scores_section("Test", scores, limits).encode()) / 1e3
            seconds, size = _write_predictions(bench.folder / "predictions.csv", experiment, probabilities)
            tracemalloc.start()
            _write_predictions(bench.folder / "predictions.csv", experiment, probabilities[:500])
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            print_row(
                *(classes, utterances, network.count_params(), each, interval.cpu, scoring.cpu, picture.cpu),
                *(report_kb, seconds, size / utterances, peak_bytes // 500),
            )


def _write_predictions(path: Path, experiment: Any, probabilities: np.ndarray, fold: Any = None) -> tuple[float, int]:
    """Write predictions.csv as a judged run has it; return CPU seconds and bytes."""
    from lightsernet_tf.evaluate.judgement import Judgement
    from lightsernet_tf.evaluate.report import write_predictions
    from lightsernet_tf.evaluate.scores import score

    parts = {"test": tuple(range(len(probabilities)))} if fold is None else fold.parts()
    judgements = {}
    for part, positions in parts.items():
        chosen = list(positions)
        true = experiment.class_ids[chosen]
        scores = score(true, probabilities[chosen], experiment.labels)
        judgements[part] = Judgement(positions, true, probabilities[chosen], scores, {})
    with timed() as took:
        write_predictions(path, experiment, judgements)
    return took.cpu, path.stat().st_size


def folds_part(bench: Bench) -> None:
    """Time what a fold costs beside its training, weigh what it leaves on the disk, and pool many."""
    from lightsernet_tf.data.experiment import prepare

    utterances = min(FOLD_UTTERANCES, max(bench.sizes))
    config = bench.config(utterances)
    prepare(config)
    numbers = iter(_in_a_process(measure_fold, _written(config, bench.folder / "process.yaml")))
    print_header("stage of a fold in a process of its own", "CPU s", "wall s")
    for stage in STAGES:
        print_row(stage, next(numbers), next(numbers))
    print_header("what a run leaves on the disk", "bytes")
    for name, size in zip(LEFT, numbers, strict=True):
        print_row(name, int(size))
    print(f"\nA fold of {utterances} utterances, 7 classes, MFCC; its cache was warm.")

    print_header(
        *("utterances", "folds", "split s", "split bytes an utterance", "predictions s", "predictions bytes"),
        *("folds' files MB", "same_fold s", "num_used s", "pool s", "runs s"),
    )
    for utterances in bench.sizes:
        for speakers in (10, 100):
            if speakers <= utterances // 10:
                print_row(utterances, speakers, *_pooled(bench, utterances, speakers))


STAGES = (
    "start of Python, imports",
    "prepare, cache warm",
    "first training of 1 epoch in the process",
    "second training of 1 epoch in the process",
    "training of 3 epochs",
    "judging (evaluate)",
)
LEFT = (
    "checkpoints, an epoch",
    "state.npz",
    "tensorboard, of 3 epochs",
    "epochs.csv, of 3 epochs",
    "split.json",
    "reports, an epoch",
    "config.yaml and run.json",
)


def measure_fold(settings: str) -> list[float]:
    """Return CPU and wall seconds of each of ``STAGES`` and bytes of ``LEFT``."""
    from lightsernet_tf.config_parser import load_config
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.evaluate.run import evaluate_run
    from lightsernet_tf.train.fold import train

    config = load_config(Path(settings))
    took = [Took(time.process_time(), time.clock_gettime(time.CLOCK_BOOTTIME) - _started_at())]
    with timed() as stage:
        experiment = prepare(config)
    took.append(stage)
    for name, epochs in (("first", 1), ("second", 1), ("third", 3)):
        changed = dataclasses.replace(config, train=dataclasses.replace(config.train, epochs=epochs))
        with timed() as stage:
            run = train(changed, experiment, Path(config.runs_dir) / f"fold_{name}")
        took.append(stage)
    with timed() as stage:
        evaluate_run(run, "best", experiment)
    took.append(stage)
    sizes = [
        run.weights_path(1).stat().st_size,
        run.state_path.stat().st_size,
        _bytes_below(run.tensorboard_dir),
        (run.path / "epochs.csv").stat().st_size,
        (run.path / "split.json").stat().st_size,
        _bytes_below(run.path / "reports"),
        sum((run.path / name).stat().st_size for name in ("config.yaml", "run.json")),
    ]
    return [number for stage in took for number in (stage.cpu, stage.wall)] + sizes


def _started_at() -> float:
    """Return when this process started, in seconds since the machine did."""
    fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _pooled(bench: Bench, utterances: int, speakers: int) -> list[float]:
    """Write the folders of judged folds without training any, and pool them."""
    from lightsernet_tf.cross_validate.folds import pool
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.runs.fold import describe_split, same_fold
    from lightsernet_tf.runs.run import HISTORY_COLUMNS, Run
    from lightsernet_tf.runs.table import collect_runs

    experiment = prepare(bench.config(utterances, speakers, protocol="leave_one_speaker_out"))
    probabilities = np.random.default_rng(0).dirichlet(np.ones(CLASSES), utterances)
    path = bench.folder / "runs" / f"pooled_{utterances}_{speakers}"
    split_seconds, split_bytes, prediction_seconds, prediction_bytes = [], 0, [], 0
    for number, fold in enumerate(experiment.folds):
        split = dataclasses.replace(experiment.config.split, fold=number)
        config = dataclasses.replace(experiment.config, split=split)
        about = {"labels": list(experiment.labels), "notes": []}
        with (
            timed() as took,
            Run.create(path / fold.name, config, describe_split(experiment, fold), about, Path.touch) as run,
        ):
            pass
        split_seconds.append(took.cpu)
        split_bytes += (run.path / "split.json").stat().st_size
        run.write_history([{column: 1.0 for column in HISTORY_COLUMNS}])
        run.weights_path(1).parent.mkdir()
        run.weights_path(1).touch()
        seconds, size = _write_predictions(run.report_dir(1) / "predictions.csv", experiment, probabilities, fold)
        prediction_seconds.append(seconds)
        prediction_bytes += size
    with timed() as same:
        same_fold(run, dataclasses.replace(experiment, config=run.config))
    with timed() as used:
        assert experiment.num_used == utterances
    with timed() as pooling:
        pool(path, experiment)
    with timed() as listing:
        collect_runs(path)
    lines = utterances * speakers
    return [
        *(statistics.median(split_seconds), split_bytes / lines),
        *(statistics.median(prediction_seconds), prediction_bytes / lines),
        *((split_bytes + prediction_bytes) / 1e6, same.cpu, used.cpu, pooling.cpu, listing.cpu),
    ]


def trials_part(bench: Bench) -> None:
    """Time what the chief of a search does for each trial: made-up scores, no training."""
    print_header(
        *("strategy", "trials so far", "create CPU ms", "create wall ms", "update and end wall ms"),
        *("oracle.json KB", "trial.json bytes", "written so far MB", "workers at 10 min a trial"),
    )
    for strategy in get_args(Strategy):
        for trials in bench.trials:
            with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
                search = Search(_oracle(strategy, trials), Path(folder))
                search.fill(trials)
                create_cpu, create, end = search.sample(2 if strategy == "bayesian" and trials > 100 else 5)
                oracle_bytes = (Path(folder) / "search" / "oracle.json").stat().st_size
                trial_bytes = next((Path(folder) / "search").glob("trial_*/trial.json")).stat().st_size
                written = search.written_bytes
            workers = int(600e3 / (create + end))
            print_row(
                *(strategy, trials, create_cpu, create, end, oracle_bytes / 1e3, trial_bytes, written / 1e6, workers)
            )
    _print_calls(bench)


def _oracle(strategy: Strategy, trials: int) -> Any:
    from keras_tuner import HyperParameters

    from lightsernet_tf.tune.oracles import make_oracle

    space = HyperParameters()
    space.Float("train.learning_rate", 1e-5, 1e-2, sampling="log")
    space.Float("model.dropout", 0.0, 0.6)
    space.Choice("train.batch_size", [8, 16, 32, 64])
    space.Float("model.l2", 1e-7, 1e-3, sampling="log")
    space.Choice("train.loss", ["cross_entropy", "focal"])
    space.Choice("train.schedule", ["published", "cosine", "constant"])
    options: dict[str, Any] = {"hyperband_rounds": 100} if strategy == "hyperband" else {"trials": trials + 100}
    if strategy == "bayesian":
        options["initial_trials"] = trials  # drawn at random; only those that are timed are not
    return make_oracle(SearchConfig(strategy=strategy, **options), space, epochs=81)


@dataclass
class Search:
    """A search whose trials end as soon as they begin, with the score of a smooth function and some noise."""

    oracle: Any
    folder: Path
    written_bytes: int = 0
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def __post_init__(self) -> None:
        self.oracle._set_project_dir(str(self.folder), "search")

    def one(self) -> tuple[float, float, float]:
        """Create and end a trial; return the milliseconds of creating, CPU and wall, and of ending, wall."""
        with timed() as create:
            trial = self.oracle.create_trial("worker")
        values = trial.hyperparameters.values
        distance = (math.log10(values["train.learning_rate"]) + 3.2) ** 2 + 6 * (values["model.dropout"] - 0.25) ** 2
        score = 0.7 - 0.05 * distance + 0.03 * self.random.standard_normal()
        with timed() as end:
            self.oracle.update_trial(trial.trial_id, {"val_ua": score})
            trial.status = "COMPLETED"
            self.oracle.end_trial(trial)
        self.written_bytes += 2 * (self.folder / "search" / "oracle.json").stat().st_size
        return 1e3 * create.cpu, 1e3 * create.wall, 1e3 * end.wall

    def fill(self, trials: int) -> None:
        """Have so many trials ended."""
        for _ in range(trials):
            self.one()

    def sample(self, times: int) -> list[float]:
        """Return the medians of `one` over some more trials."""
        return [statistics.median(column) for column in zip(*(self.one() for _ in range(times)), strict=True)]


def _print_calls(bench: Bench) -> None:
    """Print what the chief can answer over the loopback address with its one thread, and how long a restart takes."""
    import grpc
    from keras_tuner.src import protos
    from keras_tuner.src.distribute.oracle_chief import OracleServicer

    trials = max(bench.trials)
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        search = Search(_oracle("random", trials), Path(folder))
        search.fill(trials)
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        protos.get_service_grpc().add_OracleServicer_to_server(OracleServicer(search.oracle), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = protos.get_service_grpc().OracleStub(channel)
            request = protos.get_service().GetTrialRequest(trial_id=next(iter(search.oracle.trials)))
            answer = stub.GetTrial(request, wait_for_ready=True)
            with timed() as took:
                for _ in range(1000):
                    stub.GetTrial(request)
        server.stop(None).wait()
        with timed() as reload:
            search.oracle.reload()
    print_header("call", "CPU ms of both sides", "wall ms", "bytes")
    print_row("get_trial (a heartbeat)", took.cpu, took.wall, answer.ByteSize())
    print(f"\nA chief that is started again reads {trials} trials in {reload.cpu:.2f} s.")


PARTS: dict[str, Callable[[Bench], None]] = {
    "corpus": corpus_part,
    "features": features_part,
    "reads": reads_part,
    "training": training_part,
    "memory": memory_part,
    "made_up": made_up_part,
    "classes": classes_part,
    "folds": folds_part,
    "trials": trials_part,
}
MEASURES = {measure.__name__: measure for measure in (measure_memory, measure_made_up, measure_fold)}


def main(arguments: Sequence[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, nargs="+", default=[500, 2000, 10_000], help="sizes of the corpus")
    parser.add_argument("--made-up", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="without audio")
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 100, 1000], help="trials of a search")
    parser.add_argument("--steps", type=int, default=100, help="training steps timed at most (default: %(default)s)")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="parts to measure (default: all)")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    logging.getLogger("lightsernet_tf").setLevel(logging.WARNING)
    if options.measure is not None:
        name, argument = options.measure
        print(json.dumps(MEASURES[name](argument)))
        return 0
    if min(options.utterances) < 100 or min(options.trials) < 1 or options.steps < 1:
        raise InputError("expected at least 100 utterances, 1 trial and 1 step. Received: fewer")
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "keras-tuner", "numpy")))
    with tempfile.TemporaryDirectory() as folder:
        sizes, trials, made_up = (
            tuple(sorted(numbers)) for numbers in (options.utterances, options.trials, options.made_up)
        )
        bench = Bench(Path(folder), sizes, options.steps, trials, made_up)
        for name in options.only:
            print(f"\n## {name}: {PARTS[name].__doc__}")
            with timed() as took:
                PARTS[name](bench)
            print(f"\n({name} took {took.wall:.0f} s)", flush=True)
    return 0


if __name__ == "__main__":
    run_command(main)
