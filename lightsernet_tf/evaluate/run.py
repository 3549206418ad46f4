"""Judging a run: one epoch, or all kept ones on validation data and then the chosen one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np

from lightsernet_tf.data.experiment import Experiment, prepare
from lightsernet_tf.data.splits import Fold
from lightsernet_tf.evaluate.diagnosis import Evidence, diagnose
from lightsernet_tf.evaluate.facts import choosing_data, experiment_facts
from lightsernet_tf.evaluate.figures import draw_curves, draw_sweep
from lightsernet_tf.evaluate.judgement import Judgement, judge, judge_parts
from lightsernet_tf.evaluate.predictors import Predictor, keras_predictor, predictor_for
from lightsernet_tf.evaluate.report import Evaluation, write_report
from lightsernet_tf.evaluate.scores import FIGURES
from lightsernet_tf.evaluate.sections import sweep_section, sweep_sentence
from lightsernet_tf.model.losses import make_loss
from lightsernet_tf.model.network import build_network
from lightsernet_tf.reporting.markdown import figure
from lightsernet_tf.runs.checkpoints import load_weights
from lightsernet_tf.runs.fold import same_fold
from lightsernet_tf.runs.run import HistoryRow, Run, choose_epoch


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
    chosen = run.resolve_epoch("best")
    sweep = sweep_epochs(run, experiment, fold) if epoch == "all" else []
    number = choose_epoch(sweep, run.config.train.choose_by) if sweep else run.resolve_epoch(epoch)
    parts = judge_parts(_predictor(run, number, experiment), experiment, fold)

    notes, history, folder = list(run.notes), run.history(), run.report_dir(number)
    by_hand = epoch.isdecimal()
    if by_hand and fold.test:
        notes.append(f"epoch {number} was named by hand: comparing epochs by their test figures would be optimistic")
    evidence = Evidence(
        history=history,
        chosen_epoch=chosen,
        judged_epoch=number,
        parts={part: judged.scores for part, judged in parts.items()},
        validation_loss_standard_error=_loss_standard_error(run, parts["validation"]),
    )
    report_path = write_report(
        folder,
        run.path.name,
        experiment,
        parts,
        notes,
        facts={
            **experiment_facts(experiment, fold),
            "versions": run.about["versions"],
            "epoch judged": f"{number} of {len(history)}" + (", named by hand" if by_hand else ""),
        },
        sections=_epochs_sections(run, experiment, chosen, sweep, number, notes),
        diagnosis=diagnose(evidence),
        epoch=number,
    )
    sentence = sweep_sentence(sweep, number, data=choosing_data(experiment)) if sweep else None
    title = f"{run.path}, epoch {number} of {len(history)}"
    return Evaluation(title, notes, parts, report_path, number, sentence, run.tensorboard_dir)


def judge_validation(run: Run, experiment: Experiment) -> tuple[int, Judgement]:
    """Judge the chosen epoch of a run on its validation data alone, and write nothing; return the epoch as well.

    Raises
    ------
    RunError
        As `evaluate_run`.
    """
    experiment = experiment.under(run.config)
    fold, epoch = same_fold(run, experiment), run.resolve_epoch("best")
    return epoch, judge(_predictor(run, epoch, experiment), experiment, fold.validation)


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
    return rows


def _predictor(run: Run, epoch: int, experiment: Experiment) -> Predictor:
    network = build_network(experiment)
    load_weights(network, run.weights_path(epoch))
    return predictor_for(experiment, keras_predictor(network))


def _epochs_sections(
    run: Run, experiment: Experiment, chosen: int, sweep: Sequence[HistoryRow], judged: int, notes: Sequence[str]
) -> list[str]:
    """Draw the curves and the sweep, and return their sections."""
    data, folder, sections = choosing_data(experiment), run.report_dir(judged), []
    name = "test data (chooses the epoch)" if data == "test" else data
    if sweep:
        draw_sweep(sweep, judged, folder / "sweep.png", notes, validation_name=name)
        sections.append(sweep_section(sweep, judged, data=data, picture="sweep.png"))
    weighted = ", class-weighted" if run.config.train.balance == "class_weight" else ""
    names = {"training_name": f"training (with dropout{weighted})", "validation_name": name}
    draw_curves(run.history(), chosen, folder / "curves.png", notes, **names)
    return [*sections, "## Over the epochs\n\n" + figure("Loss and UA over the epochs", "curves.png")]


def _loss_standard_error(run: Run, judged: Judgement) -> float | None:
    """Return the standard error, over utterances, of the mean of the loss that was trained."""
    if len(judged.true) < 2:
        return None
    loss = make_loss(run.config.train)
    losses = keras.ops.convert_to_numpy(loss.call(judged.true, judged.probabilities.astype(np.float32)))  # [utterances]
    return float(losses.std(ddof=1) / math.sqrt(len(losses)))
