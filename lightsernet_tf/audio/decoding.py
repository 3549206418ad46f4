"""Audio files to mono waveforms at one rate, one by one or as a stage of a ``tf.data`` pipeline.

What this module does not do: cut windows (see ``features.windows``) or decide what becomes of a file that cannot be
read; it says what is wrong with it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr
import tensorflow as tf

from lightsernet_tf.audio.rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from lightsernet_tf.audio.sound_files import mix, read_sound_file
from lightsernet_tf.errors import AudioError


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

    def load(name: bytes) -> tuple[np.ndarray, bytes]:
        path = Path(os.fsdecode(name))
        try:
            return load_waveform(path, sample_rate_hz, min_samples), b""
        except AudioError as error:
            return np.zeros(0, np.float32), str(error).removeprefix(f"{path}: ").encode()

    def stage(name: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        waveform, problem = tf.numpy_function(load, [name], [tf.float32, tf.string], stateful=False)
        return tf.ensure_shape(waveform, [None]), tf.ensure_shape(problem, [])

    names = tf.constant([os.fsencode(path) for path in paths], tf.string)
    return tf.data.Dataset.from_tensor_slices(names).map(stage, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def load_waveform(path: Path, sample_rate_hz: int, min_samples: int = 1) -> np.ndarray:
    """Read one audio file.

    Returns
    -------
    np.ndarray
        float32 [samples], mono, at ``sample_rate_hz``.

    Raises
    ------
    AudioError
        The file cannot be used; the message names it.
    """
    samples, rate_hz = read_sound_file(path)  # [samples, channels]
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        expected = f"a sample rate of {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz"
        raise AudioError(f"{path}: expected {expected}, received {rate_hz}")
    waveform = mix(samples)  # [samples]
    if not np.isfinite(waveform).all():
        raise AudioError(f"{path}: expected finite samples, received NaN or infinity")
    if rate_hz != sample_rate_hz and len(waveform):
        waveform = soxr.resample(waveform, rate_hz, sample_rate_hz, quality="HQ")
    if len(waveform) < min_samples:
        expected = f"at least {min_samples} samples at {sample_rate_hz} Hz"
        raise AudioError(f"{path}: expected {expected}, received {len(waveform)}")
    return waveform
