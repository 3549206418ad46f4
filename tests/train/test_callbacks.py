import logging
import math

import keras
import numpy as np
import pytest

from lightsernet_tf.config import TrainConfig
from lightsernet_tf.errors import RunError
from lightsernet_tf.runs.run import HISTORY_COLUMNS
from lightsernet_tf.train.callbacks import EpochRecorder, Progress

pytestmark = pytest.mark.slow

VALIDATION = {"val_loss": 0.5, "val_wa": 0.6, "val_ua": 0.7, "val_macro_f1": 0.8, "val_weighted_f1": 0.9}


@pytest.fixture
def model():
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    network.compile(optimizer=keras.optimizers.Adam(0.5), loss="mse")
    return network


def recorder(model, config, rows=(), keep=None, validate=lambda: VALIDATION):
    callback = EpochRecorder(config, validate, rows, keep)
    callback.set_model(model)
    return callback


def test_the_scheduled_rate_is_set_and_recorded(model):
    callback = recorder(model, TrainConfig(learning_rate=1e-4, schedule="published"))
    callback.on_epoch_begin(70)
    logs = {"loss": 1.0, "wa": 0.2, "ua": 0.3}
    callback.on_epoch_end(70, logs)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4 * math.exp(-0.3))
    assert logs["learning_rate"] == pytest.approx(1e-4 * math.exp(-0.3))
    assert 0 <= logs["seconds"] < 10
    assert logs.items() >= VALIDATION.items()


def test_rates_follow_the_figures_of_all_epochs_and_each_epoch_is_kept_once(model):
    kept = []
    rows = [{"epoch": epoch, "val_loss": 0.5} for epoch in range(1, 10)]
    config = TrainConfig(learning_rate=0.1, schedule="plateau")
    callback = recorder(model, config, rows, lambda rows: kept.append(list(rows)))
    for epoch in (9, 10, 11):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": 1.0, "wa": 0.2, "ua": 0.3})
    assert [len(rows) for rows in kept] == [10, 11, 12]
    assert kept[-1][:9] == rows
    assert [row["learning_rate"] for row in kept[-1][9:]] == [0.1, 0.1, 0.05]  # ten epochs are no better than the first
    assert all(tuple(row) == HISTORY_COLUMNS for row in kept[-1][9:])
    assert [row["epoch"] for row in kept[-1]] == list(range(1, 13))
    assert len(rows) == 9


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_names_epoch_and_rate_and_the_epoch_is_not_kept(model, loss):
    def fail(*given):
        pytest.fail("validated or kept")

    callback = recorder(model, TrainConfig(learning_rate=0.5, schedule="constant"), keep=fail, validate=fail)
    callback.on_epoch_begin(4)
    message = (
        rf"train\.learning_rate: expected a finite loss\. Received: loss={loss} in epoch 5 with learning_rate=0\.5"
    )
    with pytest.raises(RunError, match=message):
        callback.on_epoch_end(4, {"loss": loss})


def test_nan_features_stop_a_real_training(model):
    callback = recorder(model, TrainConfig())
    with pytest.raises(RunError, match="expected a finite loss"):
        model.fit(np.full((4, 1), np.nan), np.zeros(4), epochs=3, verbose=0, callbacks=[callback])


@pytest.mark.parametrize(
    ("seconds", "epochs", "left"),
    [([2.0], 4, "6 s left"), ([9.0] + [2.0] * 9, 104, "3 min left"), ([4.0, 2.0], 5, "9 s left")],
)
def test_an_epoch_has_a_line_with_what_is_left(caplog, seconds, epochs, left):
    progress = Progress(epochs)
    figures = {"loss": 0.51, "ua": 0.755, "val_loss": 1.25, "val_ua": 0.5, "val_wa": 0.625}
    with caplog.at_level(logging.INFO, logger="lightsernet_tf.train.callbacks"):
        for epoch, one in enumerate(seconds):
            progress.on_epoch_begin(epoch)
            progress.on_train_batch_end(0)
            progress.on_epoch_end(epoch, {**figures, "seconds": one})
    line = caplog.messages[-1]
    assert line.strip().startswith("epoch")
    assert f"{len(seconds)}/{epochs}" in line
    assert "training: loss 0.510 UA 75.5 %  validation: loss 1.250 UA 50.0 % WA 62.5 %  2.0 s" in line
    assert line.endswith(left)
