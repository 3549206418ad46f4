"""The trained network, alone or behind its front end, as a TensorFlow Lite graph of one precision.

The graph is made of the functions of training, but for two: levels are taken by `windows.normalize_padded`, since a
device pads first, and `FrontEnd` transforms by ``matrix``, which TensorFlow Lite computes faster than ``fft``. Tests
hold both against what training uses. Only operators that TensorFlow Lite has built in are allowed.

What this module does not do: hold the result against Keras (see proof.py) or write it.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from ai_edge_quantizer import qtyping
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.quantizer import Quantizer
from numpy.typing import NDArray

from lightsernet_tf.config import FeatureConfig
from lightsernet_tf.errors import InputError, ModelError
from lightsernet_tf.export.flatbuffer import Graph
from lightsernet_tf.export.rounding import Observed, observe, refine
from lightsernet_tf.features.front_end import FrontEnd
from lightsernet_tf.features.windows import normalize_padded
from lightsernet_tf.predict.model_file import InputKind

Precision = Literal["float32", "float16", "dynamic_int8", "int8"]
Io = Literal["float32", "int8"]
SIGNATURE, OUTPUT = "serving_default", "probabilities"

# The quantiser finds operators by the name of their output, which keeps the Keras layer's scope.
_FRONT_END, _NETWORK = "front_end", "light_sernet"
_WITH_WEIGHTS = ("CONV_2D", "FULLY_CONNECTED")
# All operators of the network but its softmax, so that a fused graph keeps float probabilities.
_INTEGER = (*_WITH_WEIGHTS, "AVERAGE_POOL_2D", "CONCATENATION", "MEAN")
_FLOAT16 = qtyping.OpQuantizationConfig(
    weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
    compute_precision=qtyping.ComputePrecision.FLOAT,
    explicit_dequantize=True,
)


def float_graph(network: keras.Model, kind: InputKind, num_samples: int, features: FeatureConfig) -> bytes:
    """Return the network as a float32 .tflite graph.

    Parameters
    ----------
    network
        Trained: [batch, frames, bins, 1] -> [batch, classes].
    kind
        ``waveform``: the input is float32 [1, num_samples] at any level, shorter clips padded with zeros;
        ``features``: it is [1, frames, bins, 1].
    num_samples
        Length of the network's window.
    features
        The front end.

    Raises
    ------
    ModelError
        If it cannot be converted, or not to builtin operators; the message names them.
    """
    shape = [1, num_samples] if kind == "waveform" else [1, *network.input_shape[1:]]
    front_end = FrontEnd(features, "matrix", name=_FRONT_END)

    def fused(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: network(front_end(normalize_padded(waveform)), training=False)}

    def alone(features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: network(features, training=False)}

    run = {"waveform": fused, "features": alone}[kind]
    advice = "write that layer with operators that TensorFlow Lite has; all precisions start from this graph"
    with tempfile.TemporaryDirectory() as folder, _told_as("float32", advice):
        # Not from_keras_model: with Keras 3 it aborts the whole process.
        archive = keras.export.ExportArchive()
        archive.track(network)
        archive.add_endpoint(SIGNATURE, run, input_signature=[tf.TensorSpec(shape, tf.float32, name=kind)])
        archive.write_out(folder, verbose=False)
        return _checked(tf.lite.TFLiteConverter.from_saved_model(folder).convert(), "float32")


def observe_network(model: bytes, calibration: Sequence[NDArray[np.float32]]) -> Observed:
    """Return what the network's layers take in, for `quantize`.

    Parameters
    ----------
    model
        From `float_graph`.
    calibration
        Inputs of the graph, [1, ...] each: training utterances.
    """
    return observe(model, _NETWORK, calibration)


def quantize(observed: Observed, precision: Precision, kind: InputKind, io: Io) -> bytes:
    """Return a float32 graph in another precision.

    In a fused graph the network alone is quantised: the front end's logarithms would not survive 8 bits. Weights are
    rounded so that the network's outputs on the calibration inputs stay close, see rounding.py.

    Parameters
    ----------
    observed
        The graph and its calibration inputs, from `observe_network`.
    precision
        ``float16`` (weights), ``dynamic_int8`` (weights; activations as they come) or ``int8`` (weights, and
        activations by their range on the calibration inputs).
    kind
        What the graph takes.
    io
        ``int8``, for features alone: input and output are int8 too, and all operators are of integers.

    Raises
    ------
    ModelError
        As `float_graph`.
    """
    if precision == "float32":
        return observed.model
    quantizer = Quantizer(bytearray(observed.model))
    _RECIPES[precision](quantizer, io)
    with _told_as(precision, "leave this precision out"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors.*")
        ranges = None
        if quantizer.need_calibration:
            ranges = quantizer.calibrate({SIGNATURE: [{kind: values} for values in observed.inputs]}, num_threads=1)
        result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        refined = refine(observed, bytes(result.quantized_model))
        return _checked(refined, precision, integer_only=io == "int8")


def _to_float16(quantizer: Quantizer, io: Io) -> None:
    for operator in _WITH_WEIGHTS:
        quantizer.update_quantization_recipe(_NETWORK, operator, _FLOAT16, AlgorithmName.FLOAT_CASTING)


def _to_dynamic_int8(quantizer: Quantizer, io: Io) -> None:
    for operator in _WITH_WEIGHTS:
        quantizer.add_dynamic_config(_NETWORK, operator, num_bits=8)


def _to_int8(quantizer: Quantizer, io: Io) -> None:
    if io == "int8":
        quantizer.add_static_config(".*", "*", activation_num_bits=8, weight_num_bits=8)
        return
    for operator in _INTEGER:
        quantizer.add_static_config(_NETWORK, operator, activation_num_bits=8, weight_num_bits=8)


_RECIPES: dict[Precision, Callable[[Quantizer, Io], None]] = {
    "float16": _to_float16,
    "dynamic_int8": _to_dynamic_int8,
    "int8": _to_int8,
}


def _checked(model: bytes, precision: Precision, *, integer_only: bool = False) -> bytes:
    found = Graph(model).operators()
    foreign = sorted({one.name for one in found if one.name.startswith("CUSTOM")})
    if foreign:
        raise ModelError(
            f"{precision}: expected operators that TensorFlow Lite has built in. Received: {', '.join(foreign)}; "
            "write the layer or the feature with others"
        )
    floating = sorted({one.name for one in found if any(kind.startswith("FLOAT") for kind in one.types)})
    if integer_only and floating:
        raise ModelError(
            f"{precision}: expected operators of integers alone. Received: {', '.join(floating)} of float; "
            "io float32 allows them"
        )
    return model


@contextmanager
def _told_as(precision: Precision, advice: str) -> Iterator[None]:
    """Turn whatever the converter or the quantiser raises into one sentence with the precision and the operators."""
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:  # their many layers raise whatever they like
        told = re.search(r"'tf\.\w+' op .+", str(error))  # what counts, among the converter's places in a stack
        text = " ".join((told[0] if told else str(error)).split())
        named = sorted(set(re.findall(r"\b(?:tfl?\.\w+|Flex\w+|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b", text)))
        raise ModelError(
            f"{precision}: expected a graph that can be converted. Received: {text[:300] or type(error).__name__}"
            + (f" (operators: {', '.join(named)})" if named else "")
            + f"; {advice}"
        ) from error
