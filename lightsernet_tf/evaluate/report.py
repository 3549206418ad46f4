"""The report of a judged model: Markdown, confusion matrices, scores.json and predictions.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.evaluate.figures import draw_confusion
from lightsernet_tf.evaluate.judgement import Judgement
from lightsernet_tf.evaluate.sections import interval, scores_section, summary_section
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.reporting.markdown import percent, report


@dataclass(frozen=True)
class Evaluation:
    """A judged model and its report.

    Parameters
    ----------
    title
        What was judged: an epoch of a run, or a .tflite file.
    notes
        What must be known with the figures, e.g. that they are optimistic.
    parts
        A `Judgement` for each of training, validation and test that has utterances.
    report_path
        The report; its pictures lie beside it.
    epoch
        Of a run; none for a file.
    sweep
        Result of a sweep over the kept epochs, in one sentence.
    tensorboard_dir
        Logs of a run; none for a file.
    """

    title: str
    notes: list[str]
    parts: dict[str, Judgement]
    report_path: Path
    epoch: int | None = None
    sweep: str | None = None
    tensorboard_dir: Path | None = None

    def summary(self) -> str:
        """Return the figures and which files to open, for a terminal."""
        pictures = [f"confusion_{list(self.parts)[-1]}.png"]
        pictures += ["curves.png"] if self.tensorboard_dir else []
        pictures += ["sweep.png"] if self.sweep else []
        lines = [self.title, *(f"  {note}" for note in self.notes)]
        lines += [f"  {self.sweep}"] if self.sweep else []
        lines += [_part_line(part, judged) for part, judged in self.parts.items()]
        lines.append(f"Report:   {self.report_path}")
        lines.append(f"Pictures: {', '.join(str(self.report_path.with_name(name)) for name in pictures)}")
        lines += [f"Curves:   tensorboard --logdir {self.tensorboard_dir}"] if self.tensorboard_dir else []
        return "\n".join(lines)


def write_report(
    folder: Path,
    name: str,
    experiment: Experiment,
    parts: Mapping[str, Judgement],
    notes: Sequence[str],
    *,
    facts: Mapping[str, Any],
    sections: Sequence[str] = (),
    diagnosis: Sequence[str] = (),
    **fields: Any,
) -> Path:
    """Write the report of judged parts into a folder and return the path of report.md.

    Parameters
    ----------
    folder
        Where to write.
    name
        What is judged, for titles.
    experiment
        The data it is judged on.
    parts
        The judgements.
    notes
        What must be known with the figures; in every file and picture.
    facts
        For the table below the title.
    sections
        Markdown below those of the parts.
    diagnosis
        Sentences of `evaluate.diagnosis.diagnose`.
    **fields
        More for scores.json.
    """
    for part, judged in parts.items():
        draw_confusion(judged.scores, folder / f"confusion_{part}.png", f"{name}, {part}", notes)
    of_parts = [
        scores_section(part.capitalize(), judged.scores, judged.intervals, picture=f"confusion_{part}.png")
        for part, judged in reversed(list(parts.items()))
    ]
    text = report(
        f"Light-SERNet on {experiment.corpus.name}: {name}",
        notes=notes,
        facts=facts,
        sections=[summary_section(parts), *of_parts, *sections],
        skipped=experiment.left_out,
        diagnosis=diagnosis,
    )
    write_predictions(folder / "predictions.csv", experiment, parts, notes)
    write_text(folder / "report.md", text)
    scores = {part: judged.scores.to_dict() for part, judged in parts.items()}
    write_json(
        folder / "scores.json", {**fields, "notes": list(notes), **scores}
    )  # last: it marks the report as complete
    return folder / "report.md"


def write_predictions(
    path: Path, experiment: Experiment, parts: Mapping[str, Judgement], notes: Sequence[str] = ()
) -> None:
    """Write one line per utterance: part, file, speaker, true and predicted label, probability of each label, notes."""
    labels, rows = experiment.labels, []
    for part, judged in parts.items():
        judged_utterances = zip(
            judged.positions, experiment.names(judged.positions), judged.true, judged.probabilities, strict=True
        )
        for position, name, true, probabilities in judged_utterances:
            rows.append(
                {
                    "part": part,
                    "utterance": name,
                    "speaker": experiment.corpus.utterances[position].speaker,
                    "true": labels[true],
                    "predicted": labels[int(probabilities.argmax())],
                    **{f"p({label})": f"{share:.6f}" for label, share in zip(labels, probabilities, strict=True)},
                    "note": "; ".join(notes),
                }
            )
    write_csv(path, rows)


def _part_line(part: str, judged: Judgement) -> str:
    absent = f", none of {', '.join(judged.scores.absent)}" if judged.scores.absent else ""
    return (
        f"  {part:10} UA {interval(judged.scores.ua, judged.intervals['ua'])}  "
        f"WA {percent(judged.scores.wa)}  macro F1 {percent(judged.scores.macro_f1)}  "
        f"({judged.scores.utterances} utterances{absent})"
    )
