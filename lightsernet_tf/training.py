"""Training one fold: a run folder, a checkpoint every epoch, validation after each, and going on where it stopped."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from lightsernet_tf.checkpoints import EpochState, EpochWeights, load_state, load_weights
from lightsernet_tf.config import Config, TrainConfig
from lightsernet_tf.datasets import steps_per_epoch, training_batches
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.experiment import Experiment, prepare
from lightsernet_tf.judging import keras_predictor, predict_utterances
from lightsernet_tf.losses import class_weights, make_loss
from lightsernet_tf.metrics import UnweightedAccuracy, score
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
    experiment = experiment or prepare(config)
    fold = choose_fold(experiment.folds, config.split)
    network = build_network(experiment)
    if config.train.initial_weights is not None:
        load_weights(network, initial_weights_path(config.train.initial_weights))
    about = {
        "labels": list(experiment.labels),
        "input_shape": list(experiment.store.input_shape),
        "seeds": {"train": config.train.seed, "split": config.split.seed},
        "notes": experiment.notes(fold),
        "left_out": [[str(path), reason] for path, reason in experiment.left_out],
    }
    path = run_path or Path(config.runs_dir).expanduser() / (config.run_name or run_name(config))
    run = Run.create(path, config, about, describe_split(experiment, fold))
    _fit(run, experiment, fold, network, resumed=False)
    return run


def resume(path: Path, experiment: Experiment | None = None) -> Run:
    """Go on with a run that was stopped; the result is, to the bit, that of a run that never was.

    Raises
    ------
    RunError
        If the folder is no run, its state is damaged, or the corpus has changed since.
    """
    run = Run.open(path)
    experiment = experiment or prepare(run.config)
    fold = choose_fold(experiment.folds, run.config.split)
    if describe_split(experiment, fold) != run.split or experiment.labels != run.labels:
        raise RunError(
            f"{run.path}: expected the corpus that the run began with. Received: other files, contents or labels "
            f"(compare {run.path / 'split.json'})"
        )
    _fit(run, experiment, fold, build_network(experiment), resumed=True)
    return run


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


def initial_weights_path(given: str) -> Path:
    """Return the file of weights that a run's folder (its chosen epoch) or a file's name means."""
    path = Path(given).expanduser()
    if path.is_dir():
        run = Run.open(path)
        return run.weights_path(run.resolve_epoch("best"))
    return path


def run_name(config: Config) -> str:
    """Return a folder name that says what is trained and when."""
    parts = [config.corpus.name, config.features.kind, config.train.loss, f"{datetime.now():%Y%m%d-%H%M%S}"]
    return "_".join(parts)


def describe_split(experiment: Experiment, fold: Fold) -> dict[str, Any]:
    """Return the fold as plain data: speakers and files of each part, and a digest of all content."""
    digest = hashlib.sha256()
    for positions in fold.parts().values():
        for position in positions:
            digest.update(str(experiment.store.content[position]).encode())
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


def learning_rate_at(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    """Return the learning rate of an epoch, counted from 0, given the figures of those before it."""
    return config.learning_rate * _SCHEDULES[config.schedule](epoch, history, config)


def _published(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    return math.exp(-0.15 * ((epoch - 50) // 20 + 1)) if epoch >= 50 else 1.0


def _plateau(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    factor, best, waited = 1.0, math.inf, 0
    for row in history[:epoch]:
        if row["val_loss"] < best:
            best, waited = row["val_loss"], 0
        else:
            waited += 1
        if waited == 10:
            factor, waited = factor / 2, 0
    return factor


def _constant(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    return 1.0


def _cosine(epoch: int, history: Sequence[HistoryRow], config: TrainConfig) -> float:
    return (1 + math.cos(math.pi * epoch / config.epochs)) / 2


_SCHEDULES: dict[str, Callable[[int, Sequence[HistoryRow], TrainConfig], float]] = {
    "published": _published,
    "plateau": _plateau,
    "constant": _constant,
    "cosine": _cosine,
}


def _fit(run: Run, experiment: Experiment, fold: Fold, network: keras.Model, *, resumed: bool) -> None:
    config = run.config
    weights = _class_weights(experiment, fold)
    loss = make_loss(config.train.loss, config.train.gamma)
    optimizer = keras.optimizers.Adam(config.train.learning_rate)
    optimizer.build(network.trainable_variables)
    history: list[HistoryRow] = []
    if resumed and run.state_path.exists():
        history = load_state(run.state_path, network, optimizer)
        run.write_history(history)
    first_epoch = len(history)
    if first_epoch >= config.train.epochs:
        _logger.info("%s: all %d epochs are trained", run.path, config.train.epochs)
        return
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
        class_weights=weights,
        augment=config.augment,
        features=config.features,
        first_epoch=first_epoch,
        last_epoch=config.train.epochs,
    )
    steps = steps_per_epoch(class_ids, config.train.batch_size, config.train.balance)
    state = EpochState(run, network, history)
    callbacks = [
        _LearningRate(config.train, history),
        _Validation(experiment, fold, network, loss),
        _Progress(run, config, steps, history),
        EpochWeights(run, network),
        state,
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
    except OSError as error:
        raise RunError(
            f"{error.filename or run.path}: could not write: {error.strerror or error}; {_how_to_resume(run, history)}"
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
    return class_weights(experiment.class_ids[list(fold.train)], experiment.labels, given)


class _LearningRate(keras.callbacks.Callback):
    def __init__(self, config: TrainConfig, history: list[HistoryRow]) -> None:
        super().__init__()
        self._config, self._history = config, history

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.model.optimizer.learning_rate = learning_rate_at(epoch, self._history, self._config)
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        logs["learning_rate"] = learning_rate_at(epoch, self._history, self._config)
        logs["seconds"] = time.monotonic() - self._started
        if not math.isfinite(logs["loss"]):
            raise RunError(
                f"train.learning_rate: expected a finite loss. Received: loss={logs['loss']} in epoch {epoch + 1} with "
                f"learning_rate={logs['learning_rate']:g}; a smaller one may help"
            )


class _Validation(keras.callbacks.Callback):
    def __init__(self, experiment: Experiment, fold: Fold, network: keras.Model, loss: keras.losses.Loss) -> None:
        super().__init__()
        self._experiment, self._fold, self._loss = experiment, fold, loss
        self._predict = keras_predictor(network)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        positions = self._fold.validation
        probabilities = predict_utterances(self._predict, self._experiment.store, positions)
        true = self._experiment.class_ids[list(positions)]
        scores = score(true, probabilities, self._experiment.labels)
        logs["val_loss"] = float(self._loss(true, probabilities.astype(np.float32)))
        for figure in ("wa", "ua", "macro_f1", "weighted_f1"):
            logs[f"val_{figure}"] = getattr(scores, figure)


class _Progress(keras.callbacks.Callback):
    """A bar over the steps where somebody looks on, and a line for each epoch everywhere."""

    def __init__(self, run: Run, config: Config, steps: int, history: list[HistoryRow]) -> None:
        super().__init__()
        self._run, self._config, self._steps, self._history = run, config, steps, history

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._bar = tqdm(total=self._steps, desc=f"epoch {epoch + 1}", leave=False, disable=None, unit="step")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        self._bar.close()
        epochs = self._config.train.epochs
        seconds = [row["seconds"] for row in self._history[-4:]] + [logs["seconds"]]
        left = (epochs - epoch - 1) * sum(seconds) / len(seconds)
        _logger.info(
            "epoch %*d/%d  training: loss %.3f UA %4.1f %%  validation: loss %.3f UA %4.1f %% WA %4.1f %%  "
            "%.1f s, %s left",
            len(str(epochs)),
            epoch + 1,
            epochs,
            logs["loss"],
            100 * logs["ua"],
            logs["val_loss"],
            100 * logs["val_ua"],
            100 * logs["val_wa"],
            logs["seconds"],
            f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s",
        )
