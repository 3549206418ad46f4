"""All folds of a protocol: each an ordinary run, then one report over all test data."""

from __future__ import annotations

import csv
import logging
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib

from lightsernet_tf.config import Config
from lightsernet_tf.config_parser import config_yaml, load_config
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.evaluation import evaluate_run
from lightsernet_tf.expectations import settings_of_training
from lightsernet_tf.experiment import Experiment, prepare
from lightsernet_tf.figures import draw_confusion
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.judgements import experiment_facts
from lightsernet_tf.metrics import bootstrap_intervals
from lightsernet_tf.reports import (
    FIGURE_NAMES,
    HOW_TO_READ,
    Intervals,
    groups_section,
    interval,
    markdown_table,
    percent,
    report,
    scores_section,
)
from lightsernet_tf.run_folder import Run, versions
from lightsernet_tf.scores import GroupScores, Scores, score_predictions, scores_by_group
from lightsernet_tf.training import resume, same_fold, train

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrossValidation:
    """The pooled test data of all folds, judged; and where the report is."""

    path: Path
    notes: list[str]
    scores: Scores
    intervals: Intervals
    speakers: GroupScores
    report_path: Path

    def summary(self) -> str:
        """Return what was reached and which files to open, for a terminal."""
        spread = self.speakers.spread["ua"]
        return "\n".join(
            [
                f"{self.path}: {self.scores.utterances} test utterances of {len(self.speakers.groups)} speakers",
                *(f"  {note}" for note in self.notes),
                *(
                    f"  {name:11} {interval(getattr(self.scores, key), self.intervals[key])}"
                    for key, name in FIGURE_NAMES.items()
                ),
                f"  UA by speaker: {percent(spread.mean)} on average, {percent(spread.min)} to {percent(spread.max)}",
                f"Report:   {self.report_path}",
                f"Picture:  {self.path / 'confusion.png'}",
            ]
        )


def cross_validate(config: Config, *, jobs: int = 1) -> CrossValidation:
    """Train and judge all folds, and pool what they say of their test data.

    A finished fold is not trained again and a stopped one goes on, so the same call continues a killed one.

    Parameters
    ----------
    config
        The settings; ``split.fold`` is not used.
    jobs
        Folds trained at once, each in a process of its own with its share of the cores.

    Raises
    ------
    ConfigError
        If the protocol tests nobody.
    RunError
        If the folder holds a cross-validation with other settings, or the corpus has changed since.
    """
    if config.split.protocol == "final":
        raise ConfigError(
            "split.protocol: expected one with test data to cross-validate. Received: protocol='final', which tests "
            "nobody; train it with python -m lightsernet_tf.train"
        )
    experiment = prepare(config)
    path = Path(config.runs_dir).expanduser() / (config.run_name or cross_validation_name(config))
    _claim(path, config)
    fold_configs = [replace(config, split=replace(config.split, fold=n)) for n in range(len(experiment.folds))]
    paths = [path / fold.name for fold in experiment.folds]
    for fold_path in paths:
        if (fold_path / "run.json").exists():
            same_fold(Run.open(fold_path), experiment)
    try:
        if jobs == 1:
            for fold_config, fold_path in zip(fold_configs, paths, strict=True):
                run_fold(fold_config, fold_path, experiment)
        else:
            threads = max(1, joblib.cpu_count() // jobs)
            joblib.Parallel(n_jobs=jobs)(
                joblib.delayed(_run_fold_alone)(fold_config, fold_path, threads)
                for fold_config, fold_path in zip(fold_configs, paths, strict=True)
            )
    except BrokenProcessPool as error:
        raise RunError(
            f"{path}: expected {jobs} processes that live to train the folds. Received: one that was killed, "
            "perhaps for want of memory; the same command goes on, with fewer --jobs if you like"
        ) from error
    except KeyboardInterrupt:
        _logger.warning("stopped; the same command goes on, and trains no finished fold of %s again", path)
        raise
    return pool(path, experiment)


def run_fold(config: Config, path: Path, experiment: Experiment | None = None) -> None:
    """Train one fold, or go on with it, and judge its chosen epoch; nothing where that is done."""
    if (path / "run.json").exists():
        run = Run.open(path)
        if fold_is_finished(run):
            _logger.info("%s is finished", path)
            return
        run = resume(path, experiment)
    else:
        _logger.info("training %s", path)
        run = train(config, experiment, path)
    evaluate_run(run, "best", experiment)


def fold_is_finished(run: Run) -> bool:
    """Return whether all epochs are trained and the chosen one is judged."""
    if len(run.history()) < run.config.train.epochs:
        return False
    return (run.report_dir(run.resolve_epoch("best")) / "scores.json").exists()


def pool(path: Path, experiment: Experiment) -> CrossValidation:
    """Pool the test predictions of all folds and write the report."""
    runs = [Run.open(path / fold.name) for fold in experiment.folds]
    predictions = [row for run in runs for row in _test_predictions(run)]
    labels = experiment.labels
    true, predicted = _class_ids(predictions, "true", labels), _class_ids(predictions, "predicted", labels)
    scores = score_predictions(true, predicted, labels)
    intervals = bootstrap_intervals(true, predicted, labels, seed=experiment.config.train.seed)
    speakers = scores_by_group(true, predicted, [row["speaker"] for row in predictions], labels)
    notes = experiment.notes(*experiment.folds)
    repeated = len(predictions) - len({row["utterance"] for row in predictions})
    if repeated:
        notes.append(f"test data overlaps: {repeated} of the {len(predictions)} predictions are of an utterance again")
    title = f"{experiment.corpus.name}, {experiment.config.split.protocol}"
    draw_confusion(scores, path / "confusion.png", title, notes)
    write_csv(path / "predictions.csv", predictions)
    write_text(path / "report.md", _report(experiment, runs, notes, predictions, scores, intervals, speakers))
    write_json(
        path / "scores.json",
        {
            "notes": notes,
            "facts": experiment_facts(experiment),
            "settings": settings_of_training(experiment.config),
            "validation_speakers": experiment.config.split.validation_speakers,
            "pooled": scores.to_dict(),
            "intervals": dict(intervals),
            "speakers": speakers.to_dict(),
        },
    )
    return CrossValidation(path, notes, scores, intervals, speakers, path / "report.md")


def cross_validation_name(config: Config) -> str:
    """Return a folder name that is the same for the same settings, so that the same call goes on."""
    return "_".join([config.corpus.name, config.features.kind, config.train.loss, config.split.protocol])


def _claim(path: Path, config: Config) -> None:
    if (path / "run.json").exists():
        raise RunError(f"{path}: expected the folder of a cross-validation. Received: a run; choose another --run_name")
    settings = path / "config.yaml"
    if settings.exists():
        try:
            found = load_config(settings)
        except ConfigError as error:
            raise RunError(str(error)) from error
        if _what_is_trained(found) != _what_is_trained(config):
            raise RunError(
                f"{path}: expected no folder, or one of these settings. Received: a cross-validation with other "
                f"settings (compare {settings}); choose another --run_name"
            )
    write_text(settings, config_yaml(replace(config, split=replace(config.split, fold=0))))


def _what_is_trained(config: Config) -> Config:
    """Return the settings without the fold and without where things lie, which may be moved."""
    corpus = replace(config.corpus, data_dir="moved")  # each fold checks its contents
    split = replace(config.split, fold=0)
    return replace(config, corpus=corpus, split=split, runs_dir="", run_name=None, cache_dir=None)


def _run_fold_alone(config: Config, path: Path, threads: int) -> None:
    import tensorflow as tf

    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    # A process trains one fold after the other, and each has its own name before its lines.
    logging.basicConfig(level=logging.INFO, format=f"{path.name}: %(message)s", force=True)
    run_fold(config, path)


def _test_predictions(run: Run) -> list[dict[str, str]]:
    path = run.report_dir(run.resolve_epoch("best")) / "predictions.csv"
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [{"fold": run.path.name, **row} for row in csv.DictReader(stream) if row["part"] == "test"]
        tested = [row["utterance"] for row in rows if {row["true"], row["predicted"]} <= set(run.labels)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{path}: expected the predictions of a judged run. Received: {error}") from error
    if tested != run.split["test"]["utterances"]:
        raise RunError(
            f"{path}: expected a prediction for each of the {len(run.split['test']['utterances'])} test utterances. "
            f"Received: {len(tested)}, or others"
        )
    return rows


def _report(
    experiment: Experiment,
    runs: list[Run],
    notes: list[str],
    predictions: list[dict[str, str]],
    scores: Scores,
    intervals: Intervals,
    speakers: GroupScores,
) -> str:
    folds = "## Folds\n\n" + markdown_table(
        ["fold", "tested", "validated", "chosen epoch", "validation UA", "test UA", "test WA"],
        [_fold_row(run, predictions, experiment.labels) for run in runs],
        "lllrrrr",
    )
    return report(
        f"Light-SERNet on {experiment.corpus.name}: cross-validation",
        notes=notes,
        facts={
            **experiment_facts(experiment),
            "folds": len(runs),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        },
        sections=[
            scores_section("All test data, pooled", scores, intervals, picture="confusion.png"),
            HOW_TO_READ,
            groups_section("By test speaker", speakers),
            folds,
        ],
        skipped=[f"{path}: {reason}" for path, reason in experiment.left_out],
    )


def _fold_row(run: Run, predictions: list[dict[str, str]], labels: Sequence[str]) -> list[Any]:
    chosen = run.resolve_epoch("best")
    validation_ua = next(row["val_ua"] for row in run.history() if row["epoch"] == chosen)
    mine = [row for row in predictions if row["fold"] == run.path.name]
    scores = score_predictions(_class_ids(mine, "true", labels), _class_ids(mine, "predicted", labels), labels)
    speakers = [", ".join(run.split[part]["speakers"]) for part in ("test", "validation")]
    return [run.path.name, *speakers, chosen, percent(validation_ua), percent(scores.ua), percent(scores.wa)]


def _class_ids(predictions: Sequence[dict[str, str]], column: str, labels: Sequence[str]) -> list[int]:
    return [labels.index(row[column]) for row in predictions]
