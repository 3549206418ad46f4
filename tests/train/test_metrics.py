import os
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from lightsernet_tf.errors import InputError
from lightsernet_tf.evaluate.bootstrap import bootstrap_intervals
from lightsernet_tf.train.metrics import UnweightedAccuracy

LABELS = ("anger", "boredom", "disgust", "fear")


def random_predictions(seed, utterances=160):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, len(LABELS), utterances)
    wrong = generator.random(utterances) < 0.3
    return true, np.where(wrong, generator.integers(0, len(LABELS), utterances), true)


def by_scipy(true, predicted, statistic):
    result = stats.bootstrap(
        (true, predicted),
        statistic,
        paired=True,
        vectorized=False,
        n_resamples=1500,
        method="percentile",
        rng=np.random.default_rng(5),
    )
    return result.confidence_interval


def wa(true, predicted):
    return np.mean(true == predicted)


def ua(true, predicted):
    return np.mean([np.mean(predicted[true == label] == label) for label in range(len(LABELS))])


def f1_by_class(true, predicted):
    of = [(true == label, predicted == label) for label in range(len(LABELS))]
    return np.array(
        [2 * np.sum(is_true & is_predicted) / (is_true.sum() + is_predicted.sum()) for is_true, is_predicted in of]
    )


def macro_f1(true, predicted):
    return f1_by_class(true, predicted).mean()


def weighted_f1(true, predicted):
    return np.average(f1_by_class(true, predicted), weights=np.bincount(true, minlength=len(LABELS)))


@pytest.mark.parametrize("statistic", [wa, ua, macro_f1, weighted_f1])
def test_intervals_are_those_of_scipys_percentile_bootstrap(statistic):
    true, predicted = random_predictions(seed=1)
    ours = bootstrap_intervals(true, predicted, LABELS, seed=0, resamples=20_000)[statistic.__name__]
    np.testing.assert_allclose(ours, by_scipy(true, predicted, statistic), atol=0.012)


def test_the_interval_of_wa_is_that_of_the_binomial_distribution():
    true = np.zeros(200, int)
    predicted = (np.arange(200) >= 150).astype(int)  # 150 of 200 right
    low, high = bootstrap_intervals(true, predicted, LABELS, seed=0, resamples=50_000, confidence=0.9)["wa"]
    expected = stats.binom.ppf([0.05, 0.95], 200, 0.75) / 200
    np.testing.assert_allclose((low, high), expected, atol=0.0051)


def test_intervals_are_reproducible_and_quick():
    true, predicted = random_predictions(seed=2, utterances=100_000)
    began = time.perf_counter()
    first = bootstrap_intervals(true, predicted, LABELS, seed=3)
    assert time.perf_counter() - began < 1
    assert first == bootstrap_intervals(true, predicted, LABELS, seed=3)
    assert first != bootstrap_intervals(true, predicted, LABELS, seed=4)


def test_intervals_survive_a_class_of_one_utterance_and_one_of_none():
    for low, high in bootstrap_intervals([0, 0, 0, 1], [0, 0, 1, 1], LABELS, seed=0).values():
        assert 0 <= low < high <= 1


def test_nothing_to_resample_is_refused():
    with pytest.raises(InputError, match="at least one to judge"):
        bootstrap_intervals([], [], LABELS, seed=0)


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
