"""Rows of a feature store as tf.data batches: in a given order for judging, shuffled and balanced for training.

Everything random about an epoch is a function of (seed, epoch) alone, so that a training that is resumed at a later
epoch, in another process, sees the same batches to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lightsernet_tf.config import AugmentConfig, Balance, FeatureConfig
from lightsernet_tf.data.augment import augment_waveform, changes_features, changes_waveforms, make_masks
from lightsernet_tf.features.front_end import extract

if TYPE_CHECKING:
    from lightsernet_tf.data.feature_store import FeatureStore

Integers = NDArray[np.integer[Any]]


def epoch_order(labels_of_rows: Integers, *, seed: int, epoch: int, balance: Balance) -> NDArray[np.int64]:
    """Return which rows an epoch draws, in its order: a function of (seed, epoch) alone.

    Parameters
    ----------
    labels_of_rows
        Class of each row, shape ``[rows]``.
    seed, epoch
        Choose the order.
    balance
        ``oversample`` draws every class as often as the largest: each row of a class equally often, up to one, and
        which rows are drawn once more differs from epoch to epoch. Otherwise every row is drawn once.

    Returns
    -------
    NDArray
        Positions in ``labels_of_rows``, shape ``[draws]``.
    """
    random = np.random.default_rng((seed, epoch))
    return random.permutation(_DRAWS[balance](np.asarray(labels_of_rows), random))


def _each_row(labels: Integers, random: np.random.Generator) -> NDArray[np.int64]:
    return np.arange(len(labels))


def _oversampled(labels: Integers, random: np.random.Generator) -> NDArray[np.int64]:
    rows_of_classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    largest = max(map(len, rows_of_classes), default=0)
    draws = [np.resize(random.permutation(rows), largest) for rows in rows_of_classes]  # resize repeats from the start
    return np.concatenate([np.empty(0, np.int64), *draws])


_DRAWS: dict[Balance, Callable[[Integers, np.random.Generator], NDArray[np.int64]]] = {
    "none": _each_row,
    "class_weight": _each_row,
    "oversample": _oversampled,
}


def steps_per_epoch(labels_of_rows: Integers, batch_size: int, balance: Balance) -> int:
    """Return the number of batches in an epoch; the last may be smaller."""
    draws = len(epoch_order(labels_of_rows, seed=0, epoch=0, balance=balance))
    return -(-draws // batch_size)


def make_dataset(
    store: FeatureStore,
    rows: Integers,
    labels_of_rows: Integers,
    *,
    batch_size: int,
    weights_of_rows: NDArray[np.floating[Any]] | None = None,
) -> tf.data.Dataset:
    """Return batches of features and labels in the order of ``rows``, read from the disk as they are needed.

    Parameters
    ----------
    store
        Holds the features.
    rows
        Rows of the store, shape ``[rows]``; they may repeat.
    labels_of_rows
        Class of each of them, shape ``[rows]``.
    batch_size
        Rows per batch; the last may be smaller.
    weights_of_rows
        Weight of each of them, shape ``[rows]``, or none.

    Returns
    -------
    tf.data.Dataset
        Elements ``(features float32 [batch, frames, bins, 1], label int32 [batch])``, and weight float32 [batch] as a
        third where weights are given.
    """

    def read(rows_of_batch: NDArray[np.int64]) -> NDArray[np.float32]:
        return store.features[rows_of_batch][..., np.newaxis]

    return _read(read, store.input_shape, rows, labels_of_rows, weights_of_rows, batch_size).prefetch(1)


def _read(
    read: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    shape_of_row: tuple[int, ...],
    rows: Integers,
    labels: Integers,
    weights: NDArray[np.floating[Any]] | None,
    batch_size: int,
) -> tf.data.Dataset:
    columns: tuple[NDArray[Any], ...] = (np.asarray(rows, np.int64), np.asarray(labels, np.int32))
    if weights is not None:
        columns += (np.asarray(weights, np.float32),)

    def read_batch(rows_of_batch: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        values = tf.numpy_function(read, [rows_of_batch], tf.float32)
        return tf.ensure_shape(values, [None, *shape_of_row]), *rest

    return tf.data.Dataset.from_tensor_slices(columns).batch(batch_size).map(read_batch)


def make_training_dataset(
    store: FeatureStore,
    rows: Integers,
    labels_of_rows: Integers,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    balance: Balance,
    class_weights: Mapping[int, float] | None,
    augment: AugmentConfig,
    features: FeatureConfig,
) -> tf.data.Dataset:
    """Return the batches of one epoch: shuffled, balanced and augmented as a function of (seed, epoch) alone.

    Parameters
    ----------
    store
        Holds the features, and the waveforms if ``augment`` changes waveforms.
    rows, labels_of_rows
        Rows of the store to train on and the class of each, shape ``[rows]``.
    batch_size
        Rows per batch; the last may be smaller.
    seed, epoch
        Choose order and augmentation.
    balance
        See ``epoch_order``.
    class_weights
        Weight by class; none: elements have no weights.
    augment
        Random changes; all off: no stage of the pipeline is spent on them.
    features
        How changed waveforms become features.

    Returns
    -------
    tf.data.Dataset
        Elements as ``make_dataset`` gives them.
    """
    order = epoch_order(labels_of_rows, seed=seed, epoch=epoch, balance=balance)
    rows, labels = np.asarray(rows)[order], np.asarray(labels_of_rows)[order]
    weights = None if class_weights is None else np.array([class_weights[int(label)] for label in labels])
    key = int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
    if changes_waveforms(augment):
        dataset = _read_augmented(store, rows, labels, weights, batch_size, key, augment, features)
    else:
        dataset = make_dataset(store, rows, labels, batch_size=batch_size, weights_of_rows=weights)
    if changes_features(augment):
        mask = make_masks(augment, store.input_shape, key)
        dataset = dataset.unbatch().map(lambda x, *rest: (mask(x), *rest)).batch(batch_size).prefetch(1)
    return dataset


def _read_augmented(
    store: FeatureStore,
    rows: Integers,
    labels: Integers,
    weights: NDArray[np.floating[Any]] | None,
    batch_size: int,
    key: int,
    augment: AugmentConfig,
    features: FeatureConfig,
) -> tf.data.Dataset:
    if store.waveforms is None:
        raise ValueError("expected a store with waveforms to augment. Received: one opened without with_waveforms")

    def read(rows_of_batch: NDArray[np.int64]) -> NDArray[np.float32]:
        waveforms = store.waveforms
        assert waveforms is not None
        return waveforms[rows_of_batch]

    def change(position: tf.Tensor, element: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        seed = tf.stack([tf.constant(key, tf.int64), position])
        return augment_waveform(element[0], augment, features.sample_rate_hz, seed), *element[1:]

    def compute(waveforms: tf.Tensor, *rest: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.expand_dims(extract(waveforms, features), axis=-1), *rest

    waveforms = _read(read, store.waveforms.shape[1:], rows, labels, weights, batch_size)
    changed = waveforms.unbatch().enumerate().map(change, tf.data.AUTOTUNE).batch(batch_size)
    return changed.map(compute, tf.data.AUTOTUNE).prefetch(1)


def training_batches(
    store: FeatureStore,
    rows: Integers,
    labels_of_rows: Integers,
    *,
    first_epoch: int,
    last_epoch: int,
    **options: Any,
) -> tf.data.Dataset:
    """Return the batches of all epochs from ``first_epoch`` up to below ``last_epoch``, one epoch after the other.

    It is meant for ``keras.Model.fit`` with ``steps_per_epoch``: no batch mixes two epochs. ``options`` are those of
    ``make_training_dataset``; each epoch's dataset is made when its first batch is due.
    """

    def make(epoch: int) -> tf.data.Dataset:
        return make_training_dataset(store, rows, labels_of_rows, epoch=epoch, **options)

    def batches() -> Iterator[Any]:
        for epoch in range(first_epoch, last_epoch):
            yield from make(epoch)

    return tf.data.Dataset.from_generator(batches, output_signature=make(first_epoch).element_spec).prefetch(2)
