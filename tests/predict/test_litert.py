"""A .tflite model as a function, held against TensorFlow; what it cannot be is refused."""

import numpy as np
import pytest
import tensorflow as tf

from lightsernet_tf.errors import ModelError
from lightsernet_tf.predict.litert import LiteRTNetwork
from tests import device


def graph(function, *specs, folder, **options):
    module = tf.Module()
    module.call = tf.function(function, input_signature=list(specs))
    tf.saved_model.save(module, str(folder), signatures=module.call)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    for name, value in options.items():
        setattr(converter, name, value)
    return converter.convert()


@pytest.mark.slow
def test_it_answers_as_keras():
    network = LiteRTNetwork(device.flatbuffer(), (1, device.WINDOW), 3)
    for window in device.sounds(5):
        answer = network(window[np.newaxis])
        assert (answer.shape, answer.dtype) == ((3,), np.float32)
        np.testing.assert_allclose(answer, device.keras_answer(window), rtol=0, atol=1e-5)


def test_an_answer_outlives_the_next_call():
    network = LiteRTNetwork(device.flatbuffer(), (1, device.WINDOW), 3, num_threads=2)
    first = network(device.sounds(1, seed=1))
    kept = first.copy()
    network(device.sounds(1, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_int8_inputs_and_outputs_are_scaled(tmp_path):
    weights = tf.constant(np.random.default_rng(0).standard_normal((8, 3)), tf.float32)

    def inputs():
        for seed in range(50):
            yield [np.random.default_rng(seed).standard_normal((1, 8)).astype(np.float32)]

    def call(features):
        return {"probabilities": tf.nn.softmax(features @ weights)}

    model = graph(
        call,
        tf.TensorSpec([1, 8], tf.float32),
        folder=tmp_path,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=inputs,
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    network = LiteRTNetwork(model, (1, 8), 3)
    for [features] in inputs():
        expected = call(tf.constant(features))["probabilities"][0]
        np.testing.assert_allclose(network(features), expected, rtol=0, atol=0.05)
    clipped = network(np.full((1, 8), 1e9, np.float32))
    np.testing.assert_array_equal(clipped, network(np.full((1, 8), 1e3, np.float32)))


@pytest.mark.parametrize(
    ("shape", "outputs", "told"),
    [
        ((1, 4801), 3, r"expected one input, float32 or int8 \[1, 4801\]\. Received: float32 \[1, 4800\]"),
        ((1, 4800, 1), 3, r"expected one input, float32 or int8 \[1, 4800, 1\]"),
        ((1, 4800), 4, r"expected one output, float32 or int8 \[1, 4\]\. Received: float32 \[1, 3\]"),
    ],
)
def test_another_input_or_output_is_refused(shape, outputs, told):
    with pytest.raises(ModelError, match=told):
        LiteRTNetwork(device.flatbuffer(), shape, outputs)


def test_two_inputs_or_other_types_are_refused(tmp_path):
    one = tf.TensorSpec([1, 8], tf.float32)
    two = graph(lambda a, b: {"sum": a + b}, one, one, folder=tmp_path / "two")
    with pytest.raises(ModelError, match=r"expected one input.* Received: float32 \[1, 8\], float32 \[1, 8\]"):
        LiteRTNetwork(two, (1, 8), 8)
    integers = graph(lambda a: {"sum": a + 1}, tf.TensorSpec([1, 8], tf.int32), folder=tmp_path / "integers")
    with pytest.raises(ModelError, match=r"expected one input.* Received: int32 \[1, 8\]"):
        LiteRTNetwork(integers, (1, 8), 8)


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x1c\0\0\0TFL3" + bytes(1000), "half"])
def test_what_is_no_model_is_refused(content):
    content = device.flatbuffer()[: len(device.flatbuffer()) // 2] if content == "half" else content
    with pytest.raises(ModelError, match=r"^expected a model that LiteRT can load\. Received: ") as caught:
        LiteRTNetwork(content, (1, 8), 3)
    assert "\n" not in str(caught.value)
