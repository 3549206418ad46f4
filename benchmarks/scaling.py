"""How cost grows with utterances, speakers, classes, folds and trials: one table for each thing that grows.

A corpus of short noises is written to a temporary folder and removed at the end. Seconds are CPU seconds of all threads
unless a column says wall, because other work on the machine changes those less.

    python benchmarks/scaling.py                                   # everything; about ten minutes on two cores
    python benchmarks/scaling.py --only trials --trials 10 100     # one table, other sizes
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, get_args

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np
from memory import peak_resident_mb, write_corpus

from lightsernet_tf.cli import run_command
from lightsernet_tf.config import AugmentConfig, Config, CorpusConfig, FeatureConfig, SplitConfig, TrainConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Corpus, Utterance
from lightsernet_tf.data.leaks import check_leaks
from lightsernet_tf.data.splits import PROTOCOLS, Fold, check_classes, make_folds
from lightsernet_tf.errors import InputError
from lightsernet_tf.tune.settings import SearchConfig, Strategy

CLASSES = 7
BATCH_SIZE = 32
FOLD_UTTERANCES = 500  # of the fold whose stages are timed
MFCC, LOG_MEL, SPECTROGRAM = (FeatureConfig(kind=k) for k in ("mfcc", "log_mel_spectrogram", "spectrogram"))

Rows = Iterator[tuple[object, ...]]


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


def in_a_process(measure: Callable[..., Any], *arguments: object) -> Any:
    """Return what a function of this module returns in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure, *arguments).result()


@dataclass(frozen=True)
class Bench:
    """A corpus of noises and the sizes that the tables ask for.

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
    def files(self) -> list[Path]:
        """WAV files, 1 to 3 s each, written on first use."""
        (self.folder / "wav").mkdir()
        write_corpus(self.folder / "wav", max(self.sizes))
        return sorted((self.folder / "wav").iterdir())

    def config(self, utterances: int, speakers: int = 10, classes: int = CLASSES, **split: Any) -> Config:
        """Return settings for a manifest of so many utterances, which is written; ``split`` as in ``SplitConfig``."""
        manifest = self.folder / f"{utterances}_{speakers}_{classes}.csv"
        labels = np.random.default_rng(0).permutation(utterances) % classes
        lines = [
            f"wav/{path.name},label_{labels[n]:02},speaker_{n % speakers:05}"
            for n, path in enumerate(self.files[:utterances])
        ]
        manifest.write_text("\n".join(["path,label,speaker", *lines]) + "\n", encoding="utf-8")
        return Config(
            corpus=CorpusConfig(name="manifest", data_dir=str(manifest)),
            split=SplitConfig(**{"protocol": "group_k_fold", **split}),
            train=TrainConfig(batch_size=BATCH_SIZE, schedule="constant"),
            runs_dir=str(self.folder / "runs"),
            cache_dir=str(self.folder / "cache"),
        )


def corpus_rows(bench: Bench) -> Rows:
    """Read manifests, make all folds and check them for leaks; no audio is read."""
    for utterances in bench.sizes:
        content = [f"{n:064x}" for n in range(utterances)]
        for speakers in (n for n in (10, 100, 1000) if n <= utterances // 2):
            for protocol in ("leave_one_speaker_out", "group_k_fold"):
                config = bench.config(utterances, speakers, protocol=protocol)
                with timed() as read:
                    corpus = load_corpus(config.corpus)
                with timed() as split:
                    folds = make_folds(corpus.utterances, config.split)
                with timed() as guard:
                    _guard(folds, corpus, content, config.split)
                positions = sum(sys.getsizeof(part) for fold in folds for part in fold.parts().values())
                yield utterances, speakers, protocol, len(folds), read.cpu, split.cpu, guard.cpu, positions / 1e6


def _guard(folds: Sequence[Fold], corpus: Corpus, content: Sequence[str], config: SplitConfig) -> None:
    for fold in folds:
        check_leaks(fold, corpus.utterances, content, PROTOCOLS[config.protocol])
        check_classes(fold, corpus.utterances, corpus.labels, PROTOCOLS[config.protocol])


def features_rows(bench: Bench) -> Rows:
    """Call ``prepare`` without (cold) and with (warm) features in the cache; bytes are those of one utterance."""
    from lightsernet_tf.data.experiment import prepare

    smallest = min(bench.sizes)
    cases: list[tuple[str, int, dict[str, Any]]] = [("mfcc", n, {}) for n in bench.sizes]
    cases += [(features.kind, smallest, {"features": features}) for features in (LOG_MEL, SPECTROGRAM)]
    cases.append(("mfcc, with waveforms", smallest, {"augment": AugmentConfig(gain_max_db=6.0)}))
    for name, utterances, settings in cases:
        config = replace(bench.config(utterances), cache_dir=str(bench.folder / "cold" / f"{name} {utterances}"))
        config = replace(config, **settings)
        with timed() as cold:
            store = prepare(config).store
        with timed() as warm:
            prepare(config)
        arrays = store.features.nbytes + (store.waveforms.nbytes if store.waveforms_path else 0)
        on_disk = sum(p.stat().st_size for p in (store.features_path, store.waveforms_path) if p is not None)
        each = (round(total / utterances) for total in (arrays, on_disk - arrays))
        yield name, utterances, cold.cpu, cold.wall, warm.cpu, warm.wall, *each


def reads_rows(bench: Bench) -> Rows:
    """Read batches from the memory map: at random and in order, from the page cache and from the disk."""
    from lightsernet_tf.data.experiment import prepare

    middle = bench.sizes[len(bench.sizes) // 2]
    for features, utterances in ((MFCC, max(bench.sizes)), (SPECTROGRAM, middle)):
        store = prepare(replace(bench.config(utterances), features=features)).store
        used = min(100, utterances // BATCH_SIZE // 4) * BATCH_SIZE
        orders = {"in order": np.arange(utterances), "random": np.random.default_rng(0).permutation(utterances)}
        for dropped in (False, True):
            for order, rows in orders.items():
                for start in range(0, utterances, BATCH_SIZE):  # into the page cache
                    store.features[start : start + BATCH_SIZE].sum()
                if dropped:
                    _drop_pages(store.features_path)
                before = _bytes_read()
                with timed() as took:
                    for start in range(0, used, BATCH_SIZE):
                        np.array(store.features[rows[start : start + BATCH_SIZE]])
                read = (_bytes_read() - before) / (used * store.features[0].nbytes)
                pages = "dropped" if dropped else "cached"
                yield features.kind, order, pages, 1e6 * took.wall / used, 1e6 * took.cpu / used, read


def _drop_pages(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _bytes_read() -> int:
    """Return how many bytes the kernel has read from disks for this process."""
    counters = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in counters if line.startswith("read_bytes:"))


def training_rows(bench: Bench) -> Rows:
    """Time steps of training and a validation pass at every size."""
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.evaluate.predictors import keras_predictor, predict_utterances

    cases = [(MFCC, utterances, bench.steps) for utterances in bench.sizes]
    cases += [(features, min(bench.sizes), min(5, bench.steps)) for features in (LOG_MEL, SPECTROGRAM)]
    for features, utterances, most_steps in cases:
        experiment = prepare(replace(bench.config(utterances), features=features))
        steps = min(most_steps, utterances // BATCH_SIZE)
        trained = steps * BATCH_SIZE
        network, train = _train_steps(experiment, steps)
        with timed() as data:
            for _ in _batches(experiment).take(steps):
                pass
        predict = keras_predictor(network)
        judged = range(min(utterances, 1000, 4 * trained))
        predict_utterances(predict, experiment.store, judged[:64])
        with timed() as validate:
            predict_utterances(predict, experiment.store, judged)
        yield (
            *(features.kind, utterances, steps, 1e3 * train.cpu / trained, 1e3 * train.wall / trained),
            *(1e3 * data.cpu / trained, 1e3 * validate.cpu / len(judged), train.cpu / trained * utterances / 60),
        )


def _train_steps(experiment: Any, steps: int) -> tuple[Any, Took]:
    """Return a network that was trained some steps after it was traced, and what these took."""
    from lightsernet_tf.model.network import build_network
    from lightsernet_tf.train.fit import compile_network

    network = build_network(experiment)
    compile_network(network, experiment)
    network.fit(_batches(experiment), steps_per_epoch=3, shuffle=False, verbose=0)  # traces
    with timed() as took:
        network.fit(_batches(experiment), steps_per_epoch=steps, shuffle=False, verbose=0)
    return network, took


def _batches(experiment: Any) -> Any:
    from lightsernet_tf.data.batches import training_batches

    rows = np.arange(len(experiment.corpus.utterances))
    return training_batches(
        *(experiment.store, rows, experiment.class_ids, experiment.config),
        class_weights=None,
        first_epoch=0,
        last_epoch=100,
    )


def checkpoints_rows(bench: Bench) -> Rows:
    """Write what an epoch writes, whatever the corpus."""
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.runs.checkpoints import save_state, save_weights

    network, _ = _train_steps(prepare(bench.config(min(bench.sizes))), 1)
    weights, state = bench.folder / "epoch_0001.weights.h5", bench.folder / "state.npz"
    for path, write, given in ((weights, save_weights, ()), (state, save_state, (network.optimizer, []))):
        took = []
        for _ in range(5):
            with timed() as one:
                write(path, network, *given)
            took.append(one)
        median = (1e3 * statistics.median(getattr(one, key) for one in took) for key in ("cpu", "wall"))
        yield path.name, path.stat().st_size, *median


def memory_rows(bench: Bench) -> Rows:
    """Take the peak resident memory of processes that prepare, with the features in the cache, and train 20 steps."""
    from lightsernet_tf.data.experiment import prepare

    yield 0, 0, "imports alone", in_a_process(measure_imports), ""
    cases = [(n, 10, "group_k_fold") for n in bench.sizes]
    cases += [(max(bench.sizes), speakers, "leave_one_speaker_out") for speakers in (100, 1000)]
    for utterances, speakers, protocol in cases:
        prepare(bench.config(utterances))  # fills the cache
        config = bench.config(utterances, speakers, protocol=protocol)
        yield utterances, speakers, protocol, *in_a_process(measure_memory, config)


def measure_imports() -> float:
    """Return this process's peak MB after the imports of a training."""
    import lightsernet_tf.train.fold  # noqa: F401  (importing it is what is measured)

    return peak_resident_mb()


def measure_memory(config: Config) -> tuple[float, float]:
    """Return this process's peaks: MB after preparing and after training."""
    from lightsernet_tf.data.experiment import prepare

    experiment = prepare(config)
    prepared = peak_resident_mb()
    _train_steps(experiment, min(20, len(experiment.class_ids) // BATCH_SIZE))
    return prepared, peak_resident_mb()


def made_up_rows(bench: Bench) -> Rows:
    """Make up corpora of any size, without audio, to see what Python alone takes: a process and ten folds each."""
    for utterances in bench.made_up:
        yield utterances, *in_a_process(measure_made_up, utterances)


def measure_made_up(count: int) -> tuple[float, ...]:
    """Return CPU seconds of what ``prepare`` and ``train`` do beside audio and network, and the process's memory."""
    from lightsernet_tf.data.experiment import Experiment
    from lightsernet_tf.data.feature_store import FeatureStore
    from lightsernet_tf.runs.fold import describe_split

    start_mb = peak_resident_mb()
    config = SplitConfig(protocol="group_k_fold")
    with timed() as objects:
        spoken = [Utterance(Path(f"wav/{n:08}.wav"), f"label_{n % 7}", f"{n % 1009:05}") for n in range(count)]
        corpus = Corpus("manifest", tuple(spoken), tuple(f"label_{n}" for n in range(7)))
    digests = [f"{n:064x}" for n in range(count)]
    with timed() as guards:
        folds = make_folds(corpus.utterances, config)
        _guard(folds, corpus, digests, config)
    store = FeatureStore(Path("features.npy"), None, np.arange(count), tuple(digests), {})
    experiment = Experiment(Config(), corpus, store, np.arange(count) % 7, tuple(folds), ())
    with timed() as split:
        describe_split(experiment, folds[0])
    beyond = 1e6 * (peak_resident_mb() - start_mb) / count
    return objects.cpu, guards.cpu, split.cpu, peak_resident_mb(), round(beyond)


def classes_rows(bench: Bench) -> Rows:
    """Time what grows with classes: parameters, steps, intervals, pictures, predictions."""
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.evaluate.bootstrap import bootstrap_intervals
    from lightsernet_tf.evaluate.figures import draw_confusion
    from lightsernet_tf.evaluate.scores import score

    for classes in (2, 7, 50):
        for utterances in (size for size in bench.sizes if size >= 10 * classes):
            experiment = prepare(bench.config(utterances, classes=classes))
            steps = min(40, bench.steps, utterances // BATCH_SIZE)
            network, train = _train_steps(experiment, steps)
            probabilities = np.random.default_rng(0).dirichlet(np.ones(classes), utterances)
            scores = score(experiment.class_ids, probabilities, experiment.labels)
            with timed() as interval:
                bootstrap_intervals(scores.confusion, seed=0)
            with timed() as picture:
                draw_confusion(scores, bench.folder / "confusion.png", "classes", [])
            path = bench.folder / "predictions.csv"
            predictions = _write_predictions(path, experiment, probabilities, {"test": tuple(range(utterances))})
            yield (
                *(classes, utterances, network.count_params(), 1e3 * train.cpu / (steps * BATCH_SIZE)),
                *(interval.cpu, picture.cpu, predictions.cpu, path.stat().st_size / utterances),
            )


def _write_predictions(path: Path, experiment: Any, probabilities: np.ndarray, parts: dict[str, Any]) -> Took:
    """Write predictions.csv as a judged run has it, and time that."""
    from lightsernet_tf.evaluate.judgement import Judgement
    from lightsernet_tf.evaluate.report import write_predictions
    from lightsernet_tf.evaluate.scores import score

    judgements = {}
    for part, positions in parts.items():
        true, predicted = experiment.class_ids[list(positions)], probabilities[list(positions)]
        judgements[part] = Judgement(positions, true, predicted, score(true, predicted, experiment.labels), {})
    with timed() as took:
        write_predictions(path, experiment, judgements)
    return took


def fold_rows(bench: Bench) -> Rows:
    """Time the stages of a fold in a process of its own, and weigh what its run leaves on the disk; a warm cache."""
    from lightsernet_tf.data.experiment import prepare

    config = bench.config(min(FOLD_UTTERANCES, max(bench.sizes)))
    prepare(config)
    yield from in_a_process(measure_fold, config)


def measure_fold(config: Config) -> list[tuple[object, ...]]:
    """Return CPU and wall seconds of each stage, and bytes of what is left."""
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.evaluate.run import evaluate_run
    from lightsernet_tf.train.fold import train

    rows: list[tuple[object, ...]] = [("start of Python, imports", time.process_time(), "", "")]
    with timed() as took:
        experiment = prepare(config)
    rows.append(("prepare, cache warm", took.cpu, took.wall, ""))
    for name, epochs in (("first training of 1 epoch", 1), ("second training of 1 epoch", 1), ("3 epochs", 3)):
        changed = replace(config, train=replace(config.train, epochs=epochs))
        with timed() as took:
            run = train(changed, experiment, Path(config.runs_dir) / name)
        rows.append((name, took.cpu, took.wall, ""))
    with timed() as took:
        evaluate_run(run, "best", experiment)
    rows.append(("judging", took.cpu, took.wall, ""))
    for path in sorted(run.path.iterdir()):
        inside = [path, *path.rglob("*")]
        rows.append((f"{path.name}, 3 epochs", "", "", sum(one.stat().st_size for one in inside if one.is_file())))
    return rows


def pool_rows(bench: Bench) -> Rows:
    """Write the folders of judged folds without training any, and pool them."""
    from lightsernet_tf.cross_validate.folds import pool
    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.runs.fold import describe_split
    from lightsernet_tf.runs.run import HISTORY_COLUMNS, Run
    from lightsernet_tf.runs.table import collect_runs

    for utterances, speakers in ((n, s) for n in bench.sizes for s in (10, 100) if s <= n // 10):
        experiment = prepare(bench.config(utterances, speakers, protocol="leave_one_speaker_out"))
        probabilities = np.random.default_rng(0).dirichlet(np.ones(CLASSES), utterances)
        path = bench.folder / "pooled" / f"{utterances}_{speakers}"
        about = {"labels": list(experiment.labels), "notes": []}
        splits, predictions = [], []
        for number, fold in enumerate(experiment.folds):
            config = replace(experiment.config, split=replace(experiment.config.split, fold=number))
            with timed() as took:
                split = describe_split(experiment, fold)
                with Run.create(path / fold.name, config, split, about, Path.touch) as run:
                    run.write_history([{column: 1.0 for column in HISTORY_COLUMNS}])
            splits.append(took.cpu)
            run.weights_path(1).parent.mkdir()
            run.weights_path(1).touch()
            table = run.report_dir(1) / "predictions.csv"
            predictions.append(_write_predictions(table, experiment, probabilities, fold.parts()).cpu)
        with timed() as pooling:
            pool(path, experiment)
        with timed() as listing:
            collect_runs(path)
        written = [*path.glob("*/split.json"), *path.glob("*/reports/*/predictions.csv")]
        yield (
            *(utterances, speakers, statistics.median(splits), statistics.median(predictions)),
            *(sum(file.stat().st_size for file in written) / 1e6, pooling.cpu, listing.cpu),
        )


def trials_rows(bench: Bench) -> Rows:
    """Time what the chief of a search does for each trial: made-up scores, no training."""
    for strategy in get_args(Strategy):
        for trials in bench.trials:
            folder = bench.folder / "searches" / f"{strategy}_{trials}"
            oracle = _oracle(strategy, trials)
            oracle._set_project_dir(str(folder), "search")
            random = np.random.default_rng(0)
            for _ in range(trials):
                _end_a_trial(oracle, random)
            times = [_end_a_trial(oracle, random) for _ in range(2 if strategy == "bayesian" and trials > 100 else 5)]
            create_cpu, create, end = (statistics.median(column) for column in zip(*times, strict=True))
            with timed() as reload:
                oracle.reload()
            size = (folder / "search" / "oracle.json").stat().st_size
            yield strategy, trials, create_cpu, create, end, size / 1e3, int(600e3 / (create + end)), reload.cpu


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


def _end_a_trial(oracle: Any, random: np.random.Generator) -> tuple[float, float, float]:
    """Create and end a trial; return milliseconds of creating (CPU, wall) and of ending (wall)."""
    with timed() as create:
        trial = oracle.create_trial("worker")
    values = trial.hyperparameters.values
    distance = (math.log10(values["train.learning_rate"]) + 3.2) ** 2 + 6 * (values["model.dropout"] - 0.25) ** 2
    with timed() as end:
        oracle.update_trial(trial.trial_id, {"val_ua": 0.7 - 0.05 * distance + 0.03 * random.standard_normal()})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    return 1e3 * create.cpu, 1e3 * create.wall, 1e3 * end.wall


class Table(NamedTuple):
    """A table: its columns, and a generator of its rows."""

    columns: str
    rows: Callable[[Bench], Rows]


TABLES = {
    "corpus": Table("utterances|speakers|protocol|folds|read s|folds s|guards s|folds MB", corpus_rows),
    "features": Table(
        "features|utterances|cold s|cold wall s|warm s|warm wall s|array bytes|other bytes", features_rows
    ),
    "reads": Table("features|rows of a batch|pages|wall µs an utterance|CPU µs|bytes read / used", reads_rows),
    "training": Table(
        "features|utterances|steps timed|train ms an utterance|wall ms|of which data ms|validate ms|an epoch, CPU min",
        training_rows,
    ),
    "checkpoints": Table("file|bytes|CPU ms|wall ms, flushed to the disk", checkpoints_rows),
    "memory": Table("utterances|speakers|protocol|after prepare, MB|after 20 steps, MB", memory_rows),
    "made_up": Table(
        "utterances|objects s|folds and guards s|describe_split s|peak MB|bytes an utterance beyond imports",
        made_up_rows,
    ),
    "classes": Table(
        "classes|utterances|parameters|train ms an utterance|intervals s|picture s|predictions s|predictions bytes",
        classes_rows,
    ),
    "fold": Table("stage, or what is left|CPU s|wall s|bytes", fold_rows),
    "pool": Table("utterances|folds|split.json s|predictions.csv s|both, all folds MB|pool s|runs s", pool_rows),
    "trials": Table(
        "strategy|trials so far|create CPU ms|create wall ms|end wall ms|oracle.json kB|workers at 10 min a trial|"
        "reload s",
        trials_rows,
    ),
}


def cell(value: object) -> str:
    """Return a value as a table shows it: fractions with three significant digits."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def main(arguments: Sequence[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, nargs="+", default=[500, 2000, 10_000], help="sizes of the corpus")
    parser.add_argument("--made-up", type=int, nargs="+", default=[10_000, 100_000, 1_000_000], help="without audio")
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 100, 1000], help="trials of a search")
    parser.add_argument("--steps", type=int, default=100, help="training steps timed at most (default: %(default)s)")
    parser.add_argument("--only", choices=TABLES, nargs="+", default=list(TABLES), help="tables (default: all)")
    options = parser.parse_args(arguments)
    logging.getLogger("lightsernet_tf").setLevel(logging.WARNING)
    if min(options.utterances) < 100 or min(options.trials) < 1 or options.steps < 1:
        raise InputError("expected at least 100 utterances, 1 trial and 1 step. Received: fewer")
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "keras-tuner", "numpy")))
    with tempfile.TemporaryDirectory() as folder:
        sizes = (tuple(sorted(numbers)) for numbers in (options.utterances, options.trials, options.made_up))
        utterances, trials, made_up = sizes
        bench = Bench(Path(folder), utterances, options.steps, trials, made_up)
        for name in options.only:
            columns, rows = TABLES[name]
            print(f"\n## {name}: {rows.__doc__}\n\n| {columns.replace('|', ' | ')} |")
            print("|" + " --: |" * len(columns.split("|")), flush=True)
            for row in rows(bench):
                print(f"| {' | '.join(map(cell, row))} |", flush=True)
    return 0


if __name__ == "__main__":
    run_command(main)
