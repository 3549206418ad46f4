"""The untrained network of an experiment, on one device or several."""

from __future__ import annotations

import keras
import tensorflow as tf

from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.model.light_sernet import light_sernet
from lightsernet_tf.model.replicas import ReplicatedModel


def build_network(experiment: Experiment, strategy: tf.distribute.Strategy | None = None) -> keras.Model:
    """Return the untrained network of an experiment, the same for the same seed.

    Parameters
    ----------
    experiment
        The settings, the labels and the shape of the features.
    strategy
        From `training_strategy`, to train on several devices; None: one device, whatever the settings, to evaluate or
        export a network.
    """
    config = experiment.config
    strategy = strategy or tf.distribute.get_strategy()
    replicated = strategy.num_replicas_in_sync > 1
    with strategy.scope():
        network = light_sernet(
            experiment.store.input_shape,
            len(experiment.labels),
            config.model.dropout,
            config.model.l2,
            seed=config.train.seed,
            synchronized=replicated,
        )
        return ReplicatedModel(network.input, network.output, name=network.name) if replicated else network
