"""The test data of all folds of a cross-validation, judged together, as one report."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsernet_tf.config_identity import NOT_TRAINING, without_keys
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.errors import RunError, one_line
from lightsernet_tf.evaluate.bootstrap import Intervals, bootstrap_intervals
from lightsernet_tf.evaluate.facts import experiment_facts
from lightsernet_tf.evaluate.figures import draw_confusion
from lightsernet_tf.evaluate.scores import FIGURES, GroupScores, Scores, score_predictions, scores_by_group
from lightsernet_tf.evaluate.sections import FIGURE_NAMES, HOW_TO_READ, figure_cells, groups_section, scores_section
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.reporting.markdown import markdown_table, percent, report
from lightsernet_tf.runs.run import Run
from lightsernet_tf.versions import versions

Rows = Sequence[dict[str, str]]  # of predictions.csv


@dataclass(frozen=True)
class CrossValidation:
    """The pooled test data of all folds, judged; and where the report is."""

    path: Path
    notes: list[str]
    scores: Scores
    intervals: Intervals
    speakers: GroupScores

    @property
    def report_path(self) -> Path:
        """The report."""
        return self.path / "report.md"

    @property
    def tested(self) -> str:
        """How much was tested, in words."""
        return f"{self.scores.utterances} test utterances of {len(self.speakers.groups)} speakers"

    @property
    def cells(self) -> list[str]:
        """The figures in percent with their intervals."""
        return figure_cells(self.scores, self.intervals)

    def summary(self) -> str:
        """Return the figures and which files to open, for a terminal."""
        spread = self.speakers.spread["ua"]
        return "\n".join(
            [
                f"{self.path}: {self.tested}",
                *(f"  {note}" for note in self.notes),
                *(f"  {FIGURE_NAMES[key]:11} {cell}" for key, cell in zip(FIGURES, self.cells, strict=True)),
                f"  UA by speaker: {percent(spread.mean)} on average, {percent(spread.min)} to {percent(spread.max)}",
                f"Report:   {self.report_path}",
                f"Picture:  {self.path / 'confusion.png'}",
            ]
        )


def pool(path: Path, experiment: Experiment) -> CrossValidation:
    """Pool the test predictions of all folds and write the report.

    Raises
    ------
    RunError
        If the predictions of a fold are not there, damaged or not those of its test data.
    """
    runs = [Run.open(path / fold.name) for fold in experiment.folds]
    rows = [row for run in runs for row in _test_predictions(run)]
    true, predicted = _class_ids(rows, experiment)
    scores = score_predictions(true, predicted, experiment.labels)
    intervals = bootstrap_intervals(scores.confusion, seed=experiment.config.train.seed)
    speakers = scores_by_group(true, predicted, [row["speaker"] for row in rows], experiment.labels)
    notes = experiment.notes(*experiment.folds)
    repeated = len(rows) - len({row["utterance"] for row in rows})
    if repeated:
        notes.append(f"test data overlaps: {repeated} of the {len(rows)} predictions are of an utterance again")
    done = CrossValidation(path, notes, scores, intervals, speakers)

    title = f"{experiment.corpus.name}, {experiment.config.split.protocol}"
    draw_confusion(scores, path / "confusion.png", title, notes)
    write_csv(path / "predictions.csv", rows)
    folds = markdown_table(
        ["fold", "tested", "validated", "chosen epoch", "validation UA", "test UA", "test WA"],
        [_fold_row(run, rows, experiment) for run in runs],
        "lllrrrr",
    )
    text = report(
        f"Light-SERNet on {experiment.corpus.name}: cross-validation",
        notes=notes,
        facts={**experiment_facts(experiment), "folds": len(runs), "versions": versions()},
        sections=[
            scores_section("All test data, pooled", scores, intervals, picture="confusion.png"),
            HOW_TO_READ,
            groups_section("By test speaker", speakers),
            f"## Folds\n\n{folds}",
        ],
        skipped=experiment.left_out,
    )
    write_text(done.report_path, text)
    figures = {"pooled": scores.to_dict(), "intervals": dict(intervals), "speakers": speakers.to_dict()}
    write_json(path / "scores.json", {**identity(experiment, notes), **figures})
    return done


def identity(experiment: Experiment, notes: Sequence[str]) -> dict[str, Any]:
    """Return what was cross-validated, as plain data for scores.json.

    ``facts`` are for people to read; programs compare the other fields.
    """
    return {
        "notes": list(notes),
        "corpus": experiment.corpus.name,
        "utterances": experiment.num_used,
        "protocol": experiment.config.split.protocol,
        "validation_speakers": experiment.config.split.validation_speakers,
        "settings": without_keys(experiment.config, NOT_TRAINING),
        "facts": experiment_facts(experiment),
    }


def _test_predictions(run: Run) -> list[dict[str, str]]:
    path = run.report_dir(run.resolve_epoch("best")) / "predictions.csv"
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [{"fold": run.path.name, **row} for row in csv.DictReader(stream) if row["part"] == "test"]
        tested = [row["utterance"] for row in rows if {row["true"], row["predicted"]} <= set(run.labels)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise RunError(f"{path}: expected the predictions of a judged run. Received: {one_line(error)}") from error
    if tested != run.split["test"]["utterances"]:
        raise RunError(
            f"{path}: expected a prediction for each of the {len(run.split['test']['utterances'])} test utterances. "
            f"Received: {len(tested)}, or others"
        )
    return rows


def _fold_row(run: Run, rows: Rows, experiment: Experiment) -> list[Any]:
    chosen = run.resolve_epoch("best")
    validation_ua = next(row["val_ua"] for row in run.history() if row["epoch"] == chosen)
    of_fold = [row for row in rows if row["fold"] == run.path.name]
    scores = score_predictions(*_class_ids(of_fold, experiment), experiment.labels)
    speakers = [", ".join(run.split[part]["speakers"]) for part in ("test", "validation")]
    return [run.path.name, *speakers, chosen, percent(validation_ua), percent(scores.ua), percent(scores.wa)]


def _class_ids(rows: Rows, experiment: Experiment) -> tuple[list[int], list[int]]:
    """Return the true and the predicted classes."""
    index = experiment.labels.index
    return [index(row["true"]) for row in rows], [index(row["predicted"]) for row in rows]
