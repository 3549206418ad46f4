from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from lightsernet_tf.config import AugmentConfig, Config, FeatureConfig, TrainConfig
from lightsernet_tf.data.batches import (
    epoch_batches,
    epoch_order,
    steps_per_epoch,
    training_batches,
)
from lightsernet_tf.data.feature_store import FeatureStore
from lightsernet_tf.features.front_end import extract
from tests.cluster import WITH_TESTS

ROWS = 23
SAMPLES = 4096
MFCC = FeatureConfig()
EVERYTHING = AugmentConfig(
    time_mask_max_frames=3,
    frequency_mask_max_bins=10,
    time_shift_max_seconds=0.05,
    gain_max_db=6.0,
    noise_min_snr_db=5.0,
)


def write_store(folder):
    random = np.random.default_rng(0)
    waveforms = random.uniform(-1, 1, (ROWS, SAMPLES)).astype(np.float32)
    np.save(folder / "waveforms.npy", waveforms)
    np.save(folder / "features.npy", extract(tf.constant(waveforms), MFCC).numpy())
    return open_store(folder)


def open_store(folder):
    content = tuple(map(str, range(ROWS)))
    return FeatureStore(folder / "features.npy", folder / "waveforms.npy", np.arange(ROWS), content, {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    write_store(folder)
    return folder


@pytest.fixture(scope="module")
def store(folder):
    return open_store(folder)


@pytest.fixture(scope="module")
def rows():
    return np.arange(ROWS)[::-1]


@pytest.fixture(scope="module")
def labels():
    return np.repeat([0, 1, 2], [14, 6, 3])


def settings_with(augment=None, balance="none", features=MFCC):
    train = TrainConfig(batch_size=4, seed=1, balance=balance)
    return Config(augment=augment or AugmentConfig(), features=features, train=train)


def epoch(store, rows, class_ids, config, class_weights=None, epoch=0):
    return epoch_batches(store, rows, class_ids, config, class_weights=class_weights, epoch=epoch)


def elements(dataset):
    return list(dataset.as_numpy_iterator())


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for left, right in zip(one, other, strict=True):
            np.testing.assert_array_equal(left, right)


many_labels = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(np.array)


@given(many_labels, st.integers(0, 2**31 - 1), st.integers(0, 500), st.sampled_from(["none", "class_weight"]))
def test_an_epoch_draws_each_row_once(labels, seed, epoch, balance):
    order = epoch_order(labels, seed=seed, epoch=epoch, balance=balance)
    assert sorted(order) == list(range(len(labels)))
    np.testing.assert_array_equal(order, epoch_order(labels, seed=seed, epoch=epoch, balance=balance))


@given(many_labels, st.integers(0, 2**31 - 1), st.integers(0, 500))
def test_oversampling_draws_every_class_as_often_as_the_largest(labels, seed, epoch):
    order = epoch_order(labels, seed=seed, epoch=epoch, balance="oversample")
    np.testing.assert_array_equal(order, epoch_order(labels, seed=seed, epoch=epoch, balance="oversample"))
    largest = np.bincount(labels).max()
    times_of_rows = np.bincount(order, minlength=len(labels))
    for label in np.unique(labels):
        times = times_of_rows[labels == label]
        assert times.sum() == largest
        assert times.max() - times.min() <= 1


def test_order_differs_between_epochs_and_seeds(labels):
    orders = [epoch_order(labels, seed=seed, epoch=epoch, balance="none") for seed in range(3) for epoch in range(3)]
    assert len({order.tobytes() for order in orders}) == 9


def test_the_surplus_of_oversampling_differs_between_epochs(labels):
    drawn_twice = set()
    for epoch in range(10):
        times = np.bincount(epoch_order(labels, seed=1, epoch=epoch, balance="oversample"), minlength=ROWS)
        assert sorted(times[14:20]) == [2, 2, 2, 2, 3, 3]
        drawn_twice.add(tuple(times))
    assert len(drawn_twice) > 5


@settings(max_examples=30)
@given(many_labels, st.integers(1, 9), st.sampled_from(["none", "oversample"]))
def test_steps_per_epoch(labels, batch_size, balance):
    order = epoch_order(labels, seed=3, epoch=8, balance=balance)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    assert steps_per_epoch(labels, TrainConfig(batch_size=batch_size, balance=balance)) == len(batches)


def test_nothing_switched_on_gives_the_stored_rows_in_the_epochs_order(store, rows, labels):
    order = epoch_order(labels, seed=1, epoch=6, balance="oversample")
    dataset = epoch(store, rows, labels, settings_with(balance="oversample"), epoch=6)
    assert dataset.element_spec[0].shape.as_list() == [None, 13, 40, 1]
    batches = elements(dataset)
    assert [len(y) for _, y in batches] == [4] * 10 + [2]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches])[..., 0], store.features[rows[order]])
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), labels[order])
    assert_same(elements(dataset), batches)


def test_class_weights_follow_the_labels(store, rows, labels):
    weights = {0: 0.5, 1: 1.25, 2: 3.0}
    batches = elements(epoch(store, rows, labels, settings_with(balance="class_weight"), weights))
    assert sorted(np.concatenate([y for _, y, _ in batches])) == sorted(labels)
    for _, y, weight in batches:
        assert weight.dtype == np.float32
        assert weight.tolist() == [weights[label] for label in y]


@pytest.mark.slow
@pytest.mark.parametrize(
    "augment",
    [AugmentConfig(), AugmentConfig(time_mask_max_frames=3, frequency_mask_max_bins=10), EVERYTHING],
    ids=["plain", "masks", "everything"],
)
def test_a_later_start_sees_the_same_batches(store, rows, labels, augment):
    config, weights = settings_with(augment, "oversample"), {0: 1.0, 1: 2.0, 2: 3.0}
    steps = steps_per_epoch(labels, config.train)
    batches = partial(training_batches, store, rows, labels, config, class_weights=weights, last_epoch=4)
    whole = elements(batches(first_epoch=0))
    assert len(whole) == 4 * steps
    assert_same(elements(batches(first_epoch=2)), whole[2 * steps :])
    third = elements(epoch(store, rows, labels, config, weights, epoch=2))
    assert_same(third, whole[2 * steps : 3 * steps])
    assert [len(y) for _, y, _ in third] == [4] * (steps - 1) + [42 - 4 * (steps - 1)]


def test_masks_act_on_stored_features(store, rows, labels):
    augment = AugmentConfig(time_mask_max_frames=6)
    order = epoch_order(labels, seed=1, epoch=0, balance="none")
    batches = elements(epoch(store, rows, labels, settings_with(augment)))
    x = np.concatenate([x for x, _ in batches])[..., 0]  # [rows, frames, bins]
    masked = (x == 0).all(axis=2)
    assert masked.any()
    np.testing.assert_array_equal(x, np.where(masked[..., None], 0, store.features[rows[order]]))


@pytest.mark.slow
def test_changed_waveforms_become_features(store, rows, labels):
    """A gain moves the zeroth coefficient by the same amount in all frames and leaves the others."""
    order = epoch_order(labels, seed=1, epoch=0, balance="none")
    gain = AugmentConfig(gain_max_db=6.0)
    batches = elements(epoch(store, rows, labels, settings_with(gain)))
    x = np.concatenate([x for x, _ in batches])[..., 0]
    np.testing.assert_allclose(x[..., 1:], store.features[rows[order]][..., 1:], atol=1e-2)
    waveforms = store.waveforms[rows[order]]
    unclipped = FeatureConfig(mfcc_clip=1000.0)
    batches = elements(epoch(store, rows, labels, settings_with(gain, features=unclipped)))
    moved = (
        np.concatenate([x for x, _ in batches])[..., 0, 0] - extract(tf.constant(waveforms), unclipped).numpy()[..., 0]
    )
    np.testing.assert_allclose(moved, moved[:, :1].repeat(moved.shape[1], axis=1), atol=1e-2)
    gains_db = moved[:, 0] / np.sqrt(2 * 128) * 20 / np.log(10)
    assert np.abs(gains_db).max() <= 6.01
    assert np.ptp(gains_db) > 4


FRESH_PROCESS = """
import hashlib, sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from tests.data.test_batches import digest_of_the_last_epoch, open_store, settings_with
from lightsernet_tf.config import AugmentConfig
from lightsernet_tf.data.batches import epoch_batches

tf.config.threading.set_inter_op_parallelism_threads(1)
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.random.set_seed(99)
store = open_store(Path(sys.argv[1]))
for frames in (0, 2):
    config = settings_with(AugmentConfig(time_mask_max_frames=frames))
    dataset = epoch_batches(store, np.arange(4), np.zeros(4, int), config, class_weights=None, epoch=0)
    print(len(list(dataset)), 'tensorflow_io' in sys.modules)
print(digest_of_the_last_epoch(store, first=2))
"""


def digest_of_the_last_epoch(store, first):
    labels = np.repeat([0, 1, 2], [14, 6, 3])
    batches = training_batches(
        store, np.arange(ROWS), labels, settings_with(EVERYTHING), class_weights=None, first_epoch=first, last_epoch=3
    )
    digest = hashlib.sha256()
    for x, y in list(batches.as_numpy_iterator())[-6:]:
        digest.update(x.tobytes() + y.tobytes())
    return digest.hexdigest()


@pytest.mark.slow
def test_a_fresh_process_that_starts_late_agrees_to_the_bit(store, folder):
    """The last epoch's batches are the same in a process resumed late, with another global seed.

    It runs on a single thread, where a pipeline that waits for another one inside it would never end; and it imports
    tensorflow_io for masks alone.
    """
    tf.random.set_seed(1)
    fresh = subprocess.run(
        [sys.executable, "-c", FRESH_PROCESS, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=180,
        env=WITH_TESTS,
    )
    *imports, digest = fresh.stdout.split()
    assert imports == ["1", "False", "1", "True"]
    assert digest == digest_of_the_last_epoch(store, first=0)


@pytest.mark.slow
def test_fit_sees_whole_epochs(store, rows, labels):
    """Keras counts as many batches per epoch as there are, and ends with the last."""
    import keras

    network = keras.Sequential([keras.Input(store.input_shape), keras.layers.Flatten(), keras.layers.Dense(3)])
    network.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    config = settings_with()
    batches = training_batches(store, rows, labels, config, class_weights=None, first_epoch=0, last_epoch=3)
    assert isinstance(batches, tf.data.Dataset)
    seen = []
    count = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    network.fit(batches, epochs=3, steps_per_epoch=6, shuffle=False, verbose=0, callbacks=[count])
    assert seen == list(range(6)) * 3
