import logging
import math

import keras
import numpy as np
import pytest

from lightsernet_tf.config import TrainConfig
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.errors import RunError
from lightsernet_tf.model.losses import make_loss
from lightsernet_tf.model.network import build_network
from lightsernet_tf.train.callbacks import LearningRate, Progress, Validation


@pytest.fixture
def model():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(optimizer=keras.optimizers.Adam(0.5), loss="mse")
    return network


def learning_rate(model, config, history=()):
    callback = LearningRate(config, list(history))
    callback.set_model(model)
    return callback


def test_the_scheduled_rate_is_set_and_told(model):
    callback = learning_rate(model, TrainConfig(learning_rate=1e-4, schedule="published"))
    callback.on_epoch_begin(70)
    logs = {"loss": 1.0}
    callback.on_epoch_end(70, logs)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4 * math.exp(-0.3))
    assert logs["learning_rate"] == pytest.approx(1e-4 * math.exp(-0.3))
    assert 0 <= logs["seconds"] < 10


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_names_epoch_and_rate(model, loss):
    callback = learning_rate(model, TrainConfig(learning_rate=0.5, schedule="constant"))
    callback.on_epoch_begin(4)
    message = (
        rf"train\.learning_rate: expected a finite loss\. Received: loss={loss} in epoch 5 with learning_rate=0\.5"
    )
    with pytest.raises(RunError, match=message):
        callback.on_epoch_end(4, {"loss": loss})


def test_nan_features_stop_a_real_training(model):
    callback = LearningRate(TrainConfig(), [])
    with pytest.raises(RunError, match="expected a finite loss"):
        model.fit(np.full((4, 1), np.nan), np.zeros(4), epochs=3, verbose=0, callbacks=[callback])


@pytest.mark.parametrize("loss_name", ["cross_entropy", "focal"])
def test_validation_adds_the_figures_of_its_utterances(tiny_config, loss_name):
    experiment = prepare(tiny_config)
    fold = experiment.folds[1]
    network = build_network(experiment)
    logs: dict = {}
    Validation(experiment, fold, network, make_loss(TrainConfig(loss=loss_name))).on_epoch_end(0, logs)
    rows = [list(experiment.store.utterance_of_segment).index(position) for position in fold.validation]
    probabilities = keras.ops.convert_to_numpy(network(experiment.store.features[rows][..., None], training=False))
    true = experiment.class_ids[list(fold.validation)]
    right = probabilities[np.arange(len(true)), true]
    by_hand = -np.log(right) * ((1 - right) ** 2 if loss_name == "focal" else 1)
    assert logs["val_loss"] == pytest.approx(by_hand.mean(), rel=1e-4)
    hits = probabilities.argmax(axis=1) == true
    assert logs["val_wa"] == pytest.approx(hits.mean())
    assert logs["val_ua"] == pytest.approx(np.mean([hits[true == label].mean() for label in range(3)]))
    assert set(logs) == {"val_loss", "val_wa", "val_ua", "val_macro_f1", "val_weighted_f1"}


@pytest.mark.parametrize(
    ("seconds_before", "epochs", "left"), [([], 4, "6 s left"), ([2.0] * 9, 104, "3 min left"), ([4.0], 5, "9 s left")]
)
def test_an_epoch_has_a_line_with_what_is_left(caplog, seconds_before, epochs, left):
    history = [{"seconds": seconds} for seconds in seconds_before]
    done = len(history)
    progress = Progress(epochs, history)
    progress.on_epoch_begin(done)
    progress.on_train_batch_end(0)
    figures = {"loss": 0.51, "ua": 0.755, "val_loss": 1.25, "val_ua": 0.5, "val_wa": 0.625}
    with caplog.at_level(logging.INFO, logger="lightsernet_tf.train.callbacks"):
        progress.on_epoch_end(done, {**figures, "seconds": 2.0})
    (line,) = caplog.messages
    assert line.strip().startswith("epoch")
    assert f"{done + 1}/{epochs}" in line
    assert "training: loss 0.510 UA 75.5 %  validation: loss 1.250 UA 50.0 % WA 62.5 %  2.0 s" in line
    assert line.endswith(left)
