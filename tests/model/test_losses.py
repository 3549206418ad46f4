import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from lightsernet_tf.config import TrainConfig
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.model.losses import SparseCategoricalFocalLoss, class_weights, make_loss

LABELS = ("positive", "neutral", "negative")


def random_batch(seed: int = 0, examples: int = 16, classes: int = 7):
    random = np.random.default_rng(seed)
    logits = random.normal(0.0, 3.0, (examples, classes)).astype(np.float32)
    return random.integers(0, classes, examples), logits, keras.ops.convert_to_numpy(keras.ops.softmax(logits))


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("label_shape", [(16,), (16, 1)])
def test_gamma_zero_is_cross_entropy_to_the_bit(from_logits, label_shape):
    labels, logits, probabilities = random_batch()
    predictions = logits if from_logits else probabilities
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits, reduction=None)
    focal = SparseCategoricalFocalLoss(0.0, from_logits, reduction=None)
    labels = labels.reshape(label_shape)
    np.testing.assert_array_equal(focal(labels, predictions), expected(labels, predictions))


def test_by_hand():
    # Lin et al., eq. 4: -(1 - p)^2 log p at p = 0.9 and p = 0.5.
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5]], np.float32)
    loss = SparseCategoricalFocalLoss(2.0, reduction=None)(np.array([0, 1]), probabilities)
    np.testing.assert_allclose(loss, [0.01 * 0.1053605, 0.25 * 0.6931472], rtol=1e-4)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
def test_equals_keras_focal_loss_on_one_hot_labels(gamma):
    labels, _, probabilities = random_batch()
    expected = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=gamma, reduction=None)
    one_hot = keras.utils.to_categorical(labels, probabilities.shape[1])
    focal = SparseCategoricalFocalLoss(gamma, reduction=None)
    np.testing.assert_allclose(focal(labels, probabilities), expected(one_hot, probabilities), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_logits_and_their_probabilities_lose_the_same(gamma):
    labels, logits, probabilities = random_batch()
    from_logits = SparseCategoricalFocalLoss(gamma, from_logits=True, reduction=None)(labels, logits)
    from_probabilities = SparseCategoricalFocalLoss(gamma, reduction=None)(labels, probabilities)
    np.testing.assert_allclose(from_logits, from_probabilities, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(gamma=st.floats(0.0, 5.0), logit=st.floats(-200.0, 200.0))
def test_value_and_gradient_are_finite_everywhere(gamma, logit):
    for from_logits in (True, False):
        predictions = tf.constant([[logit, 0.0]])
        predictions = predictions if from_logits else tf.identity(tf.nn.softmax(predictions))
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            loss = SparseCategoricalFocalLoss(gamma, from_logits)(np.array([0]), predictions)
        assert np.isfinite(loss)
        assert np.isfinite(tape.gradient(loss, predictions)).all()
        assert loss >= 0


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_gradient_equals_finite_differences(gamma):
    labels, logits, _ = random_batch(examples=4, classes=3)
    loss = SparseCategoricalFocalLoss(gamma, from_logits=True)
    # Differences of float32 losses carry about three digits.
    theoretical, numerical = tf.test.compute_gradient(lambda x: loss(labels, x), [tf.constant(logits)], delta=1e-2)
    np.testing.assert_allclose(theoretical[0], numerical[0], atol=3e-3)


def test_saved_and_loaded_it_is_the_same_loss():
    loss = SparseCategoricalFocalLoss(1.5, from_logits=True)
    loaded = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(loaded, SparseCategoricalFocalLoss)
    assert loaded.get_config() == loss.get_config()


def test_a_loss_is_made_of_the_settings_of_a_training():
    assert isinstance(make_loss(TrainConfig()), keras.losses.SparseCategoricalCrossentropy)
    focal = make_loss(TrainConfig(loss="focal", gamma=1.5))
    assert isinstance(focal, SparseCategoricalFocalLoss)
    assert focal.gamma == 1.5


def test_the_parameters_of_the_chosen_loss_alone_describe_it():
    assert TrainConfig().loss_parameters() == {}
    assert TrainConfig(loss="focal", gamma=1.5).loss_parameters() == {"gamma": 1.5}


def test_class_weights_are_scikit_learns_balanced():
    # The imbalance of the three-class corpus: 1943 : 2145 : 406.
    class_ids = np.repeat([0, 1, 2], [1943, 2145, 406])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=class_ids)
    weights = class_weights(class_ids, LABELS, {})
    assert list(weights) == [0, 1, 2]
    np.testing.assert_allclose(list(weights.values()), expected)


def test_given_class_weights_are_used():
    given = {"negative": 3.0, "positive": 1.0, "neutral": 0.5}
    assert class_weights(np.array([0, 1, 2]), LABELS, given) == {0: 1.0, 1: 0.5, 2: 3.0}


@pytest.mark.parametrize("labels", [LABELS[:2], (*LABELS, "angry"), ("angry",)])
def test_given_class_weights_must_fit_the_classes(labels):
    with pytest.raises(ConfigError, match=r"train\.class_weights: .* each of positive, neutral, negative"):
        class_weights(np.array([0, 1, 2]), LABELS, dict.fromkeys(labels, 1.0))
