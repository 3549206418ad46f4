"""Judging a run: training, validation and test data apart, as a report with pictures, and the sweep over its epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from lightsernet_tf.data.experiment import Experiment, prepare
from lightsernet_tf.data.splits import PROTOCOLS, Fold
from lightsernet_tf.errors import RunError
from lightsernet_tf.evaluate.diagnosis import diagnose
from lightsernet_tf.evaluate.facts import fold_facts
from lightsernet_tf.evaluate.figures import draw_curves, draw_sweep
from lightsernet_tf.evaluate.judgement import (
    Judgement,
    judge,
    judge_parts,
    part_lines,
    part_sections,
    part_summary,
    write_judgements,
)
from lightsernet_tf.evaluate.predictors import keras_predictor, predictor_for
from lightsernet_tf.evaluate.scores import FIGURES
from lightsernet_tf.evaluate.sections import sweep_section, sweep_sentence
from lightsernet_tf.model.losses import make_loss
from lightsernet_tf.model.network import build_network
from lightsernet_tf.reporting.markdown import figure, report
from lightsernet_tf.runs.checkpoints import load_weights
from lightsernet_tf.runs.fold import same_fold
from lightsernet_tf.runs.run import HistoryRow, Run, choose_epoch


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
        lines += part_lines(self.parts)
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
    parts = judge_parts(predictor_for(experiment, keras_predictor(network)), experiment, fold)
    by_hand = epoch.isdecimal()
    path = _write_report(run, experiment, fold, number, parts, sweep, by_hand=by_hand)
    told = sweep_sentence(sweep, number, data=_choosing_data(run)) if sweep else None
    return Evaluation(run, number, parts, path, told)


def judge_validation(run: Run, experiment: Experiment) -> tuple[int, Judgement]:
    """Judge the chosen epoch of a run on its validation data alone, and write nothing; return the epoch as well.

    Raises
    ------
    RunError
        As `evaluate_run`.
    """
    experiment = experiment.under(run.config)
    fold, epoch = same_fold(run, experiment), run.resolve_epoch("best")
    network = build_network(experiment)
    load_weights(network, run.weights_path(epoch))
    return epoch, judge(predictor_for(experiment, keras_predictor(network)), experiment, fold.validation)


def sweep_epochs(run: Run, experiment: Experiment, fold: Fold) -> list[HistoryRow]:
    """Judge every kept epoch on validation data; one row each, with the limits of UA's 95 % interval."""
    network = build_network(experiment)
    predict = predictor_for(experiment, keras_predictor(network))
    # The loss that was trained, as in the history, so that both choose the same epoch.
    loss = make_loss(run.config.train)
    rows: list[HistoryRow] = []
    for epoch in run.kept_epochs():
        load_weights(network, run.weights_path(epoch))
        judged = judge(predict, experiment, fold.validation)
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
    sections = [part_summary(parts)]
    if sweep:
        draw_sweep(sweep, epoch, folder / "sweep.png", notes, validation_name=chooses)
        sections.append(sweep_section("All kept epochs", sweep, epoch, data=data, picture="sweep.png"))
    sections += part_sections(parts, folder, run.path.name, notes)
    sections.append("## Over the epochs\n\n" + figure("Loss and UA over the epochs", "curves.png"))
    text = report(
        f"Light-SERNet on {experiment.corpus.name}: {run.path.name}",
        notes=notes,
        facts={
            **fold_facts(experiment, fold),
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
    return write_judgements(folder, text, experiment, parts, notes, epoch=epoch)


def _choosing_data(run: Run) -> str:
    return "test" if PROTOCOLS[run.config.split.protocol].chooses_on_test else "validation"


def _loss_standard_error(run: Run, judged: Judgement) -> float | None:
    """Return how far chance moves the mean of the loss that was trained, over the judged utterances."""
    if len(judged.true) < 2:
        return None
    loss = make_loss(run.config.train)
    losses = keras.ops.convert_to_numpy(loss.call(judged.true, judged.probabilities.astype(np.float32)))  # [utterances]
    return float(losses.std(ddof=1) / math.sqrt(len(losses)))
