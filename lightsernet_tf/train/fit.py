"""One network and one fold: built, compiled and fitted by the settings of an experiment.

What this module does not do: keep anything. ``training`` puts a run's folder around it.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from lightsernet_tf.data.batches import steps_per_epoch, training_batches
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import Fold
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.model.losses import class_weights, make_loss
from lightsernet_tf.model.replicas import batches_for_replicas
from lightsernet_tf.runs.run import HistoryRow
from lightsernet_tf.train.callbacks import LearningRate, Validation
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
    history: list[HistoryRow],
    last_epoch: int,
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
    history
        The figures of the epochs that are trained. Whoever keeps more of them appends to it, see `LearningRate`.
    last_epoch
        How many epochs are trained at the end.
    callbacks
        Called after those that set the learning rate and add the validation figures to an epoch's.

    Returns
    -------
    keras.callbacks.History
        The figures of the epochs trained here: ``loss``, ``wa``, ``ua``, ``val_loss``, ``val_ua`` and so on.

    Raises
    ------
    RunError
        If the loss is no number any more.
    """
    config = experiment.config.train
    rows = experiment.store.segments_of(fold.train)
    class_ids = experiment.class_ids[experiment.store.utterance_of_segment[rows]]
    batches = training_batches(
        experiment.store,
        rows,
        class_ids,
        batch_size=config.batch_size,
        seed=config.seed,
        balance=config.balance,
        class_weights=fold_class_weights(experiment, fold),
        augment=experiment.config.augment,
        features=experiment.config.features,
        first_epoch=len(history),
        last_epoch=last_epoch,
    )
    return network.fit(
        batches_for_replicas(batches, network.distribute_strategy),
        epochs=last_epoch,
        initial_epoch=len(history),
        steps_per_epoch=steps_per_epoch(class_ids, config.batch_size, config.balance),
        callbacks=[LearningRate(config, history), Validation(experiment, fold, network, network.loss), *callbacks],
        shuffle=False,  # the order is the data set's own, a function of (seed, epoch)
        verbose=0,
    )


def fold_class_weights(experiment: Experiment, fold: Fold) -> dict[int, float] | None:
    """Return the weight of each class in training, by its id; none where classes are not weighted.

    Raises
    ------
    ConfigError
        If ``train.class_weights`` names other labels than the experiment's.
    """
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
