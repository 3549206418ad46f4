"""Training one fold: a run folder, a checkpoint every epoch, validation after each, and going on where it stopped."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

from lightsernet_tf.config import Config
from lightsernet_tf.data.experiment import Experiment, prepare
from lightsernet_tf.data.splits import Fold, choose_fold
from lightsernet_tf.errors import RunError, RunExistsError, WriteError, one_line
from lightsernet_tf.model.network import build_network
from lightsernet_tf.model.replicas import training_strategy
from lightsernet_tf.runs.checkpoints import keep_epoch, load_state, save_state
from lightsernet_tf.runs.fold import describe_split, same_fold
from lightsernet_tf.runs.run import HistoryRow, Run
from lightsernet_tf.train.callbacks import Progress
from lightsernet_tf.train.fit import compile_network, fit_network, fold_class_weights
from lightsernet_tf.train.initial_weights import load_initial_weights

_logger = logging.getLogger(__name__)


def train(
    config: Config,
    experiment: Experiment | None = None,
    run_path: Path | None = None,
    *,
    until_epoch: int | None = None,
    wait_seconds: float = 0.0,
) -> Run:
    """Train the fold that ``config.split.fold`` names, in a new run folder.

    Parameters
    ----------
    config
        The settings.
    experiment
        ``prepare(config)`` where it is already there.
    run_path
        The run's folder; none: below ``config.runs_dir``, named after what is trained and when.
    until_epoch
        Stop after this many of the ``train.epochs`` epochs, as if stopped there; ``resume`` goes on.
    wait_seconds
        How long to wait for a process that trains in the folder to be gone.

    Raises
    ------
    InputError
        If anything given cannot work.
    KeyboardInterrupt
        On Ctrl-C; every whole epoch is kept and ``resume`` goes on after it.
    """
    experiment = experiment.under(config) if experiment else prepare(config)
    fold = choose_fold(experiment.folds, config.split)
    fold_class_weights(experiment, fold)  # whatever is wrong with them, before there is a folder
    strategy = training_strategy(config.train.strategy)
    network = build_network(experiment, strategy)
    notes = experiment.notes(fold)
    notes += [note for note in load_initial_weights(network, experiment, fold) if note not in notes]
    compile_network(network, experiment)
    path = run_path or Path(config.runs_dir).expanduser() / (config.run_name or run_name(config))
    about = {
        "labels": list(experiment.labels),
        "input_shape": list(experiment.store.input_shape),
        "seeds": {"train": config.train.seed, "split": config.split.seed},
        "threads": _threads(),
        "replicas": strategy.num_replicas_in_sync,
        "notes": notes,
        "left_out": [[str(path), reason] for path, reason in experiment.left_out],
    }
    write_state = partial(save_state, network=network, optimizer=network.optimizer, history=[])
    with Run.create(path, config, describe_split(experiment, fold), about, write_state, wait_seconds) as run:
        _fit(run, experiment, fold, network, [], until_epoch)
    return run


def resume(
    path: Path,
    experiment: Experiment | None = None,
    *,
    until_epoch: int | None = None,
    wait_seconds: float = 0.0,
) -> Run:
    """Go on with a run that was stopped; the result is, to the bit, that of a run that never was.

    That holds with as many threads and devices as before; otherwise it warns.

    Parameters
    ----------
    path
        The run's folder.
    experiment
        ``prepare`` of the run's settings where it is already there.
    until_epoch, wait_seconds
        As in `train`.

    Raises
    ------
    RunError
        If the folder is no run, its state is damaged, or the corpus has changed since.
    """
    run = Run.open(path)
    experiment = experiment.under(run.config) if experiment else prepare(run.config)
    fold = same_fold(run, experiment)
    with run.held(wait_seconds):
        strategy = training_strategy(run.config.train.strategy)
        _warn_of_another_machine(run, strategy.num_replicas_in_sync)
        network = build_network(experiment, strategy)
        compile_network(network, experiment)
        rows = load_state(run.state_path, network, network.optimizer)
        run.write_history(rows)
        _fit(run, experiment, fold, network, rows, until_epoch)
    return run


def train_or_resume(
    config: Config,
    experiment: Experiment,
    path: Path,
    *,
    until_epoch: int | None = None,
    wait_seconds: float = 0.0,
) -> Run:
    """Train in a folder, or go on with the run that is in it, once no other process trains there any more.

    Parameters
    ----------
    config, experiment, path, until_epoch, wait_seconds
        As in `train`.

    Raises
    ------
    InputError
        As `train` and `resume`.
    """
    if not (path / "run.json").exists():
        try:
            return train(config, experiment, path, until_epoch=until_epoch, wait_seconds=wait_seconds)
        except RunExistsError:
            _logger.info("%s: another process has made a run here meanwhile", path)
    return resume(path, experiment, until_epoch=until_epoch, wait_seconds=wait_seconds)


def run_name(config: Config) -> str:
    """Return a folder name that says what is trained and when."""
    parts = [config.corpus.name, config.features.kind, config.train.loss, f"{datetime.now():%Y%m%d-%H%M%S}"]
    return "_".join(parts)


def _threads() -> int:
    return tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count() or 1


def _warn_of_another_machine(run: Run, replicas: int) -> None:
    if run.about.get("threads") != _threads():
        _logger.warning(
            "%s: trained with %s threads until now and with %d from here on: sums may round differently",
            run.path,
            run.about.get("threads"),
            _threads(),
        )
    trained_on = run.about.get("replicas", 1)  # runs from before there were replicas lack it
    if trained_on != replicas:
        _logger.warning(
            "%s: trained on %s devices until now and on %d from here on: dropout draws other masks, and sums may round "
            "differently",
            run.path,
            trained_on,
            replicas,
        )


def _fit(
    run: Run,
    experiment: Experiment,
    fold: Fold,
    network: keras.Model,
    rows: Sequence[HistoryRow],
    until_epoch: int | None,
) -> None:
    epochs = run.config.train.epochs
    last_epoch = min(until_epoch or epochs, epochs)
    if len(rows) >= last_epoch:
        _logger.info("%s: %d of %d epochs are trained", run.path, len(rows), epochs)
        return
    for note in run.notes:
        _logger.warning("note: %s", note)
    keep = partial(keep_epoch, run, network)
    callbacks = [Progress(epochs), keras.callbacks.TensorBoard(str(run.tensorboard_dir), write_graph=False)]
    try:
        fit_network(network, experiment, fold, last_epoch, rows=rows, keep=keep, callbacks=callbacks)
    except KeyboardInterrupt:
        _logger.warning("stopped; %s", _how_to_resume(run))
        raise
    except (OSError, MemoryError, tf.errors.OpError) as error:
        what = error.filename if isinstance(error, OSError) and error.filename else run.path
        # What follows in TensorFlow's messages is the state of its allocator, or a stack.
        first_line = getattr(error, "message", "").split("\n")[0]
        reason = f"{one_line(first_line or error, 200)}; {_how_to_resume(run)}"
        if _is_of_the_disk(error):
            raise WriteError(f"{what}: could not write: {reason}") from error
        if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
            raise RunError(
                f"train.batch_size: expected batches that fit into memory. Received: {run.config.train.batch_size} "
                f"utterances of {experiment.store.input_shape} ({reason})"
            ) from error
        raise RunError(f"{what}: expected TensorFlow to train. Received: {type(error).__name__}: {reason}") from error


def _is_of_the_disk(error: Exception) -> bool:
    """Return whether a file could not be written; TensorFlow, which writes TensorBoard's, has many names for it."""
    by_tensorflow = (tf.errors.PermissionDeniedError, tf.errors.NotFoundError, tf.errors.FailedPreconditionError)
    return (
        isinstance(error, (OSError, *by_tensorflow))
        or "No space left" in str(error)
        or "File too large" in str(error)
        or "quota" in str(error)
    )


def _how_to_resume(run: Run) -> str:
    return (
        f"{len(run.history())} of {run.config.train.epochs} epochs are kept in {run.path}; "
        f"go on with: python -m lightsernet_tf.train --resume '{run.path}'"
    )
