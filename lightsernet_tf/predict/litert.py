"""Runs a .tflite model with LiteRT; knows nothing of audio, labels or files."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from lightsernet_tf.errors import ModelError, one_line

FloatArray = NDArray[np.float32]


class LiteRTNetwork:
    """A .tflite model as a function of one window, safe to call from several threads.

    Parameters
    ----------
    content
        The file's bytes.
    input_shape
        Expected input shape, including the leading 1.
    num_outputs
        Expected number of probabilities.
    num_threads
        Threads of one call.

    Raises
    ------
    ModelError
        If LiteRT cannot load it, or its input or output differs.
    """

    def __init__(self, content: bytes, input_shape: tuple[int, ...], num_outputs: int, num_threads: int = 1) -> None:
        self._interpreter = load(content, num_threads)
        self._lock = threading.Lock()
        self._input = _only("input", self._interpreter.get_input_details(), input_shape)
        self._output = _only("output", self._interpreter.get_output_details(), (1, num_outputs))

    def __call__(self, window: FloatArray) -> FloatArray:
        """Return the probabilities of a window, both as float32 whatever the model's own types are.

        Parameters
        ----------
        window
            float32 of the input's shape, [1, ...].

        Returns
        -------
        FloatArray
            float32 [classes].
        """
        with self._lock:
            self._interpreter.set_tensor(self._input["index"], quantized(window, self._input))
            self._interpreter.invoke()
            return _dequantized(self._interpreter.get_tensor(self._output["index"])[0], self._output)

    def predict_batch(self, batch: FloatArray) -> FloatArray:
        """Return the probabilities [batch, classes] of windows [batch, ...], one after the other."""
        return np.stack([self(window[np.newaxis]) for window in batch])


def load(content: bytes, num_threads: int = 1) -> Interpreter:
    """Return an interpreter of a .tflite model, ready to run.

    Raises
    ------
    ModelError
        If LiteRT cannot load it.
    """
    try:
        interpreter = Interpreter(model_content=content, num_threads=num_threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"expected a model that LiteRT can load. Received: {one_line(error)}") from error
    return interpreter


def _only(name: str, details: list[dict[str, Any]], shape: tuple[int, ...]) -> dict[str, Any]:
    found = [(tuple(detail["shape"].tolist()), np.dtype(detail["dtype"]).name) for detail in details]
    if len(found) != 1 or found[0][0] != shape or found[0][1] not in ("float32", "int8"):
        received = ", ".join(f"{kind} {list(sizes)}" for sizes, kind in found)
        raise ModelError(f"expected one {name}, float32 or int8 {list(shape)}. Received: {received or 'none'}")
    return details[0]


def quantized(values: FloatArray, detail: dict[str, Any]) -> NDArray[Any]:
    """Return values in the type of a tensor, given the interpreter's details of it: scaled to int8, or unchanged."""
    if detail["dtype"] == np.float32:
        return values
    scale, zero = detail["quantization"]
    return np.clip(np.round(values / scale) + zero, -128, 127).astype(np.int8)


def _dequantized(values: NDArray[Any], detail: dict[str, Any]) -> FloatArray:
    if detail["dtype"] == np.float32:
        return values
    scale, zero = detail["quantization"]
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32)
