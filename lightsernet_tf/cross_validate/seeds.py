"""One cross-validation with several seeds, compared: how far initial weights, order and dropout move its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsernet_tf.cross_validate.pooled_report import CrossValidation, identity
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.evaluate.scores import FIGURES, Spread, spreads_of
from lightsernet_tf.evaluate.sections import FIGURE_NAMES, HOW_TO_READ, spread_table
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.reporting.markdown import markdown_table, percent, report
from lightsernet_tf.versions import versions

HOW_TO_READ_SEEDS = (
    "The seeds differ in what a training draws: initial weights (where none are given), the order of the utterances, "
    "dropout and augmentation. Their spread is how far that alone moves the figures; a difference between two settings "
    "that is not clearly larger may be chance. It does not cover other speakers or other utterances: with every seed "
    "the same ones are trained on, choose the epoch and are tested."
)


@dataclass(frozen=True)
class RepeatedSeeds:
    """A cross-validation for each seed, the spread of wa, ua, macro_f1 and weighted_f1 over them, and the report."""

    path: Path
    seeds: dict[int, CrossValidation]
    spread: dict[str, Spread]

    @property
    def notes(self) -> list[str]:
        """What must be known with the figures; the same with every seed."""
        return self._first.notes

    @property
    def report_path(self) -> Path:
        """The report."""
        return self.path / "report.md"

    @property
    def _first(self) -> CrossValidation:
        return next(iter(self.seeds.values()))

    def summary(self) -> str:
        """Return the figures and which files to open, for a terminal."""
        width = max(len(str(seed)) for seed in self.seeds)
        return "\n".join(
            [
                f"{self.path}: {self._first.tested}, with {len(self.seeds)} seed{'s' * (len(self.seeds) != 1)}",
                *(f"  {note}" for note in self.notes),
                *(
                    f"  seed {seed:{width}}  "
                    + "  ".join(f"{FIGURE_NAMES[key]} {cell}" for key, cell in zip(FIGURES, one.cells, strict=True))
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
        What was trained; its own seed does not matter.
    seeds
        The pooled test data by seed.
    """
    done = RepeatedSeeds(path, dict(seeds), spreads_of([one.scores for one in seeds.values()]))
    document = identity(experiment, done.notes)
    del document["settings"]["train"]["seed"], document["facts"]["seed"]
    document["facts"]["seeds"] = list(seeds)
    write_csv(path / "seeds.csv", [_row(seed, one) for seed, one in seeds.items()])
    by_seed = [(f"[{seed}]({one.path.name}/report.md)", *one.cells) for seed, one in seeds.items()]
    text = report(
        f"Light-SERNet on {experiment.corpus.name}: cross-validation with {len(seeds)} seeds",
        notes=done.notes,
        facts={**document["facts"], "folds": len(experiment.folds), "versions": versions()},
        sections=[
            "## All test data, pooled, by seed",
            markdown_table(("seed", *FIGURE_NAMES.values()), by_seed, "rrrrr"),
            spread_table(f"over {len(seeds)} seeds", done.spread),
            HOW_TO_READ_SEEDS,
            HOW_TO_READ,
        ],
        skipped=experiment.left_out,
    )
    write_text(done.report_path, text)
    of_seeds = {
        str(seed): {"pooled": one.scores.to_dict(), "intervals": dict(one.intervals)} for seed, one in seeds.items()
    }
    spread = {key: of_figure.to_dict() for key, of_figure in done.spread.items()}
    write_json(path / "scores.json", {**document, "seeds": of_seeds, "spread": spread})
    return done


def _row(seed: int, one: CrossValidation) -> dict[str, Any]:
    row: dict[str, Any] = {"seed": seed, "utterances": one.scores.utterances}
    for key in FIGURES:
        row[key] = getattr(one.scores, key)
        row[f"{key}_low"], row[f"{key}_high"] = one.intervals[key]
    return {**row, "note": "; ".join(one.notes)}
