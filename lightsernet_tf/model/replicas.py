"""One network trained on several devices of one machine, with the same figures as on one device.

Keras 3 cannot train one network on several machines (keras#20585).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

_logger = logging.getLogger(__name__)


def training_strategy(name: str) -> tf.distribute.Strategy:
    """Return the strategy that ``train.strategy`` of the configuration names.

    ``mirrored`` uses all GPUs of the machine, or all logical CPU devices if there is no GPU. With a single device it
    warns and is ``one_device``.
    """
    return _STRATEGIES[name]()


def _mirrored() -> tf.distribute.Strategy:
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [device.name.removeprefix("/device:") for device in devices]
    if len(names) == 1:
        _logger.warning("train.strategy: mirrored found one device, %s: it trains on that one alone", *names)
        return tf.distribute.get_strategy()
    _logger.info("train.strategy: mirrored over %d devices: %s", len(names), ", ".join(names))
    # NCCL, TensorFlow's own choice, is for GPUs alone.
    reduction = tf.distribute.ReductionToOneDevice() if names[0].startswith("CPU") else None
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction)


_STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one_device": tf.distribute.get_strategy,
    "mirrored": _mirrored,
}


def batches_for_replicas(
    batches: tf.data.Dataset, strategy: tf.distribute.Strategy
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Return batches that every replica gets as a whole; `ReplicatedModel` takes each replica's share.

    TensorFlow's own distribution would give each replica its share, but then ``Model.fit`` of Keras fails if the shares
    of the first batch differ in size, and no replica knows the size of the whole batch.
    """
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return batches
    repeated = batches.flat_map(lambda *batch: tf.data.Dataset.from_tensors(batch).repeat(replicas))
    return strategy.distribute_datasets_from_function(lambda context: repeated)  # the replicas take turns


class ReplicatedModel(keras.Model):
    """A functional model whose training step on several replicas is that of one device on the whole batch.

    Each replica trains on its share of the batch. Keras takes the mean over a share and then the mean over the
    replicas, as if shares were equal; here the loss, its gradients and the metrics are those of the whole batch,
    however it divides. This needs synchronised batch normalisation. Only dropout differs from one device: each replica
    draws the mask of its share from one seed, so that the first examples of all shares have the same mask, and so on.
    """

    def train_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """Train on this replica's share of a batch that every replica gets as a whole."""
        context = tf.distribute.get_replica_context()
        replica, replicas = context.replica_id_in_sync_group, context.num_replicas_in_sync
        size = tf.shape(data[0])[0]
        first, last = replica * size // replicas, (replica + 1) * size // replicas
        # A batch smaller than the number of replicas leaves some share empty, which oneDNN's convolutions reject: then
        # all train on the whole batch, which is the same step, and each counts only its share in the metrics.
        shared_out = size >= replicas
        taken = slice(tf.where(shared_out, first, 0), tf.where(shared_out, last, size))
        counted = tuple(column[first:last] for column in data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(column[taken] for column in data))
        # Keras takes the mean of a share and divides by the replicas; scaled, these add up to the mean of the batch.
        scale = tf.where(shared_out, (last - first) * replicas / size, 1.0)
        weights = tf.cast(scale, tf.float32) * (tf.ones(tf.shape(y)) if sample_weight is None else sample_weight)
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight=weights, training=True)
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        for metric in self.metrics:
            if metric.name == "loss":  # a mean over examples: together the replicas add loss * size, weighted by size
                metric.update_state(loss * replicas, sample_weight=size / replicas)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(counted)
        y_pred = y_pred[tf.where(shared_out, 0, first) : tf.where(shared_out, last - first, last)]
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
