import math

import keras
import numpy as np
import pytest

from lightsernet_tf.config import TrainConfig
from lightsernet_tf.train.schedules import PLATEAU_EPOCHS, learning_rate_at


def history_of(losses):
    return [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, start=1)]


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [(0, 1e-4), (49, 1e-4), (50, 8.60708e-5), (69, 8.60708e-5), (70, 7.40818e-5), (89, 7.40818e-5), (90, 6.37628e-5)],
)
def test_published_is_constant_for_50_epochs_and_then_falls_every_20(epoch, rate):
    config = TrainConfig(epochs=300, learning_rate=1e-4, schedule="published")
    assert learning_rate_at(epoch, [], config) == pytest.approx(rate, rel=1e-5)


def test_published_ends_300_epochs_after_13_steps():
    config = TrainConfig(epochs=300, learning_rate=1.0, schedule="published")
    rates = [learning_rate_at(epoch, [], config) for epoch in range(300)]
    assert len(set(rates)) == 14
    assert rates[-1] == pytest.approx(math.exp(-0.15 * 13))


def test_plateau_on_a_history_by_hand():
    # Better in epochs 1 and 2; then ten epochs that are no better; better again; ten that only equal the best.
    losses = [1.0, 0.5, *[0.6] * 10, 0.4, *[0.4] * 10, 0.4]
    config = TrainConfig(learning_rate=0.01, schedule="plateau")
    rates = [learning_rate_at(epoch, history_of(losses), config) for epoch in range(len(losses))]
    assert rates[:12] == [0.01] * 12
    assert rates[12:23] == [0.005] * 11
    assert rates[23:] == [0.0025]


def test_plateau_sees_nothing_of_the_epochs_to_come():
    losses = history_of([1.0, *[2.0] * 40])
    config = TrainConfig(schedule="plateau")
    for epoch in range(40):
        assert learning_rate_at(epoch, losses, config) == learning_rate_at(epoch, losses[:epoch], config)


@pytest.mark.parametrize("seed", range(5))
def test_plateau_equals_keras(seed):
    random = np.random.default_rng(seed)
    losses = np.round(1 + 0.5 * np.exp(-np.arange(80) / 10) + 0.1 * random.standard_normal(80), 2).tolist()
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(optimizer=keras.optimizers.SGD(0.5), loss="mse")
    theirs = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=0.5, patience=PLATEAU_EPOCHS, min_delta=0, min_lr=0
    )
    theirs.set_model(network)
    theirs.on_train_begin()
    config = TrainConfig(learning_rate=0.5, schedule="plateau")
    for epoch, loss in enumerate(losses):
        assert learning_rate_at(epoch, history_of(losses), config) == float(network.optimizer.learning_rate)
        theirs.on_epoch_end(epoch, {"val_loss": loss})
    assert float(network.optimizer.learning_rate) < 0.5


def test_cosine_equals_keras_and_ends_at_nothing():
    config = TrainConfig(epochs=40, learning_rate=0.1, schedule="cosine")
    theirs = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=40)
    ours = [learning_rate_at(epoch, [], config) for epoch in range(41)]
    np.testing.assert_allclose(ours, [float(theirs(epoch)) for epoch in range(41)], rtol=1e-5, atol=1e-9)
    assert ours[0] == 0.1
    assert ours[20] == pytest.approx(0.05)
    assert 0 < ours[39] < 0.001
    assert ours[40] == 0


def test_constant_stays():
    config = TrainConfig(epochs=7, learning_rate=0.02, schedule="constant")
    assert {learning_rate_at(epoch, history_of([1.0] * 30), config) for epoch in range(30)} == {0.02}
