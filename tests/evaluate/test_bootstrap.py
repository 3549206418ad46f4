"""Bootstrap intervals against SciPy's, and against the binomial distribution."""

import time

import numpy as np
import pytest
from scipy import stats

from lightsernet_tf.evaluate.bootstrap import bootstrap_intervals
from lightsernet_tf.evaluate.scores import score_predictions

LABELS = ("anger", "boredom", "disgust", "fear")


def intervals(true, predicted, **settings):
    return bootstrap_intervals(score_predictions(true, predicted, LABELS).confusion, **settings)


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
    ours = intervals(true, predicted, seed=0, resamples=20_000)[statistic.__name__]
    np.testing.assert_allclose(ours, by_scipy(true, predicted, statistic), atol=0.012)


def test_the_interval_of_wa_is_that_of_the_binomial_distribution():
    true = np.zeros(200, int)
    predicted = (np.arange(200) >= 150).astype(int)  # 150 of 200 right
    low, high = intervals(true, predicted, seed=0, resamples=50_000, confidence=0.9)["wa"]
    expected = stats.binom.ppf([0.05, 0.95], 200, 0.75) / 200
    np.testing.assert_allclose((low, high), expected, atol=0.0051)


def test_intervals_are_reproducible_and_quick():
    true, predicted = random_predictions(seed=2, utterances=100_000)
    began = time.perf_counter()
    first = intervals(true, predicted, seed=3)
    assert time.perf_counter() - began < 1
    assert first == intervals(true, predicted, seed=3)
    assert first != intervals(true, predicted, seed=4)


def test_intervals_survive_a_class_of_one_utterance_and_one_of_none():
    for low, high in intervals([0, 0, 0, 1], [0, 0, 1, 1], seed=0).values():
        assert 0 <= low < high <= 1
