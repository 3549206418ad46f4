"""Judging a run: training, validation and test data apart, as a report with pictures, and the sweep over its epochs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lightsernet_tf.checkpoints import load_weights
from lightsernet_tf.diagnosis import diagnose
from lightsernet_tf.errors import RunError
from lightsernet_tf.experiment import Experiment, prepare
from lightsernet_tf.figures import draw_confusion, draw_curves, draw_sweep
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.judging import Predictor, keras_predictor, predict_utterances
from lightsernet_tf.losses import make_loss
from lightsernet_tf.metrics import bootstrap_intervals
from lightsernet_tf.reports import (
    Intervals,
    figure,
    interval,
    percent,
    report,
    scores_section,
    summary_section,
    sweep_section,
    sweep_sentence,
)
from lightsernet_tf.run_folder import HistoryRow, Run, choose_epoch
from lightsernet_tf.scores import FIGURES, Scores, score
from lightsernet_tf.splits import Fold
from lightsernet_tf.training import build_network, same_fold


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


@dataclass(frozen=True)
class Evaluation:
    """A judged epoch of a run: one ``Judgement`` for each of training, validation and, if any, test, and its report."""

    run: Run
    epoch: int
    parts: dict[str, Judgement]
    report_path: Path
    sweep: str | None = None  # what the sweep over the kept epochs came to

    def summary(self) -> str:
        """Return what was reached and which files to open, for a terminal."""
        lines = [f"{self.run.path}, epoch {self.epoch} of {len(self.run.history())}"]
        lines += [f"  {note}" for note in self.run.notes]
        lines += [f"  {self.sweep}"] if self.sweep else []
        for part, judged in self.parts.items():
            lines.append(
                f"  {part:10} UA {interval(judged.scores.ua, judged.intervals['ua'])}  "
                f"WA {percent(judged.scores.wa)}  macro F1 {percent(judged.scores.macro_f1)}  "
                f"({judged.scores.utterances} utterances"
                + (f", none of {', '.join(judged.scores.absent)})" if judged.scores.absent else ")")
            )
        pictures = [f"confusion_{list(self.parts)[-1]}.png", "curves.png", *(["sweep.png"] if self.sweep else [])]
        lines += [
            f"Report:   {self.report_path}",
            f"Pictures: {', '.join(str(self.report_path.parent / name) for name in pictures)}",
            f"Curves:   tensorboard --logdir {self.run.tensorboard_dir}",
        ]
        return "\n".join(lines)


def evaluate_run(run: Run, epoch: str = "best", experiment: Experiment | None = None) -> Evaluation:
    """Judge one epoch of a run and write its report.

    Parameters
    ----------
    run
        The run.
    epoch
        ``best`` (chosen on validation data), ``last``, the number of a kept epoch, or ``all``: sweep the kept epochs on
        validation data, then judge the one chosen.
    experiment
        ``prepare(run.config)`` where it is already there.

    Raises
    ------
    RunError
        If the epoch is not kept, its weights are damaged, or the corpus has changed since.
    """
    experiment = experiment.under(run.config) if experiment else prepare(run.config)
    fold = same_fold(run, experiment)
    sweep = sweep_epochs(run, experiment, fold) if epoch == "all" else None
    number = choose_epoch(sweep, run.config.train.choose_by) if sweep else run.resolve_epoch(epoch)
    network = build_network(experiment)
    load_weights(network, run.weights_path(number))
    predict = keras_predictor(network)
    parts = {
        part: judge(predict, experiment, positions, seed=run.config.train.seed)
        for part, positions in fold.parts().items()
        if positions
    }
    by_hand = epoch.isdecimal()
    path = _write_report(run, experiment, fold, number, parts, sweep, by_hand=by_hand)
    told = sweep_sentence(sweep, number, data=_choosing_data(run)) if sweep else None
    return Evaluation(run, number, parts, path, told)


def judge(predict: Predictor, experiment: Experiment, positions: Sequence[int], *, seed: int) -> Judgement:
    """Judge a predictor (a network, a TFLite file) on some utterances."""
    probabilities = predict_utterances(predict, experiment.store, positions)
    true = experiment.class_ids[list(positions)]
    intervals = bootstrap_intervals(true, probabilities.argmax(axis=1), experiment.labels, seed=seed)
    return Judgement(tuple(positions), true, probabilities, score(true, probabilities, experiment.labels), intervals)


def sweep_epochs(run: Run, experiment: Experiment, fold: Fold) -> list[HistoryRow]:
    """Judge every kept epoch on validation data; one row each, with the limits of UA's 95 % interval."""
    network = build_network(experiment)
    predict = keras_predictor(network)
    # The loss that was trained, as in the history, so that both choose the same epoch.
    loss = make_loss(run.config.train.loss, run.config.train.gamma)
    rows: list[HistoryRow] = []
    for epoch in run.kept_epochs():
        load_weights(network, run.weights_path(epoch))
        judged = judge(predict, experiment, fold.validation, seed=run.config.train.seed)
        row = {f"val_{name}": getattr(judged.scores, name) for name in FIGURES}
        row["val_loss"] = float(loss(judged.true, judged.probabilities.astype(np.float32)))
        low, high = judged.intervals["ua"]
        rows.append({"epoch": epoch, **row, "val_ua_low": low, "val_ua_high": high})
    if not rows:
        raise RunError(f"{run.path}: expected at least one kept epoch. Received: none")
    return rows


def _write_report(
    run: Run,
    experiment: Experiment,
    fold: Fold,
    epoch: int,
    parts: dict[str, Judgement],
    sweep: list[HistoryRow] | None,
    *,
    by_hand: bool,
) -> Path:
    folder = run.report_dir(epoch)
    history = run.history()
    notes = list(run.notes)
    if by_hand and fold.test:
        notes.append(f"epoch {epoch} was named by hand: comparing epochs by their test figures would be optimistic")
    chosen = run.resolve_epoch("best")  # what pictures and diagnosis call so, whichever epoch is judged
    data = _choosing_data(run)
    chooses = "test data (chooses the epoch)" if data == "test" else data
    weighted = ", class-weighted" if run.config.train.balance == "class_weight" else ""
    draw_curves(
        history,
        chosen,
        folder / "curves.png",
        notes,
        training_name=f"training (with dropout{weighted})",
        validation_name=chooses,
    )
    for part, judged in parts.items():
        draw_confusion(judged.scores, folder / f"confusion_{part}.png", f"{run.path.name}, {part}", notes)
    sections = [
        summary_section(
            "Figures", {part: one.scores for part, one in parts.items()}, {p: one.intervals for p, one in parts.items()}
        )
    ]
    if sweep:
        draw_sweep(sweep, epoch, folder / "sweep.png", notes, validation_name=chooses)
        sections.append(sweep_section("All kept epochs", sweep, epoch, data=data, picture="sweep.png"))
    for part, judged in reversed(parts.items()):
        sections.append(
            scores_section(part.capitalize(), judged.scores, judged.intervals, picture=f"confusion_{part}.png")
        )
    sections.append("## Over the epochs\n\n" + figure("Loss and UA over the epochs", "curves.png"))
    text = report(
        f"Light-SERNet on {experiment.corpus.name}: {run.path.name}",
        notes=notes,
        facts={
            **experiment_facts(experiment),
            "fold": fold.name,
            **{f"{part} speakers": experiment.speakers(ids) or "none" for part, ids in fold.parts().items()},
            "versions": ", ".join(f"{name} {version}" for name, version in run.about["versions"].items()),
            "epoch judged": f"{epoch} of {len(history)}" + (", named by hand" if by_hand else ""),
        },
        sections=sections,
        skipped=[f"{path}: {reason}" for path, reason in experiment.left_out],
        diagnosis=diagnose(
            history,
            chosen,
            parts["validation"].scores,
            parts["test"].scores if "test" in parts else None,
            training=parts["training"].scores,
            judged_epoch=epoch,
            validation_loss_standard_error=_loss_standard_error(run, parts["validation"]),
        ),
    )
    write_predictions(folder / "predictions.csv", experiment, parts, notes)
    write_text(folder / "report.md", text)
    write_json(
        folder / "scores.json",
        {"epoch": epoch, "notes": notes, **{part: one.scores.to_dict() for part, one in parts.items()}},
    )
    return folder / "report.md"


def _choosing_data(run: Run) -> str:
    return "test" if run.config.split.protocol == "published" else "validation"


def _loss_standard_error(run: Run, judged: Judgement) -> float | None:
    """Return how far chance moves the mean of the loss that was trained, over the judged utterances."""
    if len(judged.true) < 2:
        return None
    loss = make_loss(run.config.train.loss, run.config.train.gamma)
    losses = keras.ops.convert_to_numpy(loss.call(judged.true, judged.probabilities.astype(np.float32)))  # [utterances]
    return float(losses.std(ddof=1) / math.sqrt(len(losses)))


def experiment_facts(experiment: Experiment) -> dict[str, Any]:
    """Return what is trained and how, by name, for a report."""
    config = experiment.config
    train = config.train
    features = f"{config.features.kind} {list(experiment.store.input_shape)}, {config.audio.duration_seconds:g} s"
    if config.features.max_frequency_hz is not None:
        features += f", up to {config.features.max_frequency_hz:g} Hz"
    if config.audio.segments == "all":
        features += ", all segments"
    given = ", ".join(f"{label} {weight:g}" for label, weight in train.class_weights.items())
    facts: dict[str, Any] = {
        "corpus": f"{experiment.corpus.name}, {experiment.num_used} utterances",
        "labels": experiment.labels,
        "protocol": f"{config.split.protocol}, split seed {config.split.seed}",
        "features": features,
        "loss": train.loss + (f", gamma {train.gamma:g}" if train.loss == "focal" else ""),
        "balance": train.balance + (f": {given}" if given else ""),
        "training": f"{train.epochs} epochs, batch {train.batch_size}, learning rate {train.learning_rate:g} "
        f"({train.schedule}), dropout {config.model.dropout:g}, seed {train.seed}",
        "epoch chosen": f"by {train.choose_by} on "
        + ("the test data" if config.split.protocol == "published" else "validation data"),
    }
    augmented = [f"{name} {value:g}" for name, value in dataclasses.asdict(config.augment).items() if value]
    return facts | ({"augmentation": augmented} if augmented else {})


def write_predictions(
    path: Path, experiment: Experiment, parts: dict[str, Judgement], notes: Sequence[str] = ()
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
