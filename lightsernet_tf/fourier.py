"""Frames of a waveform and the magnitudes of their Fourier transforms, of operations that TensorFlow Lite has built in.

What this module does not do: windows, filter banks, or anything that depends on a configuration.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import tensorflow as tf


def frames(waveform: tf.Tensor, length: int, step: int) -> tf.Tensor:
    """Cut a waveform [..., samples] into overlapping frames [..., frames, length]; what fills no frame is left out.

    The waveform becomes blocks of one step; a frame is a block and the ones after it, so that all frames are a few
    shifted copies joined. ``tf.signal.frame`` gathers them one by one, which takes fifteen times as long on TensorFlow
    Lite.
    """
    waveform = tf.convert_to_tensor(waveform)
    *leading, samples = _sizes(waveform)
    count = 1 + (samples - length) // step
    blocks_a_frame = -(-length // step)
    needed = (count - 1 + blocks_a_frame) * step
    flat = tf.reshape(waveform, [-1, samples])  # [batch, samples]
    if length % step:
        flat = tf.pad(flat, [[0, 0], [0, tf.maximum(needed - samples, 0)]])
    blocks = tf.reshape(flat[:, :needed], [-1, count - 1 + blocks_a_frame, step])  # [batch, blocks, step]
    joined = tf.concat([blocks[:, first : first + count] for first in range(blocks_a_frame)], axis=-1)
    framed = joined[:, :, :length] if length % step else joined  # [batch, frames, length]
    return tf.reshape(framed, [*leading, count, length])


def fft_magnitudes(framed: tf.Tensor, first_bin: int, last_bin: int) -> tf.Tensor:
    """Return bins ``first_bin`` up to before ``last_bin``: [..., frames, length] -> [..., frames, bins]."""
    spectrum = tf.signal.rfft(framed)  # [..., frames, length / 2 + 1]
    return _magnitude(tf.math.real(spectrum), tf.math.imag(spectrum))[..., first_bin:last_bin]


def matrix_magnitudes(framed: tf.Tensor, first_bin: int, last_bin: int) -> tf.Tensor:
    """Return the same as `fft_magnitudes`, computed as products with two small constant matrices.

    With length = rows * columns, n = columns * row + column and k = low + rows * high, the transform of x[n] is a
    transform over the rows for each column, then one over the columns with the twiddle factors folded in (Cooley and
    Tukey, 1965). Of a real signal's transform over the rows half the values of ``low`` tell the rest.
    """
    framed = tf.convert_to_tensor(framed)
    *leading, length = _sizes(framed)
    rows, columns, row_matrix, column_matrices, position = _transform_matrices(length)
    lows = rows // 2 + 1
    grid = tf.reshape(framed, [-1, rows, columns])  # [frames, rows, columns]
    by_row = tf.reshape(tf.matmul(row_matrix, grid), [-1, lows, 2 * columns])  # [frames, low, (part, column)]
    spectrum = tf.matmul(tf.transpose(by_row, [1, 0, 2]), column_matrices)  # [low, frames, (part, high)]
    real, imaginary = tf.split(spectrum, 2, axis=-1)
    magnitudes = _magnitude(real, imaginary)  # [low, frames, high]
    magnitudes = tf.reshape(tf.transpose(magnitudes, [1, 0, 2]), [-1, lows * columns])  # [frames, (low, high)]
    magnitudes = tf.gather(magnitudes, position[first_bin:last_bin], axis=-1)  # [frames, bins]
    return tf.reshape(magnitudes, [*leading, last_bin - first_bin])


def _sizes(tensor: tf.Tensor) -> list[int | tf.Tensor]:
    """Return the size of each axis, as a number where it is known while the graph is built."""
    sizes = tf.shape(tensor)
    return [sizes[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


def _magnitude(real: tf.Tensor, imaginary: tf.Tensor) -> tf.Tensor:
    # tf.abs guards against overflow element by element and takes seven times as long.
    return tf.sqrt(real * real + imaginary * imaginary)


@lru_cache
def _transform_matrices(length: int) -> tuple[int, int, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, columns, both constants and where each bin stands among the (low, high) pairs."""
    rows = 2 ** ((length.bit_length() - 1 + 1) // 2)
    columns = length // rows
    low = np.arange(rows // 2 + 1)
    by_row = np.exp(-2j * np.pi * np.outer(low, np.arange(rows)) / rows)  # [low, row]
    row_matrix = np.stack([by_row.real, by_row.imag], axis=1).reshape(2 * len(low), rows)
    bins = low[:, None] + rows * np.arange(columns)  # [low, high]
    twiddles = np.exp(
        -2j * np.pi * np.arange(columns)[None, :, None] * bins[:, None, :] / length
    )  # [low, column, high]
    column_matrices = np.block([[twiddles.real, twiddles.imag], [-twiddles.imag, twiddles.real]])
    # The bins above the half mirror those below it: X[length - k] is the conjugate of X[k].
    _, position = np.unique(np.minimum(bins, length - bins), return_index=True)
    return rows, columns, row_matrix.astype(np.float32), column_matrices.astype(np.float32), position
