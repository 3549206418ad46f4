"""One network and one fold: built, compiled and fitted by the settings of an experiment.

What this module does not do: keep anything. `train.fold` puts a run's folder around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np

from lightsernet_tf.data.batches import steps_per_epoch, training_batches
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import Fold
from lightsernet_tf.evaluate.predictors import Predictor, keras_predictor, predictor_for
from lightsernet_tf.evaluate.scores import FIGURES, score
from lightsernet_tf.model.losses import class_weights, make_loss
from lightsernet_tf.model.replicas import batches_for_replicas
from lightsernet_tf.runs.run import HistoryRow
from lightsernet_tf.train.callbacks import EpochRecorder
from lightsernet_tf.train.metrics import UnweightedAccuracy


def compile_network(network: keras.Model, experiment: Experiment) -> None:
    """Give a network Adam, the loss and the figures of training; the optimiser's variables are built."""
    config = experiment.config.train
    with network.distribute_strategy.scope():
        optimizer = keras.optimizers.Adam(config.learning_rate)
        optimizer.build(network.trainable_variables)
        network.compile(
            optimizer=optimizer,
            loss=make_loss(config),
            metrics=[
                keras.metrics.SparseCategoricalAccuracy(name="wa"),
                UnweightedAccuracy(len(experiment.labels), name="ua"),
            ],
            jit_compile=False,
        )


def fit_network(
    network: keras.Model,
    experiment: Experiment,
    fold: Fold,
    last_epoch: int,
    *,
    rows: Sequence[HistoryRow] = (),
    keep: Callable[[Sequence[HistoryRow]], None] | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> keras.callbacks.History:
    """Train a compiled network, judging the validation data after each epoch.

    Parameters
    ----------
    network
        Compiled; it goes on from whatever its variables hold.
    experiment, fold
        The data and the settings. The learning rates and the order of every epoch are those of a training of
        ``train.epochs`` epochs.
    last_epoch
        How many epochs are trained at the end.
    rows
        The figures of the epochs that are trained already.
    keep
        Called at the end of each epoch with the figures of all epochs.
    callbacks
        Called at the end of each epoch after ``keep``, with the validation figures among the epoch's.

    Returns
    -------
    keras.callbacks.History
        The figures of the epochs trained here: ``loss``, ``wa``, ``ua``, ``val_loss``, ``val_ua`` and so on.

    Raises
    ------
    RunError
        If the loss is not finite.
    """
    config = experiment.config.train
    segments, class_ids = _training_segments(experiment, fold)
    predict = predictor_for(experiment, keras_predictor(network))
    validate = partial(validation_figures, predict, network.loss, experiment, fold)
    batches = training_batches(
        experiment.store,
        segments,
        class_ids,
        experiment.config,
        class_weights=fold_class_weights(experiment, fold),
        first_epoch=len(rows),
        last_epoch=last_epoch,
    )
    return network.fit(
        batches_for_replicas(batches, network.distribute_strategy),
        epochs=last_epoch,
        initial_epoch=len(rows),
        steps_per_epoch=steps_per_epoch(class_ids, config),
        callbacks=[EpochRecorder(config, validate, rows, keep), *callbacks],
        shuffle=False,  # the order is the data set's own, a function of (seed, epoch)
        verbose=0,
    )


def validation_figures(
    predict: Predictor, loss: keras.losses.Loss, experiment: Experiment, fold: Fold
) -> dict[str, float]:
    """Return the figures of a fold's validation data, by their names in the table of epochs."""
    probabilities = predict(fold.validation)  # [utterances, classes]
    true = experiment.class_ids[list(fold.validation)]  # [utterances]
    scores = score(true, probabilities, experiment.labels)
    return {
        "val_loss": float(loss(true, probabilities.astype(np.float32))),
        **{f"val_{figure}": getattr(scores, figure) for figure in FIGURES},
    }


def fold_class_weights(experiment: Experiment, fold: Fold) -> dict[int, float] | None:
    """Return the weight of each class in training, by its id; none where classes are not weighted.

    Raises
    ------
    ConfigError
        If ``train.class_weights`` names other labels than the experiment's, or not all of them.
    """
    config = experiment.config.train
    if config.balance != "class_weight":
        return None
    _, class_ids = _training_segments(experiment, fold)  # what is drawn, and so what the frequencies are of
    return class_weights(class_ids, experiment.labels, config.class_weights)


def _training_segments(experiment: Experiment, fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the store that a fold trains on, and the class of each: int [segments] both."""
    segments = experiment.store.segments_of(fold.train)
    return segments, experiment.class_ids[experiment.store.utterance_of_segment[segments]]
