"""What a run keeps of its epochs; killed processes are in tests/train/test_fold.py."""

from pathlib import Path

import keras
import numpy as np
import pytest

from lightsernet_tf.config import Config
from lightsernet_tf.errors import RunError
from lightsernet_tf.model.light_sernet import light_sernet
from lightsernet_tf.runs.checkpoints import epochs_to_keep, keep_epoch, load_state, load_weights, save_state
from lightsernet_tf.runs.run import HISTORY_COLUMNS, Run

HISTORY = [{"epoch": 1, "loss": 0.1 + 0.2, "val_loss": float("nan")}, {"epoch": 2, "loss": 1e-17, "val_loss": 2.0}]


def row(epoch, ua, loss=1.0):
    return {"epoch": epoch, "val_ua": ua, "val_loss": loss}


def test_all_epochs_stay():
    assert epochs_to_keep([row(1, 0.9), row(2, 0.1), row(3, 0.2)], "all", "ua") == {1, 2, 3}


def test_the_best_and_the_last_stay():
    history = [row(1, 0.5), row(2, 0.8), row(3, 0.7), row(4, 0.6)]
    assert epochs_to_keep(history, "best_and_last", "ua") == {2, 4}
    assert epochs_to_keep(history[:1], "best_and_last", "ua") == {1}


def test_of_equals_the_lower_loss_and_then_the_earlier_stays():
    history = [row(1, 0.8, 0.9), row(2, 0.8, 0.5), row(3, 0.8, 0.5), row(4, 0.1, 0.7)]
    assert epochs_to_keep(history, "best_and_last", "ua") == {2, 4}
    assert epochs_to_keep([row(1, 0.9, 0.9), row(2, 0.1, 0.5), row(3, 0, 0.6)], "best_and_last", "loss") == {2, 3}


def test_every_third_stays_with_the_best_and_the_last():
    history = [row(epoch, 1 / (1 + abs(epoch - 4))) for epoch in range(1, 9)]
    assert epochs_to_keep(history, "every 3", "ua") == {3, 4, 6, 8}
    assert epochs_to_keep(history, "every 100", "ua") == {4, 8}


def fresh(num_classes=3):
    network = light_sernet((16, 16, 1), num_classes, seed=9)
    optimizer = keras.optimizers.Adam(1.0)
    optimizer.build(network.trainable_variables)
    return network, optimizer


def values(network, optimizer):
    return [keras.ops.convert_to_numpy(variable) for variable in (*network.variables, *optimizer.variables)]


@pytest.fixture(scope="module")
def trained():
    """A network and its optimiser after two steps, so that no moment is zero; moving statistics have moved too."""
    network, optimizer = fresh()
    random = np.random.default_rng(1)
    for _ in range(2):
        gradients = [random.standard_normal(variable.shape) for variable in network.trainable_variables]
        optimizer.apply(gradients, network.trainable_variables)
    for variable in network.non_trainable_variables:
        if variable.dtype == "float32":
            variable.assign(random.random(variable.shape))
    return network, optimizer


@pytest.mark.slow
def test_a_state_comes_back_to_the_bit(trained, tmp_path):
    save_state(tmp_path / "state.npz", *trained, HISTORY)
    network, optimizer = fresh()
    history = load_state(tmp_path / "state.npz", network, optimizer)
    assert str(history) == str(HISTORY)  # as text, because nan is not equal to itself
    assert int(optimizer.iterations) == 2
    for ours, theirs in zip(values(network, optimizer), values(*trained), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_the_state_of_another_network_is_refused_and_changes_nothing(trained, tmp_path):
    save_state(tmp_path / "state.npz", *trained, HISTORY)
    network, optimizer = fresh(num_classes=4)
    before = values(network, optimizer)
    with pytest.raises(RunError, match=r"state\.npz: expected the state of this network.*of other shapes"):
        load_state(tmp_path / "state.npz", network, optimizer)
    for value, was in zip(values(network, optimizer), before, strict=True):
        np.testing.assert_array_equal(value, was)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_damaged_state_is_refused(trained, tmp_path, share):
    path = tmp_path / "state.npz"
    save_state(path, *trained, HISTORY)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RunError, match=r"state\.npz: expected the state of a training"):
        load_state(path, *fresh())


def test_a_state_that_is_something_else_is_refused(tmp_path):
    np.savez(tmp_path / "state.npz", other=np.zeros(3))
    with pytest.raises(RunError, match=r"state\.npz: expected the state of a training"):
        load_state(tmp_path / "state.npz", *fresh())


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The weights of the paper's network after an epoch, as a run keeps them."""
    path = tmp_path_factory.mktemp("kept") / "run ü"
    with Run.create(path, Config(), {}, {"labels": list("abcdefg"), "notes": [], "left_out": []}, Path.touch) as run:
        pass
    network = light_sernet((184, 40, 1), 7, seed=3)
    optimizer = keras.optimizers.Adam()
    optimizer.build(network.trainable_variables)
    network.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", jit_compile=False)
    keep_epoch(run, network, [dict.fromkeys(HISTORY_COLUMNS, 0.5) | {"epoch": 1}])
    return run, network


@pytest.mark.slow
def test_the_weights_of_an_epoch_take_less_than_2_mb_and_come_back(kept):
    run, network = kept
    assert run.kept_epochs() == [1]
    assert 463_431 * 4 < run.weights_path(1).stat().st_size < 2_000_000
    other = light_sernet((184, 40, 1), 7, seed=4)
    load_weights(other, run.weights_path(1))
    for ours, theirs in zip(other.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [path.name for path in run.weights_path(1).parent.iterdir()] == ["epoch_0001.weights.h5"]


def test_weights_of_another_number_of_classes_are_refused(kept):
    run, _ = kept
    with pytest.raises(RunError, match=r"epoch_0001\.weights\.h5: expected the weights of this network"):
        load_weights(light_sernet((184, 40, 1), 6), run.weights_path(1))


@pytest.mark.parametrize("share", [0, 0.0001, 0.3, 0.7, 0.9999])
def test_cut_weights_are_refused(kept, tmp_path, share):
    run, network = kept
    whole = run.weights_path(1).read_bytes()
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RunError, match=r"cut\.weights\.h5: expected the weights of this network"):
        load_weights(network, path)


def test_overwritten_weights_are_refused(kept, tmp_path):
    run, network = kept
    whole = bytearray(run.weights_path(1).read_bytes())
    for start in (0, 96, 800):  # the signature, the superblock's end, the first group
        damaged = whole.copy()
        damaged[start : start + 64] = b"\xff" * 64
        path = tmp_path / "overwritten.weights.h5"
        path.write_bytes(damaged)
        with pytest.raises(RunError, match=r"overwritten\.weights\.h5: expected the weights of this network"):
            load_weights(network, path)
    with pytest.raises(RunError, match=r"missing\.weights\.h5: expected a file of weights"):
        load_weights(network, tmp_path / "missing.weights.h5")
