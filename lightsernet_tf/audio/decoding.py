"""Audio files to mono waveforms at one rate.

What this module does not do: cut windows (see windows.py) or decide what becomes of a file that cannot be read; it says
what is wrong with it. Files are decoded as a stage of a tf.data pipeline, each by the library that reads its encoding
rightly: core TensorFlow, tensorflow-io, or libsndfile (see wav_header.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import soxr
import tensorflow as tf
import tensorflow_io as tfio

from lightsernet_tf.audio.rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from lightsernet_tf.audio.sound_files import read_samples
from lightsernet_tf.audio.wav_header import Decoder, open_audio
from lightsernet_tf.errors import AudioError

Decoded = tuple[tf.Tensor, tf.Tensor, tf.Tensor]  # [samples, channels], problem, rate in Hz


def decode(paths: Sequence[Path], sample_rate_hz: int, min_samples: int = 1) -> tf.data.Dataset:
    """Read audio files of any encoding, rate and number of channels, in the order of their paths.

    A file that cannot be used never raises: its waveform is empty and its problem tells why.

    Parameters
    ----------
    paths
        WAV, FLAC, MP3, OGG or whatever else libsndfile reads.
    sample_rate_hz
        Rate of the waveforms.
    min_samples
        A waveform shorter than this is a problem.

    Returns
    -------
    tf.data.Dataset
        Pairs of the waveform, float32 [samples], and the problem, a string: empty where all is well, else what was
        expected and what came, without the file's name.
    """
    names = tf.constant([os.fsencode(path) for path in paths], tf.string)
    return tf.data.Dataset.from_tensor_slices(names).map(
        lambda name: _decode_file(name, sample_rate_hz, min_samples),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )


def load_waveform(path: Path, sample_rate_hz: int, min_samples: int = 1) -> np.ndarray:
    """Read one audio file as `decode` does.

    Returns
    -------
    np.ndarray
        float32 [samples], mono, at ``sample_rate_hz``.

    Raises
    ------
    AudioError
        The file cannot be used; the message names it.
    """
    waveform, problem = _decode_file(tf.constant(os.fsencode(path)), sample_rate_hz, min_samples)
    if problem.numpy():
        raise AudioError(f"{path}: {problem.numpy().decode()}")
    return waveform.numpy()


def _decode_file(path: tf.Tensor, sample_rate_hz: int, min_samples: int) -> tuple[tf.Tensor, tf.Tensor]:
    decoder, *source = tf.numpy_function(_open, [path], [tf.int32, *_SOURCE_DTYPES], stateful=False)
    branches = [partial(read, path, *source) for read in _READERS.values()]
    samples, problem, rate_hz = tf.switch_case(decoder, branches)
    waveform = tf.reduce_mean(tf.ensure_shape(samples, [None, None]), axis=-1)  # [samples]
    finite = tf.reduce_all(tf.math.is_finite(waveform))
    finish = partial(_finish, sample_rate_hz=sample_rate_hz, min_samples=min_samples)
    # Most files need no more, and what the rest needs costs every file time where it is operators of a graph.
    waveform, problem = tf.cond(
        (problem == "") & (rate_hz == sample_rate_hz) & (tf.size(waveform) >= min_samples) & finite,
        lambda: (waveform, problem),
        lambda: tuple(tf.numpy_function(finish, [waveform, problem, rate_hz], [tf.float32, tf.string], stateful=False)),
    )
    return tf.ensure_shape(waveform, [None]), tf.ensure_shape(problem, [])


def _finish(
    waveform: np.ndarray, problem: bytes | np.ndarray, rate_hz: np.int32, *, sample_rate_hz: int, min_samples: int
) -> tuple[np.ndarray, bytes]:
    """Return the waveform at its new rate and no problem, or nothing and the problem."""
    what = np.asarray(problem).item().decode()
    if not what and not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        what = f"expected a sample rate of {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, received {rate_hz}"
    if not what and not np.isfinite(waveform).all():
        what = "expected finite samples, received NaN or infinity"
    if not what and rate_hz != sample_rate_hz and len(waveform):
        waveform = soxr.resample(waveform, int(rate_hz), sample_rate_hz, quality="HQ")
    if not what and len(waveform) < min_samples:
        what = f"expected at least {min_samples} samples at {sample_rate_hz} Hz, received {len(waveform)}"
    return waveform[: 0 if what else None], what.encode()


def _as_path(name: bytes | np.ndarray) -> Path:
    # Eagerly a string arrives as an array without axes.
    return Path(os.fsdecode(np.asarray(name).item()))


_SOURCE_DTYPES = (tf.string, tf.int32, tf.int32, tf.string)  # problem, rate in Hz, channels, contents


def _open(path: bytes | np.ndarray) -> tuple[np.int32, bytes, np.int32, np.int32, bytes]:
    decoder, problem, rate_hz, channels, contents = open_audio(_as_path(path))
    return np.int32(_DECODERS.index(decoder)), problem.encode(), np.int32(rate_hz), np.int32(channels), contents


def _read_nothing(path: tf.Tensor, problem: tf.Tensor, rate_hz: tf.Tensor, *_: tf.Tensor) -> Decoded:
    return tf.zeros([0, 1]), problem, rate_hz


def _read_core_int16(
    path: tf.Tensor, problem: tf.Tensor, rate_hz: tf.Tensor, channels: tf.Tensor, contents: tf.Tensor
) -> Decoded:
    # Four times as fast as tf.audio.decode_wav, which also knows one kind of header only.
    samples = tf.cast(tf.io.decode_raw(contents, tf.int16), tf.float32) * 2.0**-15
    return tf.reshape(samples, [-1, channels]), problem, rate_hz


def _read_tfio(dtype: tf.DType, zero: float, full_scale: float) -> Callable[..., Decoded]:
    def read(
        path: tf.Tensor, problem: tf.Tensor, rate_hz: tf.Tensor, channels: tf.Tensor, contents: tf.Tensor
    ) -> Decoded:
        samples = tf.cast(tfio.audio.decode_wav(contents, dtype=dtype), tf.float32)
        return (samples - zero) / full_scale, problem, rate_hz

    return read


def _read_soundfile(path: tf.Tensor, *_: tf.Tensor) -> Decoded:
    return tuple(tf.numpy_function(_soundfile, [path], [tf.float32, tf.string, tf.int32], stateful=False))


_READERS: dict[Decoder, Callable[..., Decoded]] = {
    "none": _read_nothing,
    "core_int16": _read_core_int16,
    "tfio_uint8": _read_tfio(tf.uint8, 128.0, 128.0),
    # tensorflow-io scales 24 bits to the full 32.
    "tfio_int24": _read_tfio(tf.int32, 0.0, 2.0**31),
    "tfio_float32": _read_tfio(tf.float32, 0.0, 1.0),
    "soundfile": _read_soundfile,
}
_DECODERS = list(_READERS)


def _soundfile(path: bytes | np.ndarray) -> tuple[np.ndarray, bytes, np.int32]:
    """Return float32 [samples, channels], the problem and the rate."""
    try:
        samples, rate_hz = read_samples(_as_path(path))
    except AudioError as error:
        return np.zeros((0, 1), np.float32), str(error).encode(), np.int32(0)
    return samples, b"", np.int32(rate_hz)
