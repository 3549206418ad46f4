import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from lightsernet_tf.train.metrics import UnweightedAccuracy

LABELS = ("anger", "boredom", "disgust", "fear")


def random_predictions(seed, utterances=160):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, len(LABELS), utterances)
    wrong = generator.random(utterances) < 0.3
    return true, np.where(wrong, generator.integers(0, len(LABELS), utterances), true)


def streamed(metric, true, probabilities, batch_size=32):
    for start in range(0, len(true), batch_size):
        metric.update_state(true[start : start + batch_size], probabilities[start : start + batch_size])
    return float(metric.result())


def test_streamed_ua_is_that_of_all_batches_together():
    true, predicted = random_predictions(seed=4)
    metric = UnweightedAccuracy(4)
    assert streamed(metric, true, np.eye(4)[predicted]) == pytest.approx(balanced_accuracy_score(true, predicted))
    metric.reset_state()
    assert float(metric.result()) == 0
    assert streamed(metric, np.array([[0], [1]]), np.eye(4)[[0, 0]]) == pytest.approx(0.5)  # the two classes seen


def test_weights_count_utterances_more_than_once():
    metric = UnweightedAccuracy(2)
    metric.update_state([0, 0, 1], np.eye(2)[[0, 1, 1]], sample_weight=[3.0, 1.0, 1.0])
    assert float(metric.result()) == pytest.approx((0.75 + 1) / 2)


def test_the_metric_comes_back_from_its_config():
    metric = UnweightedAccuracy(5, name="recall_mean")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
    assert isinstance(again, UnweightedAccuracy)
    assert (again.num_classes, again.name) == (5, "recall_mean")


def fit_a_little():
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    features, true = generator.random((50, 6), np.float32), generator.integers(0, 3, 50)
    network = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])
    network.compile("sgd", "sparse_categorical_crossentropy", metrics=[UnweightedAccuracy(3)])
    history = network.fit(features, true, validation_data=(features, true), batch_size=16, epochs=2, verbose=0).history
    assert len(history["ua"]) == 2
    predicted = network.predict(features, verbose=0).argmax(axis=1)
    assert abs(history["val_ua"][-1] - balanced_accuracy_score(true, predicted)) < 1e-6


@pytest.mark.slow
def test_the_metric_works_in_fit():
    fit_a_little()


def test_the_metric_works_in_fit_under_jax():
    pytest.importorskip("jax")
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.train.test_metrics"],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "jax\n"), done.stderr


if __name__ == "__main__":
    fit_a_little()
    print(keras.backend.backend())
