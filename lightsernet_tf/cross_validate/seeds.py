"""One cross-validation with several seeds, compared: how far initial weights, order and dropout move its figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightsernet_tf.cross_validate.pooled_report import CrossValidation
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.evaluate.facts import experiment_facts
from lightsernet_tf.evaluate.scores import FIGURES, Spread
from lightsernet_tf.evaluate.sections import FIGURE_NAMES, HOW_TO_READ, interval
from lightsernet_tf.export.expectations import settings_of_training
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.reporting.markdown import markdown_table, percent, report
from lightsernet_tf.versions import versions

HOW_TO_READ_SEEDS = (
    "The seeds differ in what a training draws: initial weights (where none are given), the order of the utterances, "
    "dropout and augmentation. Their spread says how far that alone moves the figures; a difference between two "
    "settings that is not clearly larger may be chance. It says nothing of other speakers or other utterances: with "
    "every seed the same ones are trained on, choose the epoch and are tested."
)


@dataclass(frozen=True)
class RepeatedSeeds:
    """A cross-validation for each seed, the spread of wa, ua, macro_f1 and weighted_f1 over them, and the report."""

    path: Path
    notes: list[str]
    seeds: dict[int, CrossValidation]
    spread: dict[str, Spread]
    report_path: Path

    def summary(self) -> str:
        """Return what was reached and which files to open, for a terminal."""
        first = next(iter(self.seeds.values()))
        width = max(len(str(seed)) for seed in self.seeds)
        return "\n".join(
            [
                f"{self.path}: {first.scores.utterances} test utterances of {len(first.speakers.groups)} speakers, "
                f"with {len(self.seeds)} seed{'s' * (len(self.seeds) != 1)}",
                *(f"  {note}" for note in self.notes),
                *(
                    f"  seed {seed:{width}}  "
                    + "  ".join(f"{FIGURE_NAMES[key]} {cell}" for key, cell in zip(FIGURES, _cells(one), strict=True))
                    for seed, one in self.seeds.items()
                ),
                *(
                    f"  {FIGURE_NAMES[key]:11} {percent(spread.mean)} on average, standard deviation "
                    f"{percent(spread.std)}, {percent(spread.min)} to {percent(spread.max)}"
                    for key, spread in self.spread.items()
                ),
                f"Report:   {self.report_path}",
            ]
        )


def compare_seeds(path: Path, experiment: Experiment, seeds: Mapping[int, CrossValidation]) -> RepeatedSeeds:
    """Write report.md, scores.json and seeds.csv, with one line for each seed and their spread.

    Parameters
    ----------
    path
        The folder.
    experiment
        What was trained; its own seed is not looked at.
    seeds
        The pooled test data by seed.
    """
    spread = {key: _spread([getattr(one.scores, key) for one in seeds.values()]) for key in FIGURES}
    notes = next(iter(seeds.values())).notes  # what a note tells of is the same with every seed
    write_csv(path / "seeds.csv", [_row(seed, one, notes) for seed, one in seeds.items()])
    write_text(path / "report.md", _report(experiment, seeds, spread, notes))
    settings = settings_of_training(experiment.config)
    del settings["train"]["seed"]
    write_json(
        path / "scores.json",
        {
            "notes": notes,
            "facts": _facts(experiment, seeds),
            "settings": settings,
            "validation_speakers": experiment.config.split.validation_speakers,
            "seeds": {
                str(seed): {"pooled": one.scores.to_dict(), "intervals": dict(one.intervals)}
                for seed, one in seeds.items()
            },
            "spread": {key: of_figure.to_dict() for key, of_figure in spread.items()},
        },
    )
    return RepeatedSeeds(path, notes, dict(seeds), spread, path / "report.md")


def _report(
    experiment: Experiment, seeds: Mapping[int, CrossValidation], spread: Mapping[str, Spread], notes: list[str]
) -> str:
    by_seed = [(f"[{seed}]({one.path.name}/report.md)", *_cells(one)) for seed, one in seeds.items()]
    over_seeds = [
        (FIGURE_NAMES[key], percent(one.mean), percent(one.std), percent(one.min), percent(one.max))
        for key, one in spread.items()
    ]
    title = "## All test data, pooled, by seed"
    return report(
        f"Light-SERNet on {experiment.corpus.name}: cross-validation with {len(seeds)} seeds",
        notes=notes,
        facts={
            **_facts(experiment, seeds),
            "folds": len(experiment.folds),
            "versions": ", ".join(f"{name} {version}" for name, version in versions().items()),
        },
        sections=[
            f"{title}\n\n{markdown_table(('seed', *FIGURE_NAMES.values()), by_seed, 'rrrrr')}",
            markdown_table(
                (f"over {len(seeds)} seeds", "mean", "standard deviation", "lowest", "highest"), over_seeds, "lrrrr"
            ),
            HOW_TO_READ_SEEDS,
            HOW_TO_READ,
        ],
        skipped=[f"{file}: {reason}" for file, reason in experiment.left_out],
    )


def _facts(experiment: Experiment, seeds: Mapping[int, Any]) -> dict[str, Any]:
    facts = experiment_facts(experiment)
    facts["training"] = facts["training"].removesuffix(f", seed {experiment.config.train.seed}")
    return {**facts, "seeds": list(seeds)}


def _cells(one: CrossValidation) -> list[str]:
    return [interval(getattr(one.scores, key), one.intervals[key]) for key in FIGURES]


def _row(seed: int, one: CrossValidation, notes: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"seed": seed, "utterances": one.scores.utterances}
    for key in FIGURES:
        row[key] = getattr(one.scores, key)
        row[f"{key}_low"], row[f"{key}_high"] = one.intervals[key]
    return {**row, "note": "; ".join(notes)}


def _spread(figures: list[float]) -> Spread:
    std = float(np.std(figures, ddof=1)) if len(figures) > 1 else math.nan
    return Spread(float(np.mean(figures)), std, min(figures), max(figures))
