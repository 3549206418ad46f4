"""The trained network, alone or behind its front end, as a TensorFlow Lite graph of one precision.

The graph is made of the functions of training, but for two: levels are taken by `windows.normalize_padded`, since a
device pads first, and `FrontEnd` transforms by ``matrix``, which TensorFlow Lite computes faster than ``fft``. Tests
hold both against what training uses. Only operators that TensorFlow Lite has built in are allowed.

What this module does not do: say what a precision is (see ``export.precisions``), hold the result against Keras (see
``export.proof``) or write it (see ``export.files``).
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import tensorflow as tf
from ai_edge_quantizer.quantizer import Quantizer
from tensorflow.lite.python.convert_phase import ConverterError

from lightsernet_tf.config import FeatureConfig
from lightsernet_tf.errors import ModelError, one_line
from lightsernet_tf.export.flatbuffer import Graph
from lightsernet_tf.export.precisions import PRECISIONS, Io
from lightsernet_tf.export.rounding import Observed, refine
from lightsernet_tf.features.front_end import FrontEnd
from lightsernet_tf.features.windows import normalize_padded
from lightsernet_tf.predict.model_file import InputKind

SIGNATURE, OUTPUT = "serving_default", "probabilities"


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
    front_end = FrontEnd(features, "matrix", name="front_end")

    def fused(waveform: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: network(front_end(normalize_padded(waveform)), training=False)}  # [1, classes]

    def alone(features: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: network(features, training=False)}  # [1, classes]

    # Not from_keras_model: with Keras 3 it aborts the whole process.
    archive = keras.export.ExportArchive()
    archive.track(network)
    run = {"waveform": fused, "features": alone}[kind]
    archive.add_endpoint(SIGNATURE, run, input_signature=[tf.TensorSpec(shape, tf.float32, name=kind)])
    advice = "write that layer with operators that TensorFlow Lite has; all precisions start from this graph"
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        with _conversion_errors("float32", advice, ConverterError):
            model = converter.convert()
    return _checked(model, "float32")


def quantize(observed: Observed, precision: str, kind: InputKind, io: Io) -> bytes:
    """Return a float32 graph in another precision.

    In a fused graph the network alone is quantised: the front end's logarithms would not survive 8 bits. Weights are
    rounded so that the network's outputs on the calibration inputs stay close, see ``export.rounding``.

    Parameters
    ----------
    observed
        The graph and its calibration inputs.
    precision
        One of ``PRECISIONS``.
    kind
        What the graph takes.
    io
        ``int8``, for features alone: input and output are int8 too, and all operators are of integers.

    Raises
    ------
    ModelError
        As `float_graph`, or if it has tensors of a type that cannot be read; the message names the precision.
    """
    chosen = PRECISIONS[precision]
    if chosen.recipe is None:
        return observed.model
    quantizer = Quantizer(bytearray(observed.model))
    chosen.recipe(quantizer, io)
    with _conversion_errors(precision, "leave this precision out", ValueError, RuntimeError), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors.*")
        ranges = None
        if chosen.calibrated:
            ranges = quantizer.calibrate({SIGNATURE: [{kind: values} for values in observed.inputs]}, num_threads=1)
        result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    try:
        refined = refine(observed, bytes(result.quantized_model))
    except ModelError as error:
        raise ModelError(f"{precision}: {error}") from error
    return _checked(refined, precision, integer_only=io == "int8")


def _checked(model: bytes, precision: str, *, integer_only: bool = False) -> bytes:
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
def _conversion_errors(precision: str, advice: str, *kinds: type[Exception]) -> Iterator[None]:
    """Turn what the converter or the quantiser raises into one sentence with the precision and the operators."""
    try:
        yield
    except kinds as error:
        found = re.search(r"'tf\.\w+' op .+", str(error))  # what counts, among the converter's places in a stack
        text = one_line(found[0] if found else error)
        named = sorted(set(re.findall(r"\b(?:tfl?\.\w+|Flex\w+|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b", text)))
        operators = f" (operators: {', '.join(named)})" if named else ""
        raise ModelError(
            f"{precision}: expected a graph that can be converted. Received: {text[:300]}{operators}; {advice}"
        ) from error
