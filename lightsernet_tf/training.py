"""Training one fold: a run folder, a checkpoint every epoch, validation after each, and going on where it stopped."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from lightsernet_tf.callbacks import LearningRate, Progress, Validation
from lightsernet_tf.checkpoints import EpochState, EpochWeights, load_state, load_weights, save_state
from lightsernet_tf.config import Config
from lightsernet_tf.datasets import steps_per_epoch, training_batches
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.experiment import Experiment, prepare
from lightsernet_tf.initial_weights import find_initial_weights
from lightsernet_tf.losses import class_weights, make_loss
from lightsernet_tf.metrics import UnweightedAccuracy
from lightsernet_tf.model import light_sernet
from lightsernet_tf.run_folder import HistoryRow, Run
from lightsernet_tf.splits import Fold, choose_fold

_logger = logging.getLogger(__name__)


def train(config: Config, experiment: Experiment | None = None, run_path: Path | None = None) -> Run:
    """Train the fold that ``config.split.fold`` names, in a new run folder.

    Parameters
    ----------
    config
        The settings.
    experiment
        ``prepare(config)`` where it is already there.
    run_path
        The run's folder; none: below ``config.runs_dir``, named after what is trained and when.

    Raises
    ------
    InputError
        If anything given cannot work.
    KeyboardInterrupt
        On Ctrl-C; every whole epoch is kept and ``resume`` goes on after it.
    """
    experiment = experiment.under(config) if experiment else prepare(config)
    fold = choose_fold(experiment.folds, config.split)
    _class_weights(experiment, fold)  # whatever is wrong with them, before there is a folder
    network = build_network(experiment)
    notes = experiment.notes(fold)
    if config.train.initial_weights is not None:
        start = find_initial_weights(config.train.initial_weights, experiment, fold)
        load_weights(network, start.path)
        notes += [note for note in start.notes if note not in notes]
    optimizer = _optimizer(config, network)
    path = run_path or Path(config.runs_dir).expanduser() / (config.run_name or run_name(config))
    run = Run.reserve(path)
    with run.held():
        run.describe(config, describe_split(experiment, fold))
        save_state(run.state_path, network, optimizer, [])
        run.start(
            {
                "labels": list(experiment.labels),
                "input_shape": list(experiment.store.input_shape),
                "seeds": {"train": config.train.seed, "split": config.split.seed},
                "threads": _threads(),
                "notes": notes,
                "left_out": [[str(path), reason] for path, reason in experiment.left_out],
            }
        )
        _fit(run, experiment, fold, network, optimizer, [])
    return run


def resume(path: Path, experiment: Experiment | None = None) -> Run:
    """Go on with a run that was stopped; the result is, to the bit, that of a run that never was.

    Raises
    ------
    RunError
        If the folder is no run, its state is damaged, or the corpus has changed since.
    """
    run = Run.open(path)
    experiment = experiment.under(run.config) if experiment else prepare(run.config)
    fold = same_fold(run, experiment)
    with run.held():
        if run.about.get("threads") != _threads():
            _logger.warning(
                "%s: trained with %s threads until now and with %d from here on: sums may round differently",
                run.path,
                run.about.get("threads"),
                _threads(),
            )
        network = build_network(experiment)
        optimizer = _optimizer(run.config, network)
        history = load_state(run.state_path, network, optimizer)
        run.write_history(history)
        _fit(run, experiment, fold, network, optimizer, history)
    return run


def same_fold(run: Run, experiment: Experiment) -> Fold:
    """Return the fold that a run was trained on.

    Raises
    ------
    RunError
        If the corpus has changed since.
    """
    fold = choose_fold(experiment.folds, run.config.split)
    if describe_split(experiment, fold) != run.split or experiment.labels != run.labels:
        raise RunError(
            f"{run.path}: expected the corpus that the run was trained on. Received: other files, contents or labels "
            f"(compare {run.path / 'split.json'})"
        )
    return fold


def build_network(experiment: Experiment) -> keras.Model:
    """Return the untrained network of an experiment, the same for the same seed."""
    config = experiment.config
    return light_sernet(
        experiment.store.input_shape,
        len(experiment.labels),
        config.model.dropout,
        config.model.l2,
        seed=config.train.seed,
    )


def run_name(config: Config) -> str:
    """Return a folder name that says what is trained and when."""
    parts = [config.corpus.name, config.features.kind, config.train.loss, f"{datetime.now():%Y%m%d-%H%M%S}"]
    return "_".join(parts)


def describe_split(experiment: Experiment, fold: Fold) -> dict[str, Any]:
    """Return the fold as plain data: speakers and files of each part, and a digest of content, labels and speakers."""
    digest = hashlib.sha256()
    for positions in fold.parts().values():
        for position in positions:
            utterance = experiment.corpus.utterances[position]
            told = (experiment.store.content[position], utterance.label, utterance.speaker)
            digest.update(json.dumps(told).encode())
    parts = {
        side: {"speakers": experiment.speakers(positions), "utterances": experiment.names(positions)}
        for side, positions in fold.parts().items()
    }
    return {
        "protocol": experiment.config.split.protocol,
        "fold": fold.name,
        "content": digest.hexdigest(),
        **parts,
    }


def _optimizer(config: Config, network: keras.Model) -> keras.Optimizer:
    optimizer = keras.optimizers.Adam(config.train.learning_rate)
    optimizer.build(network.trainable_variables)
    return optimizer


def _threads() -> int:
    return tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1


def _fit(
    run: Run,
    experiment: Experiment,
    fold: Fold,
    network: keras.Model,
    optimizer: keras.Optimizer,
    history: list[HistoryRow],
) -> None:
    config = run.config
    first_epoch = len(history)
    if first_epoch >= config.train.epochs:
        _logger.info("%s: all %d epochs are trained", run.path, config.train.epochs)
        return
    for note in run.notes:
        _logger.warning("note: %s", note)
    loss = make_loss(config.train.loss, config.train.gamma)
    network.compile(
        optimizer=optimizer,
        loss=loss,
        metrics=[
            keras.metrics.SparseCategoricalAccuracy(name="wa"),
            UnweightedAccuracy(len(experiment.labels), name="ua"),
        ],
        jit_compile=False,
    )
    rows = experiment.store.segments_of(fold.train)
    class_ids = experiment.class_ids[experiment.store.utterance_of_segment[rows]]
    batches = training_batches(
        experiment.store,
        rows,
        class_ids,
        batch_size=config.train.batch_size,
        seed=config.train.seed,
        balance=config.train.balance,
        class_weights=_class_weights(experiment, fold),
        augment=config.augment,
        features=config.features,
        first_epoch=first_epoch,
        last_epoch=config.train.epochs,
    )
    steps = steps_per_epoch(class_ids, config.train.batch_size, config.train.balance)
    callbacks = [
        LearningRate(config.train, history),
        Validation(experiment, fold, network, loss),
        Progress(config.train.epochs, steps, history),
        EpochWeights(run, network),
        EpochState(run, network, history),
        keras.callbacks.TensorBoard(str(run.tensorboard_dir), write_graph=False),
    ]
    try:
        network.fit(
            batches,
            epochs=config.train.epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=steps,
            callbacks=callbacks,
            shuffle=False,  # the order is the data set's own, a function of (seed, epoch)
            verbose=0,
        )
    except KeyboardInterrupt:
        _logger.warning("stopped; %s", _how_to_resume(run, history))
        raise
    except (OSError, tf.errors.OpError) as error:  # TensorBoard's logs are written by TensorFlow
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        raise RunError(
            f"{getattr(error, 'filename', None) or run.path}: could not write: {reason}; {_how_to_resume(run, history)}"
        ) from error


def _how_to_resume(run: Run, history: Sequence[HistoryRow]) -> str:
    return (
        f"{len(history)} of {run.config.train.epochs} epochs are kept in {run.path}; "
        f"go on with: python -m lightsernet_tf.train --resume '{run.path}'"
    )


def _class_weights(experiment: Experiment, fold: Fold) -> dict[int, float] | None:
    config = experiment.config.train
    if config.balance != "class_weight":
        return None
    unknown = sorted(set(config.class_weights) - set(experiment.labels))
    if unknown:
        raise ConfigError(
            f"train.class_weights: expected labels of {', '.join(experiment.labels)}. Received: {', '.join(unknown)}"
        )
    given = {experiment.labels.index(label): weight for label, weight in config.class_weights.items()}
    rows = experiment.store.segments_of(fold.train)  # what is drawn, and so what the frequencies are of
    return class_weights(experiment.class_ids[experiment.store.utterance_of_segment[rows]], experiment.labels, given)
