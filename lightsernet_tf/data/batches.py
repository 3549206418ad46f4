"""Rows of a feature store as batches to train on: shuffled, balanced and augmented.

Everything random about an epoch is a function of (seed, epoch) alone, so that a training that is resumed at a later
epoch, in another process, sees the same batches to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lightsernet_tf.config import Balance, Config, TrainConfig
from lightsernet_tf.data.augment import augment_waveform, changes_features, changes_waveforms, make_masks
from lightsernet_tf.features.front_end import extract

if TYPE_CHECKING:
    from lightsernet_tf.data.feature_store import FeatureStore

Integers = NDArray[np.integer[Any]]


def epoch_order(class_ids: Integers, *, seed: int, epoch: int, balance: Balance) -> NDArray[np.int64]:
    """Return which rows an epoch draws, in its order.

    Parameters
    ----------
    class_ids
        Class of each row, shape ``[rows]``.
    seed, epoch
        Decide the order.
    balance
        ``oversample`` draws every class as often as the largest: each row of a class equally often, up to one, and
        which rows are drawn once more differs from epoch to epoch. Otherwise every row is drawn once.

    Returns
    -------
    NDArray
        Positions in ``class_ids``, shape ``[draws]``.
    """
    random = np.random.default_rng((seed, epoch))
    return random.permutation(_DRAWS[balance](np.asarray(class_ids), random))


def _each_row(class_ids: Integers, random: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(len(class_ids))


def _oversampled(class_ids: Integers, random: np.random.Generator) -> NDArray[np.int64]:
    rows_of_classes = [np.flatnonzero(class_ids == class_id) for class_id in np.unique(class_ids)]
    largest = max(map(len, rows_of_classes))
    draws = [np.resize(random.permutation(rows), largest) for rows in rows_of_classes]  # resize repeats from the start
    return np.concatenate(draws)


_DRAWS: dict[Balance, Callable[[Integers, np.random.Generator], NDArray[np.int64]]] = {
    "none": _each_row,
    "class_weight": _each_row,
    "oversample": _oversampled,
}


def steps_per_epoch(class_ids: Integers, config: TrainConfig) -> int:
    """Return the number of batches in an epoch; the last may be smaller."""
    draws = len(epoch_order(class_ids, seed=config.seed, epoch=0, balance=config.balance))
    return -(-draws // config.batch_size)


def training_batches(
    store: FeatureStore,
    rows: Integers,
    class_ids: Integers,
    config: Config,
    *,
    class_weights: Mapping[int, float] | None,
    first_epoch: int,
    last_epoch: int,
) -> tf.data.Dataset:
    """Return the batches of all epochs from ``first_epoch`` up to below ``last_epoch``, one epoch after the other.

    It is meant for ``keras.Model.fit`` with ``steps_per_epoch``: no batch mixes two epochs. Each epoch's dataset is
    made when its first batch is due. The parameters are otherwise those of `epoch_batches`.
    """

    def batches_of(epoch: int) -> tf.data.Dataset:
        return epoch_batches(store, rows, class_ids, config, class_weights=class_weights, epoch=epoch)

    def batches() -> Iterator[Any]:
        for epoch in range(first_epoch, last_epoch):
            yield from batches_of(epoch)

    return tf.data.Dataset.from_generator(batches, output_signature=batches_of(first_epoch).element_spec).prefetch(2)


def epoch_batches(
    store: FeatureStore,
    rows: Integers,
    class_ids: Integers,
    config: Config,
    *,
    class_weights: Mapping[int, float] | None,
    epoch: int,
) -> tf.data.Dataset:
    """Return the batches of one epoch, read from the disk as they are needed.

    Parameters
    ----------
    store
        Holds the features, and the waveforms if ``config.augment`` changes waveforms.
    rows, class_ids
        Rows of the store to train on and the class of each, shape ``[rows]``.
    config
        Batch size, seed, balance and augmentation; also the features, which changed waveforms are turned into.
    class_weights
        Weight by class; None: elements have no weights.
    epoch
        Decides, with the seed, the order and the augmentation.

    Returns
    -------
    tf.data.Dataset
        Elements ``(features float32 [batch, frames, bins, 1], class int32 [batch])``, and weight float32 [batch] as a
        third where there are class weights. The last batch may be smaller.
    """
    train, augment = config.train, config.augment
    order = epoch_order(class_ids, seed=train.seed, epoch=epoch, balance=train.balance)
    drawn = np.asarray(class_ids, np.int32)[order]
    columns: tuple[NDArray[Any], ...] = (np.asarray(rows, np.int64)[order], drawn)
    if class_weights is not None:
        columns += (np.array([class_weights[class_id] for class_id in drawn.tolist()], np.float32),)
    batches = tf.data.Dataset.from_tensor_slices(columns).batch(train.batch_size)
    epoch_seed = int(np.random.SeedSequence((train.seed, epoch)).generate_state(1)[0])
    if changes_waveforms(augment):
        batches = _augmented(batches, store, config, epoch_seed)
    else:
        batches = _read(batches, lambda rows: store.features[rows][..., np.newaxis], store.input_shape)
    batches = batches.prefetch(1)
    if changes_features(augment):
        mask = make_masks(augment, store.input_shape, epoch_seed)
        batches = batches.unbatch().map(lambda x, *rest: (mask(x), *rest)).batch(train.batch_size).prefetch(1)
    return batches


def _read(
    batches: tf.data.Dataset,
    read: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    row_shape: tuple[int, ...],
) -> tf.data.Dataset:
    def with_values(rows: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        values = tf.numpy_function(read, [rows], tf.float32)
        return tf.ensure_shape(values, [None, *row_shape]), *rest  # [batch, *row_shape]

    return batches.map(with_values)


def _augmented(batches: tf.data.Dataset, store: FeatureStore, config: Config, epoch_seed: int) -> tf.data.Dataset:
    def change(position: tf.Tensor, element: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        seed = tf.stack([tf.constant(epoch_seed, tf.int64), position])
        return augment_waveform(element[0], config.augment, config.features.sample_rate_hz, seed), *element[1:]

    def compute(waveforms: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.expand_dims(extract(waveforms, config.features), axis=-1), *rest  # [batch, frames, bins, 1]

    waveforms = _read(batches, lambda rows: store.waveforms[rows], store.waveforms.shape[1:])
    changed = waveforms.unbatch().enumerate().map(change, tf.data.AUTOTUNE).batch(config.train.batch_size)
    return changed.map(compute, tf.data.AUTOTUNE)
