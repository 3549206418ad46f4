"""Rounding a network's weights so that its outputs, rather than its weights, stay close.

Rounding each weight to the nearest value that can be stored shifts what the layers put out: their inputs, which follow
a ReLU, are never negative and much alike. So each weight's error is made good by the weights that are not rounded yet,
as far as the layer's inputs allow (Frantar et al., GPTQ, ICLR 2023, equation 2 with the Cholesky factor of section
3.3); the bias, which is not rounded, comes last. What the rounding of activations then still shifts is taken from the
biases, layer by layer (Nagel et al., Data-free quantization through weight equalization and bias correction, ICCV 2019,
the empirical kind).

What this module does not do: choose scales or types; see ``export.precisions``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lightsernet_tf.errors import ModelError
from lightsernet_tf.export.flatbuffer import Graph, Layer
from lightsernet_tf.export.precisions import NETWORK
from lightsernet_tf.predict.litert import load, quantized

_DAMPING = 1e-4  # of the mean of the diagonal: keeps the inverse finite where inputs are never seen to differ
_MOST_PATCHES = 2000  # of one layer and input; neighbouring ones are much alike
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """What the layers of a float model take in.

    Parameters
    ----------
    model
        A .tflite graph.
    inputs
        The graph's, [1, ...] each: training data.
    products
        Of each of the network's layers, for `compensate`.
    means
        Mean of each channel of each layer's inputs: [in] each.
    """

    model: bytes
    inputs: Sequence[NDArray[np.float32]]
    products: list[Array]
    means: list[Array]


def observe(model: bytes, inputs: Sequence[NDArray[np.float32]]) -> Observed:
    """Run a float model and sum up what the network's layers take in.

    Parameters
    ----------
    model, inputs
        As `Observed` keeps them.
    """
    graph = Graph(model)
    layers = list(graph.layers(NETWORK))
    if not layers:
        raise ModelError(f"expected layers with {NETWORK} in their names. Received: none")
    products: list[Any] = [0.0] * len(layers)
    means: list[Any] = [0.0] * len(layers)
    random = np.random.default_rng(0)
    for layer_inputs in _layer_inputs(graph, layers, inputs):
        for number, (layer, data) in enumerate(zip(layers, layer_inputs, strict=True)):
            means[number] = means[number] + _channel_means(data) / len(inputs)
            patches = _patches(data, layer.kernel_size)  # [patches, height * width * in]
            if len(patches) > _MOST_PATCHES:
                patches = patches[random.choice(len(patches), _MOST_PATCHES, replace=False)]
            extended = np.concatenate([patches, np.ones((len(patches), 1))], axis=1)
            products[number] = products[number] + extended.T @ extended  # [in + 1, in + 1]
    return Observed(model, inputs, products, means)


def refine(observed: Observed, quantized_model: bytes) -> bytes:
    """Return a quantised model with its weights and biases chosen anew, for the same scales and types.

    Parameters
    ----------
    observed
        Of the model that was quantised.
    quantized_model
        Made of the observed one.
    """
    graph = Graph(quantized_model)
    layers = list(graph.layers(NETWORK))
    for before, after, products in zip(Graph(observed.model).layers(NETWORK), layers, observed.products, strict=True):
        storable = partial(graph.nearest, after.weights)
        matrix, bias = compensate(before.matrix(), before.bias_values(), products, storable)
        after.set_matrix(matrix)
        after.set_bias(bias)
    means: dict[int, Array] = {}
    for layer, wanted in zip(layers, observed.means, strict=True):  # in turn: each correction changes what follows
        if layer.data not in means:
            layer_inputs = _layer_inputs(graph, [layer], observed.inputs)
            means[layer.data] = np.mean([_channel_means(data) for (data,) in layer_inputs], axis=0)
        shift = means[layer.data] - wanted  # [in]
        # As if every position saw a whole kernel's worth; at the borders it is less, which changes next to nothing.
        by_input = layer.matrix().reshape(len(layer.bias_values()), -1, len(shift)).sum(axis=1)  # [out, in]
        layer.set_bias(layer.bias_values() - by_input @ shift)
    return graph.to_bytes()


def compensate(matrix: Array, bias: Array, products: Array, storable: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Round the columns of a matrix one by one, each time changing those to come so that the outputs stay close.

    Parameters
    ----------
    matrix, bias
        Of a layer: [out, in] and [out].
    products
        Sum over its inputs x, each with a 1 at its end for the bias, of x x^T: [in + 1, in + 1].
    storable
        A column [out] -> the nearest values that can be stored.

    Returns
    -------
    matrix, bias
        The matrix, storable, and the bias that goes with it.
    """
    damped = products + _DAMPING * np.mean(np.diag(products)) * np.eye(len(products))
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T  # upper triangle, [in + 1, in + 1]
    columns = np.concatenate([matrix, bias[:, np.newaxis]], axis=1)  # [out, in + 1]
    for place in range(matrix.shape[1]):
        rounded = storable(columns[:, place])
        error = (columns[:, place] - rounded) / factor[place, place]  # [out]
        columns[:, place + 1 :] -= np.outer(error, factor[place, place + 1 :])
        columns[:, place] = rounded
    return columns[:, :-1], columns[:, -1]


def _patches(data: Array, kernel_size: tuple[int, int]) -> Array:
    """Return what a kernel sees of data [1, height, width, in], or of [1, in], padded with zeros: [patches, ...]."""
    if data.ndim == 2:
        return data
    sizes = [1, *kernel_size, 1]
    patches = tf.image.extract_patches(data, sizes, [1, 1, 1, 1], [1, 1, 1, 1], "SAME").numpy()
    return patches.reshape(-1, patches.shape[-1])


def _channel_means(data: Array) -> Array:
    return data.reshape(-1, data.shape[-1]).mean(axis=0)


def _layer_inputs(
    graph: Graph, layers: Sequence[Layer], inputs: Sequence[NDArray[np.float32]]
) -> Iterator[list[Array]]:
    """Yield what the layers take in, for one of the graph's inputs after the other."""
    wanted = list(dict.fromkeys(layer.data for layer in layers))
    interpreter = load(graph.up_to(wanted))
    (given,) = interpreter.get_input_details()
    for values in inputs:
        interpreter.set_tensor(given["index"], quantized(values, given))
        interpreter.invoke()
        found = {tensor: graph.to_float(tensor, interpreter.get_tensor(tensor)) for tensor in wanted}
        yield [found[layer.data] for layer in layers]
