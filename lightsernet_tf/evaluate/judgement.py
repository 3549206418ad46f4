"""What is said of utterances, judged by part (training, validation, test), and how a report shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import Fold
from lightsernet_tf.evaluate.bootstrap import bootstrap_intervals
from lightsernet_tf.evaluate.figures import draw_confusion
from lightsernet_tf.evaluate.predictors import Predictor
from lightsernet_tf.evaluate.scores import Scores, score
from lightsernet_tf.evaluate.sections import Intervals, interval, scores_section, summary_section
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.reporting.markdown import percent


@dataclass(frozen=True)
class Judgement:
    """What a network says of some utterances, and how good that is.

    Parameters
    ----------
    positions
        Which utterances.
    true
        int [utterances], the class of each.
    probabilities
        float [utterances, classes].
    scores
        What that amounts to.
    intervals
        95 % bootstrap interval of each figure, over utterances.
    """

    positions: tuple[int, ...]
    true: np.ndarray
    probabilities: np.ndarray
    scores: Scores
    intervals: Intervals


def judge(predict: Predictor, experiment: Experiment, positions: Sequence[int]) -> Judgement:
    """Judge a model, of Keras or TFLite, on some utterances."""
    probabilities = predict(positions)
    true = experiment.class_ids[list(positions)]
    seed = experiment.config.train.seed
    intervals = bootstrap_intervals(true, probabilities.argmax(axis=1), experiment.labels, seed=seed)
    return Judgement(tuple(positions), true, probabilities, score(true, probabilities, experiment.labels), intervals)


def judge_parts(predict: Predictor, experiment: Experiment, fold: Fold) -> dict[str, Judgement]:
    """Judge training, validation and test data apart; a part without utterances is left out."""
    return {part: judge(predict, experiment, positions) for part, positions in fold.parts().items() if positions}


def part_lines(parts: Mapping[str, Judgement]) -> list[str]:
    """Return a line of figures for each part, for a terminal."""
    return [
        f"  {part:10} UA {interval(judged.scores.ua, judged.intervals['ua'])}  "
        f"WA {percent(judged.scores.wa)}  macro F1 {percent(judged.scores.macro_f1)}  "
        f"({judged.scores.utterances} utterances"
        + (f", none of {', '.join(judged.scores.absent)})" if judged.scores.absent else ")")
        for part, judged in parts.items()
    ]


def part_summary(parts: Mapping[str, Judgement]) -> str:
    """Return a report's table with a line for each part."""
    return summary_section(
        "Figures", {part: one.scores for part, one in parts.items()}, {p: one.intervals for p, one in parts.items()}
    )


def part_sections(parts: dict[str, Judgement], folder: Path, name: str, notes: Sequence[str]) -> list[str]:
    """Draw the confusion matrices into a report's folder and return a section for each part, the last part first."""
    for part, judged in parts.items():
        draw_confusion(judged.scores, folder / f"confusion_{part}.png", f"{name}, {part}", notes)
    return [
        scores_section(part.capitalize(), judged.scores, judged.intervals, picture=f"confusion_{part}.png")
        for part, judged in reversed(parts.items())
    ]


def write_judgements(
    folder: Path,
    text: str,
    experiment: Experiment,
    parts: Mapping[str, Judgement],
    notes: Sequence[str],
    **more: Any,
) -> Path:
    """Write predictions.csv, report.md and, with ``more`` in it, scores.json; return the report's path."""
    write_predictions(folder / "predictions.csv", experiment, parts, notes)
    write_text(folder / "report.md", text)
    figures = {part: one.scores.to_dict() for part, one in parts.items()}
    write_json(folder / "scores.json", {**more, "notes": list(notes), **figures})
    return folder / "report.md"


def write_predictions(
    path: Path, experiment: Experiment, parts: Mapping[str, Judgement], notes: Sequence[str] = ()
) -> None:
    """Write one line per utterance: part, file, speaker, true and predicted label, probability of each label, notes."""
    rows = []
    for part, judged in parts.items():
        names = experiment.names(judged.positions)
        for index, position in enumerate(judged.positions):
            probabilities = judged.probabilities[index]
            rows.append(
                {
                    "part": part,
                    "utterance": names[index],
                    "speaker": experiment.corpus.utterances[position].speaker,
                    "true": experiment.labels[judged.true[index]],
                    "predicted": experiment.labels[int(probabilities.argmax())],
                    **{
                        f"p({label})": f"{value:.6f}"
                        for label, value in zip(experiment.labels, probabilities, strict=True)
                    },
                    "note": "; ".join(notes),
                }
            )
    write_csv(path, rows)
