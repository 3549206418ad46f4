"""What is inside a .tflite graph: its operators, and the constants of the layers that have weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from lightsernet_tf.errors import ModelError

_IDENTIFIER = b"TFL3"
_WEIGHTED = ("CONV_2D", "FULLY_CONNECTED")
_FLOATS: dict[str, Any] = {"FLOAT32": np.float32, "FLOAT16": np.float16}
_INTEGERS: dict[str, Any] = {"INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64}
_DTYPES = _FLOATS | _INTEGERS


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_OPERATORS, _TYPES = _names(schema.BuiltinOperator), _names(schema.TensorType)


@dataclass(frozen=True)
class Operator:
    """An operator: its name (of a custom one its own after ``CUSTOM``), its tensors and their types."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    types: frozenset[str]


class Graph:
    """A .tflite model of one subgraph, whose constants can be read and replaced.

    Constants that lie behind the flatbuffer, as ``ai_edge_quantizer`` leaves large ones, are taken into it: not every
    runtime finds them there.
    """

    def __init__(self, model: bytes) -> None:
        self._model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
        for buffer in self._model.buffers:
            if buffer.offset > 1:
                buffer.data = np.frombuffer(model, np.uint8, buffer.size, buffer.offset)
                buffer.offset = buffer.size = 0
        if len(self._model.subgraphs) != 1:
            raise ModelError(
                f"expected a graph without loops and branches. Received: {len(self._model.subgraphs)} graphs"
            )
        self._subgraph = self._model.subgraphs[0]

    def to_bytes(self) -> bytes:
        """Return the flatbuffer."""
        return _packed(self._model)

    def up_to(self, tensors: Sequence[int]) -> bytes:
        """Return the flatbuffer of a graph whose outputs are these tensors, under the numbers that they have here."""
        makers = [place for place, one in enumerate(self.operators()) if not set(tensors).isdisjoint(one.outputs)]
        model, subgraph = copy.copy(self._model), copy.copy(self._subgraph)
        subgraph.operators = subgraph.operators[: max(makers, default=-1) + 1]
        subgraph.outputs = list(tensors)
        model.subgraphs, model.signatureDefs = [subgraph], []
        return _packed(model)

    def operators(self) -> list[Operator]:
        """Return the operators in their order."""
        found = []
        for operator in self._subgraph.operators:
            code = self._model.operatorCodes[operator.opcodeIndex]
            name = _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
            if name == "CUSTOM":
                name += f" {code.customCode.decode()}"
            inputs = tuple(int(index) for index in operator.inputs if index >= 0)
            outputs = tuple(int(index) for index in operator.outputs)
            types = frozenset(_TYPES[self._subgraph.tensors[index].type] for index in inputs + outputs)
            found.append(Operator(name, inputs, outputs, types))
        return found

    def layers(self, scope: str) -> Iterator[Layer]:
        """Yield the convolutions and dense layers with a bias whose output's name holds ``scope``.

        One whose bias is all zeros has none in the graph; it stays as it is.
        """
        made_by = {index: operator for operator in self.operators() for index in operator.outputs}
        for operator, stored in zip(self.operators(), self._subgraph.operators, strict=True):
            in_scope = scope in self._subgraph.tensors[operator.outputs[0]].name.decode()
            if operator.name in _WEIGHTED and in_scope and len(operator.inputs) == 3:
                _check_steps(operator.name, stored.builtinOptions)
                data, weights, bias = operator.inputs
                if weights in made_by:  # stored smaller, and made float again when the model is loaded
                    (weights,) = made_by[weights].inputs
                yield Layer(self, data, weights, bias)

    def constant(self, tensor: int) -> NDArray[Any]:
        """Return the values of a constant as they are stored."""
        found = self._subgraph.tensors[tensor]
        data = np.asarray(self._model.buffers[found.buffer].data, np.uint8)
        return np.frombuffer(data.tobytes(), self._dtype(tensor)).reshape(found.shape)

    def replace(self, tensor: int, values: NDArray[np.float64]) -> None:
        """Store as many other values in a constant, rounded as by `nearest`."""
        found = self._subgraph.tensors[tensor]
        stored = self._stored(tensor, values.reshape(found.shape))
        self._model.buffers[found.buffer].data = np.frombuffer(stored.tobytes(), np.uint8)

    def nearest(self, tensor: int, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the nearest values that a tensor's type and scale can hold.

        Parameters
        ----------
        tensor
            Its number.
        values
            [channels, ...]: a tensor's, or for some places of it.
        """
        return self.to_float(tensor, self._stored(tensor, values))

    def to_float(self, tensor: int, stored: NDArray[Any]) -> NDArray[np.float64]:
        """Return what stored values of a tensor, [channels, ...], stand for."""
        scale, zero_point = self._scale_and_zero_point(tensor, stored.ndim)
        return (stored.astype(np.float64) - zero_point) * scale

    def _stored(self, tensor: int, values: NDArray[np.float64]) -> NDArray[Any]:
        dtype = self._dtype(tensor)
        if not np.issubdtype(dtype, np.integer):
            return values.astype(dtype)
        scale, zero_point = self._scale_and_zero_point(tensor, values.ndim)
        highest = np.iinfo(dtype).max  # as far down as up: kernels expect no weight of the lowest integer
        return np.clip(np.rint(values / scale) + zero_point, -highest, highest).astype(dtype)

    def _dtype(self, tensor: int) -> Any:
        found = self._subgraph.tensors[tensor]
        if (kind := _TYPES[found.type]) not in _DTYPES:
            name = found.name.decode()
            raise ModelError(f"{name}: expected a tensor of {', '.join(_DTYPES)}. Received: one of {kind}")
        return _DTYPES[kind]

    def _scale_and_zero_point(self, tensor: int, ndim: int) -> tuple[Any, Any]:
        """Return both as they broadcast over ``ndim`` axes; 1 and 0 where the numbers stand for themselves."""
        quantization = self._subgraph.tensors[tensor].quantization
        if not np.issubdtype(self._dtype(tensor), np.integer) or quantization is None or quantization.scale is None:
            return 1.0, 0.0
        shape = np.ones(ndim, int)
        shape[quantization.quantizedDimension] = -1
        return quantization.scale.astype(np.float64).reshape(shape), quantization.zeroPoint.reshape(shape)


def _check_steps(name: str, options: Any) -> None:
    if name != "CONV_2D":
        return
    steps = (options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor)
    if steps != (1, 1, 1, 1) or options.padding != schema.Padding.SAME:
        raise ModelError(
            f"CONV_2D: expected no stride, no dilation and same padding. Received: {steps}, {options.padding}"
        )


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(2**20)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


@dataclass(frozen=True)
class Layer:
    """A convolution, weights [out, height, width, in], or a dense layer, weights [out, in]; its tensors in a graph."""

    graph: Graph
    data: int
    weights: int
    bias: int

    @property
    def kernel_size(self) -> tuple[int, int]:
        """Height and width; 1 and 1 for a dense layer."""
        shape = self.graph.constant(self.weights).shape
        return (shape[1], shape[2]) if len(shape) == 4 else (1, 1)

    def matrix(self) -> NDArray[np.float64]:
        """Return the weights: [out, height * width * in]."""
        weights = self.graph.to_float(self.weights, self.graph.constant(self.weights))
        return weights.reshape(len(weights), -1)

    def bias_values(self) -> NDArray[np.float64]:
        """Return the bias: [out]."""
        return self.graph.to_float(self.bias, self.graph.constant(self.bias))

    def set_matrix(self, matrix: NDArray[np.float64]) -> None:
        """Store weights [out, height * width * in], rounded to those that can be stored."""
        self.graph.replace(self.weights, matrix)

    def set_bias(self, bias: NDArray[np.float64]) -> None:
        """Store a bias [out], rounded to what can be stored."""
        self.graph.replace(self.bias, bias)
