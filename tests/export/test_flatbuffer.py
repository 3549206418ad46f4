"""Reading and replacing what is inside a .tflite graph, held against LiteRT."""

import flatbuffers
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer.quantizer import Quantizer

from lightsernet_tf.errors import ModelError
from lightsernet_tf.export.flatbuffer import Graph

SHAPE = (1, 6, 4, 2)


def converted(function, *shape, flex=False):
    concrete = tf.function(function, input_signature=[tf.TensorSpec(shape, tf.float32)]).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if flex:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    return converter.convert()


def run(model, values):
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def weights(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


KERNEL, BIAS, DENSE = weights(3, 1, 2, 5), weights(5), weights(5, 3)
VALUES = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


def two_layers(values):
    with tf.name_scope("some_net/first"):
        values = tf.nn.relu(tf.nn.conv2d(values, KERNEL, 1, "SAME") + BIAS)
    with tf.name_scope("other/last"):
        values = tf.matmul(tf.reduce_mean(values, [1, 2]), DENSE) + 1.0
    return tf.nn.softmax(values)


@pytest.fixture(scope="module")
def model():
    return converted(two_layers, *SHAPE)


def quantized(model, how):
    quantizer = Quantizer(bytearray(model))
    getattr(quantizer, how)(".*", "*", num_bits=8)
    return bytes(quantizer.quantize(enable_progress_bar=False, enable_progress_report=False).quantized_model)


def test_a_round_trip_changes_nothing_that_the_graph_says(model):
    again = Graph(model).to_bytes()
    assert again[4:8] == b"TFL3"
    np.testing.assert_array_equal(run(again, VALUES), run(model, VALUES))
    assert Graph(again).to_bytes() == again


def test_operators_are_named_in_order_with_their_types(model):
    found = Graph(model).operators()
    assert [one.name for one in found] == ["CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert found[0].types == {"FLOAT32"}
    assert found[1].types == {"FLOAT32", "INT32"}
    assert set(found[0].outputs) <= set(found[1].inputs)


def test_an_operator_that_is_not_built_in_is_custom_and_named():
    model = converted(lambda values: tf.linalg.qr(tf.nn.relu(values)).q, 1, 3, flex=True)
    assert [one.name for one in Graph(model).operators()] == ["RELU", "CUSTOM FlexQr"]


def test_a_graph_with_branches_is_refused_in_words():
    def branching(values):
        return tf.while_loop(lambda left: tf.reduce_sum(left) > 1, lambda left: (left / 2,), (values,))[0]

    with pytest.raises(ModelError, match=r"expected a graph without loops and branches\. Received: 3 graphs"):
        Graph(converted(branching, 1, 3))


def test_layers_are_those_of_the_scope_and_say_what_they_hold(model):
    (conv,) = Graph(model).layers("some_net")
    assert conv.kernel_size == (3, 1)
    np.testing.assert_array_equal(conv.matrix(), KERNEL.transpose(3, 0, 1, 2).reshape(5, -1))
    np.testing.assert_array_equal(conv.bias_values(), BIAS)
    (dense,) = Graph(model).layers("other/")
    assert dense.kernel_size == (1, 1)
    np.testing.assert_array_equal(dense.matrix(), DENSE.T)
    assert len(list(Graph(model).layers(""))) == 2
    assert not list(Graph(model).layers("nowhere"))


def test_a_layer_without_a_bias_is_passed_over():
    graph = Graph(converted(lambda values: tf.nn.softmax(tf.matmul(values, DENSE)), 1, 5))
    assert [len(one.inputs) for one in graph.operators()] == [2, 1]
    assert not list(graph.layers(""))


def test_what_is_set_is_what_runs(model):
    graph = Graph(model)
    (dense,) = graph.layers("other/")
    dense.set_matrix(np.zeros((3, 5)))
    dense.set_bias(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(run(graph.to_bytes(), VALUES), tf.nn.softmax([[1.0, 2.0, 3.0]]), atol=1e-6)


@pytest.mark.parametrize("how", ["add_dynamic_config", "add_weight_only_config"])
def test_int8_weights_are_read_and_set_by_their_steps(model, how):
    graph = Graph(quantized(model, how))
    (conv,) = graph.layers("some_net")
    before = conv.matrix()
    steps = np.abs(KERNEL).max(axis=(0, 1, 2)) / 127  # symmetric, by output channel
    assert np.all(np.abs(before - KERNEL.transpose(3, 0, 1, 2).reshape(5, -1)) <= 0.501 * steps[:, np.newaxis])
    conv.set_matrix(before)
    np.testing.assert_array_equal(conv.matrix(), before)
    conv.set_matrix(before + 3 * steps[:, np.newaxis] * (before < 0))
    np.testing.assert_allclose(conv.matrix(), before + 3 * steps[:, np.newaxis] * (before < 0), atol=1e-9)


def test_up_to_a_tensor_the_graph_computes_the_same(model):
    graph = Graph(model)
    (dense,) = graph.layers("other/")
    cut = graph.up_to([dense.data])
    assert [one.name for one in Graph(cut).operators()] == ["CONV_2D", "MEAN"]
    expected = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(VALUES, KERNEL, 1, "SAME") + BIAS), [1, 2])
    np.testing.assert_allclose(run(cut, VALUES), expected, atol=1e-6)
    (conv,) = graph.layers("some_net")
    np.testing.assert_array_equal(run(graph.up_to([conv.data]), VALUES), VALUES)  # its own input
    np.testing.assert_array_equal(run(graph.to_bytes(), VALUES), run(model, VALUES))  # and is left as it was


def test_constants_behind_the_flatbuffer_are_taken_in(model):
    """The layout of models of more than 2 GB: a buffer says where in the file its bytes begin."""
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    behind = []
    for buffer in content.buffers:
        if buffer.data is not None and len(buffer.data) > 16:
            behind.append((buffer, bytes(np.asarray(buffer.data, np.uint8))))
            buffer.data, buffer.offset, buffer.size = None, 2, len(behind[-1][1])

    def packed():
        builder = flatbuffers.Builder(1024)
        builder.Finish(content.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    assert len(behind) >= 3
    start = len(packed()) + 64
    for index, (buffer, data) in enumerate(behind):
        buffer.offset = start + sum(len(other) for _, other in behind[:index])
        assert len(data) == buffer.size
    external = packed().ljust(start, b"\0") + b"".join(data for _, data in behind)
    graph = Graph(external)
    assert no_offsets(graph.to_bytes())
    np.testing.assert_array_equal(run(graph.to_bytes(), VALUES), run(model, VALUES))


def no_offsets(model):
    parsed = schema.Model.GetRootAs(model)
    return all(
        parsed.Buffers(index).Offset() == parsed.Buffers(index).Size() == 0 for index in range(parsed.BuffersLength())
    )


def test_large_weights_of_the_quantiser_are_taken_in():
    large = weights(1024, 600)
    made = quantized(converted(lambda values: tf.matmul(values, large), 1, 1024), "add_dynamic_config")
    values = np.random.default_rng(1).standard_normal((1, 1024)).astype(np.float32)
    again = Graph(made).to_bytes()
    assert no_offsets(again)
    np.testing.assert_array_equal(run(again, values), run(made, values))
    np.testing.assert_allclose(run(again, values), values @ large, atol=2)
