"""What happens around an epoch: its learning rate, its figures, keeping it, and the progress that is shown."""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import keras
from tqdm import tqdm

from lightsernet_tf.config import TrainConfig
from lightsernet_tf.errors import RunError
from lightsernet_tf.runs.run import HISTORY_COLUMNS, HistoryRow
from lightsernet_tf.train.schedules import learning_rate_at

_logger = logging.getLogger(__name__)


class EpochRecorder(keras.callbacks.Callback):
    """Set the learning rate of each epoch by the figures until then, complete its figures, and keep it.

    It alone holds the figures of all epochs. Callbacks after it find the figures of the epoch in ``logs``.

    Parameters
    ----------
    config
        The settings.
    validate
        Returns the validation figures of the network as it is now, by their names in ``logs``.
    rows
        The figures of the epochs that are trained already.
    keep
        Called at the end of each epoch with the figures of all epochs; none: nothing is kept.
    """

    def __init__(
        self,
        config: TrainConfig,
        validate: Callable[[], dict[str, float]],
        rows: Sequence[HistoryRow] = (),
        keep: Callable[[Sequence[HistoryRow]], None] | None = None,
    ) -> None:
        super().__init__()
        self._config, self._validate, self._rows, self._keep = config, validate, list(rows), keep

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the learning rate and start the clock."""
        self._learning_rate = learning_rate_at(epoch, self._rows, self._config)
        self.model.optimizer.learning_rate = self._learning_rate
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss, add learning rate, seconds and validation figures to the epoch's, and keep it."""
        assert logs is not None
        logs["learning_rate"] = self._learning_rate
        logs["seconds"] = time.monotonic() - self._started
        if not math.isfinite(logs["loss"]):
            raise RunError(
                f"train.learning_rate: expected a finite loss. Received: loss={logs['loss']} in epoch {epoch + 1} with "
                f"learning_rate={self._learning_rate:g}; a smaller one may help"
            )
        logs.update(self._validate())
        self._rows.append({"epoch": epoch + 1, **{key: float(logs[key]) for key in HISTORY_COLUMNS[1:]}})
        if self._keep is not None:
            self._keep(self._rows)


class Progress(keras.callbacks.Callback):
    """A bar over the steps on a terminal, and a line for each epoch everywhere."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._epochs = epochs
        self._seconds: deque[float] = deque(maxlen=5)  # of the latest epochs

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
        self._seconds.append(logs["seconds"])
        left = (self._epochs - epoch - 1) * sum(self._seconds) / len(self._seconds)
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
