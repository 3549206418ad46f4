"""Rounding that keeps the outputs: against plain rounding, against every rounding there is, and on a network."""

import itertools

import keras
import numpy as np
import pytest
from ai_edge_quantizer.quantizer import Quantizer
from keras import layers

from lightsernet_tf.config import FeatureConfig
from lightsernet_tf.export import graph as conversion
from lightsernet_tf.export.flatbuffer import Graph
from lightsernet_tf.export.graph import float_graph, quantize
from lightsernet_tf.export.precisions import PRECISIONS
from lightsernet_tf.export.rounding import Observed, compensate, observe, refine
from lightsernet_tf.predict.litert import LiteRTNetwork

STEP = 0.1
SHAPE = (1, 16, 8, 1)
KINDS = [("float16", "float32"), ("dynamic_int8", "float32"), ("int8", "float32"), ("int8", "int8")]


def to_steps(column):
    return np.rint(column / STEP) * STEP


def extended(inputs):
    return np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)


def error(matrix, bias, rounded, rounded_bias, inputs):
    return float(np.sum((inputs @ (rounded - matrix).T + rounded_bias - bias) ** 2))


def correlated(random, count, size):
    """What follows a ReLU: never negative, and much alike."""
    common = random.random((count, 2)) @ random.random((2, size))
    return np.maximum(common + 0.05 * random.standard_normal((count, size)), 0)


@pytest.mark.parametrize("seed", range(5))
def test_outputs_stay_much_closer_than_by_plain_rounding(seed):
    random = np.random.default_rng(seed)
    matrix, bias, inputs = random.standard_normal((6, 30)), random.standard_normal(6), correlated(random, 500, 30)
    kept = matrix.copy(), bias.copy()
    rounded, new_bias = compensate(matrix, bias, extended(inputs).T @ extended(inputs), to_steps)
    plain = error(matrix, bias, to_steps(matrix), bias, inputs)
    assert error(matrix, bias, rounded, new_bias, inputs) < 0.1 * plain
    np.testing.assert_allclose(rounded, to_steps(rounded), atol=1e-12)
    np.testing.assert_array_equal(matrix, kept[0])
    np.testing.assert_array_equal(bias, kept[1])


@pytest.mark.parametrize("seed", range(5))
def test_outputs_are_never_clearly_further_off_than_by_plain_rounding(seed):
    random = np.random.default_rng(seed)
    matrix, bias, inputs = random.standard_normal((6, 30)), random.standard_normal(6), random.standard_normal((500, 30))
    rounded, new_bias = compensate(matrix, bias, extended(inputs).T @ extended(inputs), to_steps)
    plain = error(matrix, bias, to_steps(matrix), bias, inputs)
    assert error(matrix, bias, rounded, new_bias, inputs) < 1.05 * plain


def test_it_comes_near_the_best_of_all_roundings():
    random = np.random.default_rng(0)
    ours, best, plain = 0.0, 0.0, 0.0
    for _ in range(20):
        row, bias, inputs = random.standard_normal((1, 4)), random.standard_normal(1), correlated(random, 50, 4)
        floor = np.floor(row / STEP)
        candidates = [(floor + up) * STEP for up in itertools.product((-1, 0, 1, 2), repeat=4)]
        shifts = [np.mean(inputs @ (row - one).T) for one in candidates]  # the best bias for each
        best += min(error(row, bias, one, bias + s, inputs) for one, s in zip(candidates, shifts, strict=True))
        rounded, new_bias = compensate(row, bias, extended(inputs).T @ extended(inputs), to_steps)
        ours += error(row, bias, rounded, new_bias, inputs)
        plain += error(row, bias, to_steps(row), bias, inputs)
    assert best <= ours < 4 * best
    assert ours < 0.2 * plain


def test_the_bias_takes_what_a_constant_input_shifts():
    matrix, bias = np.array([[0.04]]), np.array([1.0])
    inputs = np.full((10, 1), 2.0)
    rounded, new_bias = compensate(matrix, bias, extended(inputs).T @ extended(inputs), to_steps)
    assert rounded[0, 0] == 0
    assert new_bias[0] == pytest.approx(1.08, abs=1e-3)


def test_inputs_that_are_always_zero_do_no_harm():
    random = np.random.default_rng(0)
    matrix, inputs = random.standard_normal((3, 5)), np.zeros((10, 5))
    rounded, bias = compensate(matrix, np.ones(3), extended(inputs).T @ extended(inputs), to_steps)
    np.testing.assert_allclose(rounded, to_steps(matrix))
    np.testing.assert_allclose(bias, 1)


@pytest.fixture(scope="module")
def network():
    """Two convolutions with a ReLU, and a dense layer: what Light-SERNet is made of, in the scope of its name."""
    features = keras.Input(SHAPE[1:], name="features")
    x = layers.Conv2D(8, (3, 3), padding="same", activation="relu", name="first")(features)
    x = layers.Conv2D(12, (5, 1), padding="same", activation="relu", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(4, activation="softmax", name="probabilities")(x)
    network = keras.Model(features, x, name="light_sernet")
    random = np.random.default_rng(1)
    network.set_weights([random.standard_normal(one.shape) * (1 + one.size) ** -0.25 for one in network.get_weights()])
    return network


def windows(count, seed):
    random = np.random.default_rng(seed)
    return [
        np.maximum(1 + np.outer(random.random(16), random.random(8)) + 0.1 * random.standard_normal((16, 8)), 0)
        .astype(np.float32)
        .reshape(SHAPE)
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def observed(network) -> Observed:
    return observe(float_graph(network, "features", 0, FeatureConfig()), windows(30, 0))


@pytest.fixture(scope="module")
def pairs(observed):
    """Of each kind the file as the quantiser leaves it, and refined."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for precision, io in KINDS:
            patch.setattr(conversion, "refine", lambda observed, quantized: Graph(quantized).to_bytes())
            plain = quantize(observed, precision, "features", io)
            patch.undo()
            found[precision, io] = plain, quantize(observed, precision, "features", io)
    return found


def network_error(network, model, inputs):
    file = LiteRTNetwork(model, SHAPE, 4)
    expected = network(np.concatenate(inputs), training=False).numpy()
    return float(np.sqrt(np.mean((np.stack([file(one) for one in inputs]) - expected) ** 2)))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "at_most"), [*zip(KINDS, (0.8, 0.8, 0.8, 1.0), strict=True)])
def test_a_refined_network_is_nearer_to_keras_on_inputs_it_has_not_seen(network, pairs, kind, at_most):
    plain, refined = (network_error(network, model, windows(40, 9)) for model in pairs[kind])
    print(kind, plain, refined)
    assert refined < at_most * plain


@pytest.mark.parametrize("kind", KINDS)
def test_scales_types_and_operators_are_kept(pairs, kind):
    plain, refined = (Graph(model) for model in pairs[kind])
    assert [(one.name, one.types) for one in refined.operators()] == [
        (one.name, one.types) for one in plain.operators()
    ]
    layers_of = [list(graph.layers("light_sernet")) for graph in (plain, refined)]
    assert len(layers_of[0]) == 3
    moved = 0
    for before, after in zip(*layers_of, strict=True):
        for one in (before.weights, before.bias):
            quantization = [graph._subgraph.tensors[one].quantization for graph in (plain, refined)]
            np.testing.assert_array_equal(quantization[0].scale, quantization[1].scale)
        stored = [layer.graph.constant(layer.weights) for layer in (before, after)]
        assert stored[0].dtype == stored[1].dtype
        assert stored[0].shape == stored[1].shape
        moved += np.count_nonzero(stored[0] != stored[1])
        if stored[0].dtype == np.int8:
            assert stored[1].min() >= -127
    assert moved > 0


def test_what_layers_take_in_is_what_keras_gives_them(network, observed):
    inputs = np.concatenate(observed.inputs)
    first = keras.Model(network.input, network.get_layer("first").output)(inputs).numpy()
    pooled = keras.Model(network.input, network.get_layer("pool").output)(inputs).numpy()
    for found, expected in zip(observed.means, (inputs, first, pooled), strict=True):
        np.testing.assert_allclose(found, expected.reshape(-1, expected.shape[-1]).mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(observed.products[2], extended(pooled).T @ extended(pooled), rtol=1e-3)
    # a patch of the convolution [3, 3] is the neighbourhood, padded with zeros
    padded = np.pad(inputs, ((0, 0), (1, 1), (1, 1), (0, 0)))
    patches = np.stack([padded[:, y : y + 16, x : x + 8, 0].ravel() for y in range(3) for x in range(3)], axis=1)
    np.testing.assert_allclose(observed.products[0], extended(patches).T @ extended(patches), rtol=1e-4)


def test_what_is_quantised_without_loss_is_left_as_it_is(observed):
    """Weights that can be stored as they are: nothing to make good."""
    graph = Graph(observed.model)
    for layer in graph.layers("light_sernet"):
        layer.set_matrix(layer.matrix().astype(np.float16).astype(np.float64))
    model = graph.to_bytes()
    quantizer = Quantizer(bytearray(model))
    PRECISIONS["float16"].recipe(quantizer, "float32")
    plain = bytes(quantizer.quantize(enable_progress_bar=False, enable_progress_report=False).quantized_model)
    refined = refine(observe(model, observed.inputs), plain)
    for before, after in zip(Graph(plain).layers("light_sernet"), Graph(refined).layers("light_sernet"), strict=True):
        np.testing.assert_array_equal(after.matrix(), before.matrix())
        np.testing.assert_allclose(after.bias_values(), before.bias_values(), atol=1e-6)
