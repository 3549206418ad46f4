"""The precisions that a file can have: one record each, which the command, the quantiser, the proof and the card read.

What this module does not do: quantise (see ``export.graph``) or compare (see ``export.proof``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ai_edge_quantizer.quantizer import Quantizer

Io = Literal["float32", "int8"]
# The quantiser finds operators by the name of their output, which keeps the Keras layer's scope.
NETWORK = "light_sernet"

_WITH_WEIGHTS = ("CONV_2D", "FULLY_CONNECTED")
# All operators of the network but its softmax, so that a fused graph keeps float probabilities.
_INTEGER = (*_WITH_WEIGHTS, "AVERAGE_POOL_2D", "CONCATENATION", "MEAN")
_LIMITS = {
    "largest_difference": "probabilities that differ by at most {:g} on the same input",
    "ua_points_lost": "at most {:g} point of UA lost",
}


@dataclass(frozen=True)
class Limit:
    """How far a file may be from Keras on the validation utterances.

    Parameters
    ----------
    figure
        ``largest_difference``: of any probability, on the same inputs; ``ua_points_lost``: of UA, in percent, against
        the run's own features.
    at_most
        Its highest value that passes.
    """

    figure: Literal["largest_difference", "ua_points_lost"]
    at_most: float

    def __str__(self) -> str:
        return _LIMITS[self.figure].format(self.at_most)


@dataclass(frozen=True)
class Precision:
    """How the numbers of a file are stored and computed with.

    Parameters
    ----------
    recipe
        Adds to a quantiser what becomes of which operators, for a type of input and output; none: the float32 graph
        stays as it is.
    limit
        How far the file may be from Keras.
    calibrated
        Whether the quantiser needs the ranges of activations on training utterances.
    integers
        Whether the network alone can be made of integers throughout, its input and output too.
    """

    recipe: Callable[[Quantizer, Io], None] | None
    limit: Limit
    calibrated: bool
    integers: bool


def _float16(quantizer: Quantizer, io: Io) -> None:
    from ai_edge_quantizer import qtyping  # here, so that `--help` need not wait for it
    from ai_edge_quantizer.algorithm_manager import AlgorithmName

    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT),
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    for operator in _WITH_WEIGHTS:
        quantizer.update_quantization_recipe(NETWORK, operator, config, AlgorithmName.FLOAT_CASTING)


def _dynamic_int8(quantizer: Quantizer, io: Io) -> None:
    for operator in _WITH_WEIGHTS:
        quantizer.add_dynamic_config(NETWORK, operator, num_bits=8)


def _int8(quantizer: Quantizer, io: Io) -> None:
    scope, operators = (".*", ("*",)) if io == "int8" else (NETWORK, _INTEGER)
    for operator in operators:
        quantizer.add_static_config(scope, operator, activation_num_bits=8, weight_num_bits=8)


# Floats must give the same probabilities; integers round, so what counts is that the decisions stay as good.
PRECISIONS: dict[str, Precision] = {
    "float32": Precision(None, Limit("largest_difference", 1e-4), calibrated=False, integers=False),
    "float16": Precision(_float16, Limit("largest_difference", 1e-3), calibrated=False, integers=False),
    "dynamic_int8": Precision(_dynamic_int8, Limit("ua_points_lost", 1), calibrated=False, integers=False),
    "int8": Precision(_int8, Limit("ua_points_lost", 1), calibrated=True, integers=True),
}
