"""Waveforms to windows of one length and level, in a pipeline and on a device.

What this module does not do: read audio (see ``audio.decoding``) or compute features. Every function is made of tensor
operations and works on waveforms whose length is known only when the graph runs, but for `normalize_padded`, which is
part of the exported graph.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from lightsernet_tf.config import AudioConfig

_BLOCK = 32


def window_samples(audio: AudioConfig, sample_rate_hz: int) -> int:
    """Return the length of the network's window in samples."""
    return round(audio.duration_seconds * sample_rate_hz)


def levelled_windows(waveform: tf.Tensor, audio: AudioConfig, sample_rate_hz: int) -> tf.Tensor:
    """Make windows of one length and level of a waveform.

    ``centre`` takes the middle of a longer waveform. ``all`` cuts it into consecutive windows; what is left at the end
    makes one more if it fills at least half a window or is all there is. Every window is brought to its level by
    itself, because a device gets one window at a time, and before it is padded, so that padding does not change it.

    Parameters
    ----------
    waveform
        float32 [samples].
    audio
        The window's length and how many are taken.
    sample_rate_hz
        Rate of the waveform.

    Returns
    -------
    tf.Tensor
        float32 [segments, window samples] in [-1, 1]; an empty waveform gives one silent window.
    """
    return _windows(waveform, audio, sample_rate_hz, normalize)


def cut_windows(waveform: tf.Tensor, audio: AudioConfig, sample_rate_hz: int) -> tf.Tensor:
    """Make the windows of `levelled_windows`, of the same parameters and shape, at the waveform's own level.

    They are what a device gets; `normalize_padded` brings them to their level.

    Examples
    --------
    Windows of 4 samples (0.1 s at 40 Hz): the middle of 7, and 3 in the middle of zeros; or all there are, the last of
    which is left out where it fills less than half a window.

    >>> centre, every = AudioConfig(0.1), AudioConfig(0.1, segments="all")
    >>> [cut_windows(tf.range(1, last + 1), centre, 40).numpy().tolist() for last in (7, 3)]
    [[[2, 3, 4, 5]], [[1, 2, 3, 0]]]
    >>> [cut_windows(tf.range(1, last + 1), every, 40).numpy().tolist() for last in (6, 5)]
    [[[1, 2, 3, 4], [0, 5, 6, 0]], [[1, 2, 3, 4]]]
    """
    return _windows(waveform, audio, sample_rate_hz, tf.identity)


_Level = Callable[[tf.Tensor], tf.Tensor]  # [..., samples] -> [..., samples]


def _windows(waveform: tf.Tensor, audio: AudioConfig, sample_rate_hz: int, level: _Level) -> tf.Tensor:
    return _SEGMENTS[audio.segments](tf.convert_to_tensor(waveform), window_samples(audio, sample_rate_hz), level)


def _centre(waveform: tf.Tensor, num_samples: int, level: _Level) -> tf.Tensor:
    before = tf.maximum(tf.size(waveform) - num_samples, 0) // 2
    middle = waveform[before : before + num_samples]
    return tf.expand_dims(_pad(level(middle), num_samples), 0)  # [1, num_samples]


def _all(waveform: tf.Tensor, num_samples: int, level: _Level) -> tf.Tensor:
    whole = tf.size(waveform) // num_samples
    windows = level(tf.reshape(waveform[: whole * num_samples], [whole, num_samples]))  # [whole, num_samples]
    rest = waveform[whole * num_samples :]
    last = tf.expand_dims(_pad(level(rest), num_samples), 0)  # [1, num_samples]
    keep_last = (whole == 0) | (2 * tf.size(rest) >= num_samples)
    return tf.concat([windows, last[: tf.cast(keep_last, tf.int32)]], axis=0)  # [segments, num_samples]


_SEGMENTS = {"centre": _centre, "all": _all}


def _pad(waveform: tf.Tensor, num_samples: int) -> tf.Tensor:
    missing = num_samples - tf.size(waveform)
    return tf.ensure_shape(_pad_by(waveform, missing // 2, missing - missing // 2), [num_samples])


def _pad_by(waveform: tf.Tensor, before: tf.Tensor | int, after: tf.Tensor | int) -> tf.Tensor:
    margins = tf.concat([tf.zeros([waveform.shape.rank - 1, 2], tf.int32), [[before, after]]], axis=0)
    return tf.pad(waveform, margins)


def normalize(waveform: tf.Tensor) -> tf.Tensor:
    """Scale a waveform [..., samples] so that the 99.9th percentile of its magnitude is 1, and clip to [-1, 1].

    The percentile interpolates linearly between ranks, as NumPy's. Where it is zero, the waveform is left as it is.

    Examples
    --------
    The magnitudes 0 1 2 4 have the ranks 0 to 3. The percentile is rank 0.999 * 3 = 2.997, and so 2 + 0.997 * (4 - 2) =
    3.994: nearly the loudest of so few. In 3 s at 16 kHz it is rank 47951.001, and the 48 loudest samples are clipped.

    >>> normalize([0.0, -1.0, 2.0, 4.0]).numpy().round(4)
    array([ 0.    , -0.2504,  0.5008,  1.    ], dtype=float32)

    A window with zeros around that clip has another percentile; `normalize_padded` takes the clip's.

    >>> normalize_padded([0.0, 0.0, 1.0, -1.0, 2.0, 4.0, 0.0]).numpy().round(4)
    array([ 0.    ,  0.    ,  0.2504, -0.2504,  0.5008,  1.    ,  0.    ],
          dtype=float32)
    """
    waveform = tf.convert_to_tensor(waveform)
    samples = waveform.shape[-1] or tf.shape(waveform)[-1]
    last = tf.maximum(samples - 1, 0)
    # 0.999 * last, whole part and the rest, written so that no number exceeds 32 bits in a recording of hours.
    rank, fraction = last - (last + 999) // 1000, tf.cast(-last % 1000, tf.float32) / 1000.0
    count = tf.maximum(samples - rank, 1)
    loudest = _loudest(_blocks(tf.abs(waveform)), count)  # [..., from the loudest down to rank]
    lower, upper = loudest[..., -1:], loudest[..., -2:][..., :1]
    return _scale(waveform, lower + fraction * (upper - lower))


def normalize_padded(window: tf.Tensor) -> tf.Tensor:
    """Do what `normalize` does to a clip, after the clip was padded with zeros to the length of the window.

    The clip is what lies from the first sample that is not zero to the last. A clip that itself begins or ends with
    zeros is taken for the shorter; where these are few, its level hardly changes. All operations are ones that
    TensorFlow Lite has built in.

    Parameters
    ----------
    window
        float32 [..., samples], its length known while the graph is built and below 2**24.

    Returns
    -------
    tf.Tensor
        float32 [..., samples] in [-1, 1]; silence stays as it is.
    """
    window = tf.convert_to_tensor(window)
    blocks = _blocks(tf.abs(window))  # [..., blocks, _BLOCK]
    count = 1 + -(-(window.shape[-1] - 1) // 1000)  # of the ranks that a clip as long as the window needs
    loudest = _loudest(blocks, count)  # [..., count], falling
    # The percentile lies 0.001 * (samples - 1) below the loudest: the two ranks that are less than one away from there
    # count by their nearness. A thousandfold these are whole numbers, which float32 holds exactly.
    ranks = 1000.0 * np.arange(count, dtype=np.float32)
    weights = tf.nn.relu(1000.0 - tf.abs(ranks - _distance_of_ends(blocks)))  # [..., count]
    return _scale(window, tf.reduce_sum(loudest * weights, axis=-1, keepdims=True) / 1000.0)


def _scale(waveform: tf.Tensor, level: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(waveform / tf.where(level > 0, level, 1.0), -1.0, 1.0)


def _blocks(magnitudes: tf.Tensor) -> tf.Tensor:
    """Cut magnitudes [..., samples], and zeros that fill the last block, into [..., blocks, _BLOCK]."""
    *leading, samples = [tf.shape(magnitudes)[axis] for axis in range(magnitudes.shape.rank)]
    samples = magnitudes.shape[-1] or samples
    # One zero more at least, so that an empty waveform has a largest too; it comes last and changes no other.
    num_blocks = samples // _BLOCK + 1
    padded = _pad_by(magnitudes, 0, num_blocks * _BLOCK - samples)
    return tf.reshape(padded, [*leading, num_blocks, _BLOCK])


def _loudest(blocks: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """Return the largest of magnitudes [..., blocks, _BLOCK], falling: [..., count].

    They lie in the ``count`` blocks whose own largest are the largest, so that most samples need not be sorted.
    """
    *leading, num_blocks, _ = [tf.shape(blocks)[axis] for axis in range(blocks.shape.rank)]
    loudest = tf.math.top_k(tf.reduce_max(blocks, axis=-1), k=tf.minimum(count, num_blocks)).indices
    chosen = tf.gather(blocks, loudest, axis=-2, batch_dims=len(leading))  # [..., count at most, _BLOCK]
    return tf.math.top_k(tf.reshape(chosen, [*leading, tf.shape(loudest)[-1] * _BLOCK]), k=count).values


def _distance_of_ends(blocks: tf.Tensor) -> tf.Tensor:
    """Return the distance from the first to the last of [..., blocks, _BLOCK] that is not zero: [..., 1]."""
    peaks = tf.reduce_max(blocks, axis=-1)  # [..., blocks]
    before, after = _zeros_before(peaks), _zeros_before(peaks, reverse=True)  # whole blocks of zeros
    first = _block_at(blocks, before)  # [..., _BLOCK]
    last = _block_at(blocks, peaks.shape[-1] - 1 - after)  # [..., _BLOCK]
    zeros = _BLOCK * (before + after) + _zeros_before(first) + _zeros_before(last, reverse=True)  # [..., 1]
    return peaks.shape[-1] * _BLOCK - 1 - zeros


def _zeros_before(magnitudes: tf.Tensor, reverse: bool = False) -> tf.Tensor:
    """Return how many of magnitudes [..., n] precede the first (follow the last) that is not zero: float32 [..., 1]."""
    reached = tf.sign(tf.cumsum(magnitudes, axis=-1, reverse=reverse))  # 0 before it, 1 from it on
    return tf.reduce_sum(1.0 - reached, axis=-1, keepdims=True)


def _block_at(blocks: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    # Silence has no first block: any will do, as its level is 0 anyhow.
    index = tf.clip_by_value(tf.cast(index, tf.int32), 0, blocks.shape[-2] - 1)  # [..., 1]
    return tf.squeeze(tf.gather(blocks, index, axis=-2, batch_dims=blocks.shape.rank - 2), axis=-2)  # [..., _BLOCK]
