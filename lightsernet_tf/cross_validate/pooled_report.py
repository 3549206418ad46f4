"""What the folds of a cross-validation say of all their test data together, as one report."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.errors import RunError
from lightsernet_tf.evaluate.bootstrap import bootstrap_intervals
from lightsernet_tf.evaluate.facts import experiment_facts
from lightsernet_tf.evaluate.figures import draw_confusion
from lightsernet_tf.evaluate.scores import GroupScores, Scores, score_predictions, scores_by_group
from lightsernet_tf.evaluate.sections import (
    FIGURE_NAMES,
    HOW_TO_READ,
    Intervals,
    groups_section,
    interval,
    scores_section,
)
from lightsernet_tf.export.expectations import settings_of_training
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.reporting.markdown import markdown_table, percent, report
from lightsernet_tf.runs.run import Run
from lightsernet_tf.versions import versions


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
