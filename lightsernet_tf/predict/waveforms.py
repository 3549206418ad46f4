"""Waveforms on a device, in NumPy: from any type, channels and rate to the windows of a model.

soxr is imported only for waveforms of another rate.
"""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.audio.rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from lightsernet_tf.errors import AudioError
from lightsernet_tf.predict.model_file import Segments

FloatArray = NDArray[np.float32]

_MOST_CHANNELS = 64
_LOUDEST = 1e30  # sums of a window of samples up to it, times what the graph multiplies them by, fit into float32
_BLOCKS_A_SECOND = 50
_FULL_SCALE: dict[str, float] = {"int16": 2.0**15, "int32": 2.0**31, "float32": 1.0, "float64": 1.0}


def checked_rate_hz(sample_rate_hz: Any) -> int:
    """Return a sample rate as a whole number, or raise ``AudioError``."""
    whole = isinstance(sample_rate_hz, (int, np.integer)) and not isinstance(sample_rate_hz, bool)
    if not whole or not LOWEST_RATE_HZ <= sample_rate_hz <= HIGHEST_RATE_HZ:
        raise AudioError(
            f"sample_rate_hz: expected a whole number from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}. "
            f"Received: sample_rate_hz={reprlib.repr(sample_rate_hz)}"
        )
    return int(sample_rate_hz)


def as_mono(waveform: Any) -> FloatArray:
    """Return samples of any supported type and number of channels as float32 [samples], or raise ``AudioError``."""
    try:
        array = np.asarray(waveform)
    except (ValueError, TypeError) as error:
        raise AudioError(f"waveform: expected an array of numbers. Received: {error}") from error
    if array.dtype.name not in _FULL_SCALE:
        raise AudioError(f"waveform: expected int16, int32, float32 or float64. Received: {array.dtype}")
    if array.ndim not in (1, 2) or (array.ndim == 2 and not 1 <= array.shape[1] <= _MOST_CHANNELS):
        raise AudioError(
            f"waveform: expected shape [samples] or [samples, channels] with 1 to {_MOST_CHANNELS} channels. "
            f"Received: shape {array.shape}"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # values beyond float32 become infinite and are refused below
        # In C order: otherwise the mean over channels could depend on the length of the chunk.
        samples = (array / _FULL_SCALE[array.dtype.name]).astype(np.float32, order="C")
    if not (np.abs(samples) <= _LOUDEST).all():
        raise AudioError(f"waveform: expected finite samples of up to {_LOUDEST:g}. Received: NaN, infinity or more")
    return samples if array.ndim == 1 else samples.mean(axis=1, dtype=np.float32)


def resample(mono: FloatArray, from_hz: int, to_hz: int) -> FloatArray:
    """Return a waveform [samples] at another rate, converted as in training."""
    return soxr().resample(mono, from_hz, to_hz, quality="HQ")


def soxr() -> Any:
    """Return the module ``soxr``, which waveforms at the model's own rate do not need."""
    try:
        import soxr as module
    except ImportError as error:
        raise AudioError(
            "sample_rate_hz: expected the model's own rate, or soxr to convert (pip install soxr)"
        ) from error
    return module


def fit_window(mono: FloatArray, num_samples: int) -> FloatArray:
    """Cut a longer waveform [samples] to its middle, pad a shorter one with zeros on both sides: [num_samples]."""
    before = max(len(mono) - num_samples, 0) // 2
    cut = mono[before : before + num_samples]
    missing = num_samples - len(cut)
    return np.pad(cut, (missing // 2, missing - missing // 2))


def _centre(mono: FloatArray, num_samples: int) -> list[FloatArray]:
    return [fit_window(mono, num_samples)]


def _all(mono: FloatArray, num_samples: int) -> list[FloatArray]:
    whole = len(mono) // num_samples
    windows = [mono[n * num_samples : (n + 1) * num_samples] for n in range(whole)]
    rest = mono[whole * num_samples :]
    return windows + ([rest] if not whole or 2 * len(rest) >= num_samples else [])


_SEGMENTS = {"centre": _centre, "all": _all}


def windows_of(mono: FloatArray, num_samples: int, segments: Segments) -> list[FloatArray]:
    """Return the windows of a waveform [samples], each at most ``num_samples`` long, cut as in training."""
    return _SEGMENTS[segments](mono, num_samples)


class RateConverter:
    """Converts the rate in blocks of fixed length, so that the result does not depend on the chunks."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = soxr().ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
        self._block = np.zeros(max(1, from_hz // _BLOCKS_A_SECOND), np.float32)
        self._filled = 0

    def convert(self, samples: FloatArray) -> FloatArray:
        """Return the samples that are ready at the new rate."""
        converted = [np.zeros(0, np.float32)]
        while len(samples):
            fitting = samples[: len(self._block) - self._filled]
            self._block[self._filled : self._filled + len(fitting)] = fitting
            self._filled += len(fitting)
            samples = samples[len(fitting) :]
            if self._filled == len(self._block):
                converted.append(self._stream.resample_chunk(self._block))
                self._filled = 0
        return np.concatenate(converted)

    def finish(self) -> FloatArray:
        """Return the remaining samples."""
        return self._stream.resample_chunk(self._block[: self._filled], last=True)
