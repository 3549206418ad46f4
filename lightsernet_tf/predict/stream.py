"""Continuous recognition: chunks of any size in, a decision per hop out, in constant memory.

A stream does not record; it is fed by one thread.
"""

from __future__ import annotations

import math
import reprlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from lightsernet_tf.errors import AudioError
from lightsernet_tf.predict.model_file import Description
from lightsernet_tf.predict.prediction import SILENCE, Decision, Prediction, most_probable
from lightsernet_tf.predict.waveforms import FloatArray, RateConverter, as_mono, checked_rate_hz

DEFAULT_HOP_SECONDS = 0.5
DEFAULT_SILENCE_DB = -60.0
_MOST_SMOOTHED = 10_000  # averaging more would take longer than the network itself


class EmotionStream:
    """Decides once per hop over the last window of samples, however they were cut into chunks.

    Until a whole window has arrived, a decision covers all samples so far; there is none before the model's
    ``min_samples``. Probabilities can be averaged over the decisions of the last ``smoothing_seconds``; silence resets
    the average.

    Parameters
    ----------
    predict_window
        Up to one window of mono samples -> probabilities [classes].
    description
        Description of the model.
    sample_rate_hz
        Rate of the chunks.
    hop_seconds
        Time from decision to decision.
    smoothing_seconds
        How far back decisions are averaged; 0: not at all.
    silence_db
        A window whose level (RMS, 0 dB is full scale) is below this is silence.
    """

    def __init__(
        self,
        predict_window: Callable[[FloatArray], FloatArray],
        description: Description,
        sample_rate_hz: int,
        hop_seconds: float = DEFAULT_HOP_SECONDS,
        smoothing_seconds: float = 0.0,
        silence_db: float = DEFAULT_SILENCE_DB,
    ) -> None:
        rate_hz = checked_rate_hz(sample_rate_hz)
        self._predict_window, self._labels = predict_window, description.labels
        self._rate_hz, self._min_samples = description.sample_rate_hz, description.min_samples
        _require("hop_seconds", hop_seconds, 0.01, 3600, "0.01 to 3600 seconds")
        _require("smoothing_seconds", smoothing_seconds, 0, 3600, "0 to 3600 seconds")
        if smoothing_seconds > _MOST_SMOOTHED * hop_seconds:
            raise AudioError(
                f"smoothing_seconds: expected at most {_MOST_SMOOTHED} hops. Received: "
                f"smoothing_seconds={smoothing_seconds!r}, hop_seconds={hop_seconds!r}"
            )
        _require("silence_db", silence_db, -math.inf, 0, "a level of at most 0 dB")
        self._lowest_level = 10 ** (silence_db / 20)
        self._hop = max(1, round(hop_seconds * self._rate_hz))
        self._undecided = 0  # samples since the last decision
        self._received = 0  # samples in total
        self._ring = np.zeros(description.window_samples, np.float32)  # sample n lies at n modulo its length
        self._smoothed: deque[FloatArray] = deque(maxlen=1 + math.floor(smoothing_seconds / hop_seconds + 1e-9))
        self._converter = None if rate_hz == self._rate_hz else RateConverter(rate_hz, self._rate_hz)
        self._finished = False

    def feed(self, chunk: Any) -> list[Decision]:
        """Take a chunk and return the decisions that became due, the earliest first.

        Parameters
        ----------
        chunk
            int16, int32 or float [samples] or [samples, channels]; it may be empty.

        Raises
        ------
        AudioError
            If it is no such array or holds NaN or infinity; nothing of it is used then.
        """
        if self._finished:
            raise AudioError("chunk: expected none after finish(). Received: one")
        samples = as_mono(chunk)
        return list(self._advance(self._converter.convert(samples) if self._converter else samples))

    def finish(self) -> list[Decision]:
        """Process what is still buffered and return the last decisions; the last hop may be shorter."""
        decisions = list(self._advance(self._converter.finish())) if self._converter and not self._finished else []
        self._finished = True
        return decisions + (self._decide() if self._undecided else [])

    def _advance(self, samples: FloatArray) -> Iterator[Decision]:
        while len(samples):
            fitting = samples[: self._hop - self._undecided]
            self._keep(fitting)
            samples = samples[len(fitting) :]
            if self._undecided == self._hop:
                yield from self._decide()

    def _keep(self, samples: FloatArray) -> None:
        self._undecided += len(samples)
        self._received += len(samples)
        newest = samples[-len(self._ring) :]
        self._ring[np.arange(self._received - len(newest), self._received) % len(self._ring)] = newest

    def _decide(self) -> list[Decision]:
        self._undecided = 0
        if self._received < self._min_samples:
            return []
        length = min(self._received, len(self._ring))
        prediction = self._predict(np.roll(self._ring, -self._received)[-length:])  # the newest sample last
        start, end = (self._received - length) / self._rate_hz, self._received / self._rate_hz
        return [Decision(prediction.label, prediction.probabilities, start_seconds=start, end_seconds=end)]

    def _predict(self, window: FloatArray) -> Prediction:
        level = math.sqrt(float(np.mean(np.square(window, dtype=np.float64))))
        if level == 0 or level < self._lowest_level:
            self._smoothed.clear()
            return Prediction(SILENCE)
        self._smoothed.append(self._predict_window(window))
        return most_probable(self._labels, np.mean(self._smoothed, axis=0))


def _require(name: str, value: Any, lowest: float, highest: float, expected: str) -> None:
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not is_number or not lowest <= value <= highest:
        raise AudioError(f"{name}: expected {expected}. Received: {name}={reprlib.repr(value)}")
