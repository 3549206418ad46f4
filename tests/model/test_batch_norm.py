import keras
import numpy as np
import pytest
import tensorflow as tf

from lightsernet_tf.model.batch_norm import FusedBatchNormalization

RENORM = pytest.param(
    {"renorm": True},
    marks=pytest.mark.skipif(not hasattr(keras.layers.BatchNormalization(), "renorm"), reason="Keras has no renorm"),
)


def fused_and_plain(channels: int = 5, seed: int = 0, **arguments):
    """Return both layers with the same random weights."""
    random = np.random.default_rng(seed)
    weights = [random.uniform(0.5, 2.0, channels).astype(np.float32) for _ in range(4)]
    built = []
    for layer in (FusedBatchNormalization(**arguments), keras.layers.BatchNormalization(**arguments)):
        layer.build((None, None, None, channels))
        layer.set_weights(weights)
        built.append(layer)
    return built


def output_and_gradients(layer, images: np.ndarray, upstream: np.ndarray):
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    gradients = tape.gradient(y, [x, layer.gamma.value, layer.beta.value], output_gradients=tf.constant(upstream))
    return y, *gradients


@pytest.mark.parametrize("shape", [(3, 7, 4, 5), (1, 2, 1, 5), (32, 23, 5, 5)])
def test_training_equals_the_plain_layer(shape):
    random = np.random.default_rng(1)
    images = random.normal(3.0, 2.0, shape).astype(np.float32)
    upstream = random.normal(size=shape).astype(np.float32)
    fused, plain = fused_and_plain()
    for ours, expected in zip(
        output_and_gradients(fused, images, upstream), output_and_gradients(plain, images, upstream), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=2e-5)
    # Two pixels a channel: the kernel's unbiased variance would be twice the biased one.
    np.testing.assert_allclose(fused.moving_mean, plain.moving_mean, rtol=1e-6)
    np.testing.assert_allclose(fused.moving_variance, plain.moving_variance, rtol=1e-6)


def test_a_single_pixel_has_no_variance():
    fused, plain = fused_and_plain()
    pixel = np.full((1, 1, 1, 5), 4.0, np.float32)
    np.testing.assert_allclose(fused(pixel, training=True), plain(pixel, training=True), atol=2e-5)
    np.testing.assert_allclose(fused.moving_variance, plain.moving_variance, rtol=1e-6)


def test_training_runs_the_fused_kernel_and_inference_does_not():
    fused, _ = fused_and_plain()
    image = tf.TensorSpec((None, 6, 4, 5), tf.float32)

    def operations(training: bool) -> set[str]:
        graph = tf.function(lambda x: fused(x, training=training)).get_concrete_function(image).graph
        return {operation.type for operation in graph.get_operations()}

    assert "FusedBatchNormV3" in operations(training=True)
    assert "FusedBatchNormV3" not in operations(training=False)


def test_inference_equals_the_plain_layer_to_the_bit():
    fused, plain = fused_and_plain()
    images = np.random.default_rng(2).normal(size=(3, 7, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(fused(images, training=False), plain(images, training=False))


def test_a_frozen_layer_neither_uses_nor_moves_the_batch_statistics():
    fused, plain = fused_and_plain()
    fused.trainable = plain.trainable = False
    images = np.random.default_rng(3).normal(size=(3, 7, 4, 5)).astype(np.float32)
    before = fused.moving_mean.numpy()
    np.testing.assert_array_equal(fused(images, training=True), plain(images, training=True))
    np.testing.assert_array_equal(fused.moving_mean, before)


@pytest.mark.parametrize(
    "arguments", [{"axis": 1}, {"scale": False}, {"center": False}, {"synchronized": True}, RENORM]
)
def test_other_forms_are_the_plain_layer(arguments):
    images = np.random.default_rng(4).normal(size=(3, 5, 5, 5)).astype(np.float32)
    fused, plain = FusedBatchNormalization(**arguments), keras.layers.BatchNormalization(**arguments)
    np.testing.assert_array_equal(fused(images, training=True), plain(images, training=True))


def test_keras_before_renorm_trains_fused_as_well(monkeypatch):
    fused, plain = fused_and_plain()
    images = np.random.default_rng(6).normal(size=(3, 7, 4, 5)).astype(np.float32)
    for layer in (fused, plain):
        if hasattr(layer, "renorm"):
            monkeypatch.delattr(layer, "renorm")
    if hasattr(keras.layers.BatchNormalization(), "renorm"):  # this version's own layer cannot do without
        plain.renorm = False
    np.testing.assert_allclose(fused(images, training=True), plain(images, training=True), atol=2e-5)


def test_a_saved_model_brings_the_layer_back(tmp_path):
    fused, _ = fused_and_plain(momentum=0.9, epsilon=1e-2)
    model = keras.Sequential([keras.Input((6, 4, 5)), fused])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.layers[0], FusedBatchNormalization)
    assert loaded.layers[0].get_config() == fused.get_config()
    images = np.random.default_rng(5).normal(size=(2, 6, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(loaded(images), model(images))
