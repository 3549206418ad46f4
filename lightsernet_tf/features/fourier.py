"""Frames of a waveform and the magnitudes of their Fourier transforms, of operations that TensorFlow Lite has built in.

What this module does not do: windows, filter banks, or anything that depends on a configuration.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import tensorflow as tf


def frames(waveform: tf.Tensor, length: int, step: int) -> tf.Tensor:
    """Cut a waveform [..., samples] into overlapping frames [..., frames, length]; what fills no frame is left out.

    The waveform becomes blocks of one step; a frame is a block and the ones after it, so that all frames are a few
    shifted copies joined. ``tf.signal.frame`` gathers them one by one, which takes fifteen times as long on TensorFlow
    Lite.

    Examples
    --------
    Blocks [0 1] [2 3] [4 5] make two frames; the 6 fills none.

    >>> frames(tf.range(7), length=4, step=2).numpy()
    array([[0, 1, 2, 3],
           [2, 3, 4, 5]], dtype=int32)
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


def fft_bins(length: int, first_bin: int, last_bin: int) -> np.ndarray:
    """Return which bin each column of `fft_magnitudes` is: [bins]."""
    return np.arange(first_bin, last_bin)


def matrix_magnitudes(framed: tf.Tensor, first_bin: int, last_bin: int) -> tf.Tensor:
    """Return the same bins, and some more, in the order of `matrix_bins`: [..., frames, length] -> [..., columns].

    Products with small constant matrices take the place of an operator that TensorFlow Lite is slow at. With length =
    rows * columns, n = columns * row + column and k = rows * high + low, the transform of x[n] is one over the rows for
    each column, a turn by the twiddle factors, and one over the columns (Cooley and Tukey, 1965). As x is real, the
    values of ``low`` up to rows / 2 suffice, and of the sums that make X[rows * high + low] a change of sign makes
    X[low - rows * high], which has the magnitude of X[rows * high - low].

    Examples
    --------
    One period of a cosine in eight samples: |X[1]| = 4, and all other bins up to 4 are 0. Here is how ``low`` = 1, in 4
    rows and 2 columns, comes to X[1] (``high`` = 0) and X[5] (``high`` = 1), which has the magnitude of X[3]:

    >>> x = np.cos(2 * np.pi * np.arange(8) / 8).astype(np.float32)
    >>> by_row = np.fft.fft(x.reshape(4, 2), axis=0)[1]  # 2 of the column 1 0 -1 0, and 1.41 + 1.41j of the other
    >>> turned = by_row * np.exp(-2j * np.pi * 1 * np.arange(2) / 8)  # the second by 45 degrees, which makes it 2
    >>> [round(float(abs(turned[0] + sign * turned[1])), 3) for sign in (1, -1)]
    [4.0, 0.0]
    >>> magnitudes = matrix_magnitudes(x, 0, 5).numpy()  # [columns]: (high, side, low)
    >>> dict(zip(matrix_bins(8, 0, 5).tolist(), magnitudes.round(3).tolist()))
    {0: 0.0, 1: 4.0, 2: 0.0, -1: 0.0, 4: 0.0, 3: 0.0}
    """
    framed = tf.convert_to_tensor(framed)
    *leading, length = _sizes(framed)
    rows, columns = _rows_and_columns(length)
    constants = _transform_constants(length)
    highs = _highs(length, first_bin, last_bin)
    grid = tf.reshape(framed, [-1, rows, columns])  # [frames, rows, columns]
    by_row = tf.matmul(constants.by_row, grid)  # [frames, (part, low), columns]
    real, imaginary = tf.split(by_row, 2, axis=1)  # each [frames, low, columns]
    real, imaginary = _turn(real, imaginary, constants.turn)
    cosines, sines = constants.cosines[:, highs], constants.sines[:, highs]  # [columns, high]
    squares = _squares_on_both_sides(real, imaginary, cosines, sines)  # [frames, (side, low), high]
    magnitudes = tf.transpose(tf.sqrt(squares), [0, 2, 1])  # [frames, high, (side, low)]
    return tf.reshape(magnitudes, [*leading, len(highs) * (rows + 2)])


def matrix_bins(length: int, first_bin: int, last_bin: int) -> np.ndarray:
    """Return which bin each column of `matrix_magnitudes` is, -1 for one that repeats another: [columns].

    Neighbouring bins stand near each other, so that a mel band needs few columns.
    """
    rows, _ = _rows_and_columns(length)
    sides = np.array([1, -1])[:, None] * np.arange(rows // 2 + 1)  # [side, low]
    bins = (rows * _highs(length, first_bin, last_bin)[:, None, None] + sides).ravel()  # [(high, side, low)]
    bins = np.minimum(np.abs(bins), length - bins)  # X[-k] and X[length - k] are the conjugate of X[k]
    _, first_places = np.unique(bins, return_index=True)
    return np.where(np.isin(np.arange(len(bins)), first_places), bins, -1)


def _turn(real: tf.Tensor, imaginary: tf.Tensor, turn: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
    """Multiply complex numbers, given by their parts, with complex constants."""
    return real * turn.real - imaginary * turn.imag, real * turn.imag + imaginary * turn.real


def _squares_on_both_sides(real: tf.Tensor, imaginary: tf.Tensor, cosines: np.ndarray, sines: np.ndarray) -> tf.Tensor:
    """Transform [frames, low, columns] over the columns; return squared magnitudes: [frames, (side, low), high]."""
    # Each [frames, low, high]; four products, as the parts of one product would have to be cut out of it.
    real_cosine, real_sine = tf.matmul(real, cosines), tf.matmul(real, sines)
    imaginary_cosine, imaginary_sine = tf.matmul(imaginary, cosines), tf.matmul(imaginary, sines)
    above = tf.square(real_cosine + imaginary_sine) + tf.math.squared_difference(imaginary_cosine, real_sine)
    below = tf.math.squared_difference(real_cosine, imaginary_sine) + tf.square(imaginary_cosine + real_sine)
    return tf.concat([above, below], axis=1)


def _sizes(tensor: tf.Tensor) -> list[int | tf.Tensor]:
    """Return the size of each axis, as a number where it is known while the graph is built."""
    sizes = tf.shape(tensor)
    return [sizes[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


def _magnitude(real: tf.Tensor, imaginary: tf.Tensor) -> tf.Tensor:
    # tf.abs guards against overflow element by element and takes seven times as long.
    return tf.sqrt(real * real + imaginary * imaginary)


def _rows_and_columns(length: int) -> tuple[int, int]:
    rows = 2 ** (length.bit_length() // 2)
    return rows, length // rows


def _highs(length: int, first_bin: int, last_bin: int) -> np.ndarray:
    """Return the values of ``high`` that the bins need: those nearest to k / rows."""
    rows, _ = _rows_and_columns(length)
    lowest, highest = ((k + rows // 2 - 1) // rows for k in (first_bin, last_bin - 1))
    return np.arange(lowest, highest + 1)


class _TransformConstants(NamedTuple):
    by_row: np.ndarray  # float32 [(part, low), rows]
    turn: np.ndarray  # complex64 [low, columns]
    cosines: np.ndarray  # float32 [columns, high]
    sines: np.ndarray  # float32 [columns, high]


@lru_cache
def _transform_constants(length: int) -> _TransformConstants:
    rows, columns = _rows_and_columns(length)
    low, high = np.arange(rows // 2 + 1), np.arange(columns // 2 + 1)
    by_row = _waves(np.outer(low, np.arange(rows)), rows)  # [low, rows]
    turn = _waves(np.outer(low, np.arange(columns)), length)  # [low, columns]
    by_column = _waves(np.outer(np.arange(columns), high), columns)  # [columns, high]
    parts = np.concatenate([by_row.real, by_row.imag])  # [(part, low), rows]
    return _TransformConstants(parts, turn, by_column.real, -by_column.imag)


def _waves(turns: np.ndarray, period: int) -> np.ndarray:
    return np.exp(-2j * np.pi * turns / period).astype(np.complex64)
