"""What happens around an epoch beside the checkpoint: learning rate, validation, progress."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from lightsernet_tf.config import TrainConfig
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import Fold
from lightsernet_tf.errors import RunError
from lightsernet_tf.evaluate.predictors import keras_predictor, predict_utterances
from lightsernet_tf.evaluate.scores import FIGURES, score
from lightsernet_tf.runs.run import HistoryRow
from lightsernet_tf.train.schedules import learning_rate_at

_logger = logging.getLogger(__name__)


class LearningRate(keras.callbacks.Callback):
    """Set the scheduled learning rate, take the time, and stop where the loss is no number any more."""

    def __init__(self, config: TrainConfig, history: list[HistoryRow]) -> None:
        super().__init__()
        self._config, self._history = config, history

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the learning rate and start the clock."""
        self.model.optimizer.learning_rate = learning_rate_at(epoch, self._history, self._config)
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add learning rate and seconds to the epoch's figures, and check its loss."""
        assert logs is not None
        logs["learning_rate"] = learning_rate_at(epoch, self._history, self._config)
        logs["seconds"] = time.monotonic() - self._started
        if not math.isfinite(logs["loss"]):
            raise RunError(
                f"train.learning_rate: expected a finite loss. Received: loss={logs['loss']} in epoch {epoch + 1} with "
                f"learning_rate={logs['learning_rate']:g}; a smaller one may help"
            )


class Validation(keras.callbacks.Callback):
    """Judge the validation utterances and add their figures to the epoch's."""

    def __init__(self, experiment: Experiment, fold: Fold, network: keras.Model, loss: keras.losses.Loss) -> None:
        super().__init__()
        self._experiment, self._fold, self._loss = experiment, fold, loss
        self._predict = keras_predictor(network)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the validation figures to the epoch's."""
        assert logs is not None
        positions = self._fold.validation
        probabilities = predict_utterances(self._predict, self._experiment.store, positions)
        true = self._experiment.class_ids[list(positions)]
        scores = score(true, probabilities, self._experiment.labels)
        logs["val_loss"] = float(self._loss(true, probabilities.astype(np.float32)))
        for figure in FIGURES:
            logs[f"val_{figure}"] = getattr(scores, figure)


class Progress(keras.callbacks.Callback):
    """A bar over the steps where somebody looks on, and a line for each epoch everywhere."""

    def __init__(self, epochs: int, history: list[HistoryRow]) -> None:
        super().__init__()
        self._epochs, self._history = epochs, history

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the bar."""
        self._bar = tqdm(
            total=(self.params or {}).get("steps"), desc=f"epoch {epoch + 1}", leave=False, disable=None, unit="step"
        )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Move the bar."""
        self._bar.update()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Replace the bar by the epoch's line."""
        assert logs is not None
        self._bar.close()
        seconds = [row["seconds"] for row in self._history[-4:]] + [logs["seconds"]]
        left = (self._epochs - epoch - 1) * sum(seconds) / len(seconds)
        _logger.info(
            "epoch %*d/%d  training: loss %.3f UA %4.1f %%  validation: loss %.3f UA %4.1f %% WA %4.1f %%  "
            "%.1f s, %s left",
            len(str(self._epochs)),
            epoch + 1,
            self._epochs,
            logs["loss"],
            100 * logs["ua"],
            logs["val_loss"],
            100 * logs["val_ua"],
            100 * logs["val_wa"],
            logs["seconds"],
            f"{left / 60:.0f} min" if left >= 90 else f"{left:.0f} s",
        )
