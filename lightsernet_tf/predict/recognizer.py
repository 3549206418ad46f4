"""Recognises emotions on a device with NumPy and LiteRT, without TensorFlow.

The model file holds everything else: front end, labels, sample rate and window length.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lightsernet_tf.errors import AudioError, ConfigError, ModelError
from lightsernet_tf.predict.litert import LiteRTNetwork
from lightsernet_tf.predict.model_file import Description, ModelFile, read_model_file
from lightsernet_tf.predict.prediction import SILENCE, Prediction, most_probable
from lightsernet_tf.predict.stream import DEFAULT_HOP_SECONDS, DEFAULT_SILENCE_DB, EmotionStream
from lightsernet_tf.predict.waveforms import FloatArray, as_mono, checked_rate_hz, fit_window, resample, windows_of


class EmotionRecognizer:
    """Recognises the emotion in a waveform with one .tflite file; safe to call from several threads.

    Parameters
    ----------
    path
        A model that ``lightsernet_tf.export`` wrote with ``--input waveform``.
    num_threads
        Threads of one call.

    Raises
    ------
    ModelError
        If the file is damaged, has no description, or takes features instead of a waveform.

    Examples
    --------
    >>> recognizer = EmotionRecognizer("light_sernet_emodb_int8.tflite")  # doctest: +SKIP
    >>> recognizer.predict(waveform, 16000).label  # doctest: +SKIP
    'anger'
    """

    def __init__(self, path: str | Path, num_threads: int = 1) -> None:
        if isinstance(num_threads, bool) or not isinstance(num_threads, int) or not 1 <= num_threads <= 1024:
            raise ConfigError(f"num_threads: expected 1 to 1024. Received: num_threads={num_threads!r}")
        file = read_model_file(Path(path))
        self.path = file.path
        self._num_threads = num_threads
        self.description: Description = file.description
        try:
            self._network = waveform_network(file, num_threads)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as the path, so that another process opens the same file."""
        return type(self), (self.path, self._num_threads)

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the model's outputs."""
        return self.description.labels

    @property
    def sample_rate_hz(self) -> int:
        """Sample rate of the model; other rates are converted."""
        return self.description.sample_rate_hz

    @property
    def window_seconds(self) -> float:
        """Length of the model's window."""
        return self.description.window_samples / self.description.sample_rate_hz

    def predict(self, waveform: Any, sample_rate_hz: int) -> Prediction:
        """Recognise the emotion in a waveform of any length.

        As in training, only the middle of a longer waveform is used or, if the model was trained so, all of it in
        windows whose probabilities are averaged. Digital silence gives the label ``silence``.

        Parameters
        ----------
        waveform
            int16, int32 or float [samples] or [samples, channels]; floats from -1 to 1, though any level works.
        sample_rate_hz
            Sample rate of the waveform.

        Raises
        ------
        AudioError
            If it is empty, too short, of another rank, type or rate, or holds NaN or infinity.
        """
        rate_hz = checked_rate_hz(sample_rate_hz)
        mono = as_mono(waveform)
        if not len(mono):
            raise AudioError("waveform: expected samples. Received: none")
        if rate_hz != self.sample_rate_hz:
            mono = resample(mono, rate_hz, self.sample_rate_hz)
        shortest = self.description.min_samples
        if len(mono) < shortest:
            raise AudioError(
                f"waveform: expected at least {shortest} samples at {self.sample_rate_hz} Hz. Received: {len(mono)}"
            )
        windows = windows_of(mono, self.description.window_samples, self.description.segments)
        if not any(window.any() for window in windows):
            return Prediction(SILENCE)
        return most_probable(self.labels, np.mean([self._probabilities(window) for window in windows], axis=0))

    def stream(
        self,
        sample_rate_hz: int,
        hop_seconds: float = DEFAULT_HOP_SECONDS,
        smoothing_seconds: float = 0.0,
        silence_db: float = DEFAULT_SILENCE_DB,
    ) -> EmotionStream:
        """Return an `EmotionStream` with these parameters, which takes chunks and decides once per hop."""
        return EmotionStream(
            self._probabilities,
            self.description,
            sample_rate_hz,
            hop_seconds=hop_seconds,
            smoothing_seconds=smoothing_seconds,
            silence_db=silence_db,
        )

    def _probabilities(self, window: FloatArray) -> FloatArray:
        return self._network(fit_window(window, self.description.window_samples)[np.newaxis])


def waveform_network(file: ModelFile, num_threads: int = 1) -> LiteRTNetwork:
    """Return a model that takes waveforms, as a function of [1, window_samples]."""
    if file.description.input != "waveform":
        raise ModelError(
            f"expected a model that takes a waveform (export --input waveform). Received: one that takes "
            f"{file.description.input}"
        )
    shape = (1, file.description.window_samples)
    return LiteRTNetwork(file.content, shape, len(file.description.labels), num_threads)
