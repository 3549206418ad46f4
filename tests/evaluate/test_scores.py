import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
)

from lightsernet_tf.errors import InputError
from lightsernet_tf.evaluate.scores import score, score_predictions, scores_by_group

LABELS = ("anger", "boredom", "disgust", "fear")


def random_outputs(seed, utterances=97):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, len(LABELS), utterances)
    logits = generator.normal(size=(utterances, len(LABELS))) + 1.5 * np.eye(len(LABELS))[true]
    return true, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_all_figures_are_those_of_scikit_learn():
    true, probabilities = random_outputs(seed=1)
    predicted = probabilities.argmax(axis=1)
    scores = score(true, probabilities, LABELS)
    np.testing.assert_array_equal(scores.confusion, confusion_matrix(true, predicted))
    assert scores.wa == pytest.approx(accuracy_score(true, predicted))
    assert scores.ua == pytest.approx(balanced_accuracy_score(true, predicted))
    assert scores.macro_f1 == pytest.approx(f1_score(true, predicted, average="macro"))
    assert scores.weighted_f1 == pytest.approx(f1_score(true, predicted, average="weighted"))
    assert scores.loss == pytest.approx(log_loss(true, probabilities))
    by_class = precision_recall_fscore_support(true, predicted)
    for ours, theirs in zip((scores.precision, scores.recall, scores.f1, scores.support), by_class, strict=True):
        np.testing.assert_allclose(ours, theirs)
    assert scores.absent == ()


def test_a_worked_example():
    scores = score_predictions([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0], ("a", "b", "c"))
    np.testing.assert_array_equal(scores.confusion, [[2, 1, 0], [0, 2, 0], [1, 0, 0]])
    assert scores.wa == pytest.approx(4 / 6)
    assert scores.ua == pytest.approx((2 / 3 + 1 + 0) / 3)
    np.testing.assert_allclose(scores.precision, [2 / 3, 2 / 3, 0])  # c is never predicted
    np.testing.assert_allclose(scores.f1, [2 / 3, 0.8, 0])
    np.testing.assert_allclose(scores.confusion_percent[0], [200 / 3, 100 / 3, 0])
    assert scores.loss is None
    assert scores.utterances == 6


def test_an_absent_class_is_named_and_left_out_of_the_means():
    true, predicted = [0, 0, 1, 3], [0, 2, 1, 1]
    scores = score_predictions(true, predicted, LABELS)
    assert scores.absent == ("disgust",)
    assert scores.ua == pytest.approx((0.5 + 1 + 0) / 3)
    assert scores.macro_f1 == pytest.approx(f1_score(true, predicted, labels=[0, 1, 3], average="macro"))
    assert all(math.isnan(by_class[2]) for by_class in (scores.precision, scores.recall, scores.f1))
    assert np.isnan(scores.confusion_percent[2]).all()


def test_scores_are_plain_data_for_json():
    scores = score([0, 1, 3], np.eye(4)[[0, 1, 2]], LABELS)
    plain = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert plain["recall"] == [1.0, 1.0, None, 0.0]
    assert plain["confusion"] == scores.confusion.tolist()
    assert plain["absent"] == ["disgust"]
    assert plain["ua"] == pytest.approx(2 / 3)


def test_a_certain_mistake_costs_what_keras_would_charge():
    assert score([0], [[0.0, 1.0]], ("a", "b")).loss == pytest.approx(-math.log(1e-7))


def test_the_standard_error_of_the_loss_is_that_of_a_mean():
    true, probabilities = random_outputs(seed=3)
    losses = -np.log(probabilities[np.arange(len(true)), true])
    scores = score(true, probabilities, LABELS)
    assert scores.loss_standard_error == pytest.approx(losses.std(ddof=1) / math.sqrt(len(losses)))
    assert score([0], [[1.0, 0.0]], ("a", "b")).loss_standard_error is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_figures_are_shares_whatever_was_predicted(pairs):
    true, predicted = zip(*pairs, strict=True)
    scores = score_predictions(true, predicted, LABELS)
    assert all(0 <= figure <= 1 for figure in (scores.wa, scores.ua, scores.macro_f1, scores.weighted_f1))
    assert scores.confusion.sum() == len(pairs)
    if true == predicted:
        assert scores.wa == scores.ua == scores.macro_f1 == 1
    json.dumps(scores.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([], [], "minimum of 1 sample"),
        ([0, 4], [0, 0], "classes 0 to 3"),
        ([0, 1], [0, -1], "classes 0 to 3"),
        ([0, 1], [0], "inconsistent numbers"),
    ],
)
def test_predictions_that_cannot_be_judged_are_refused(true, predicted, message):
    with pytest.raises(ValueError, match=message):
        score_predictions(true, predicted, LABELS)


def test_probabilities_of_a_diverged_network_are_refused():
    with pytest.raises(InputError, match=r"for 1 of 2 utterances .*train\.learning_rate"):
        score([0, 1], [[0.25] * 4, [math.nan] * 4], LABELS)


def test_groups_are_judged_apart_and_their_spread_is_numpys():
    true, probabilities = random_outputs(seed=2)
    predicted, speakers = probabilities.argmax(axis=1), [f"{3 + index % 5:02d}" for index in range(len(true))]
    groups = scores_by_group(true, predicted, speakers, LABELS)
    assert list(groups.groups) == ["03", "04", "05", "06", "07"]
    accuracies = [accuracy_score(true[start::5], predicted[start::5]) for start in range(5)]
    assert [scores.wa for scores in groups.groups.values()] == pytest.approx(accuracies)
    spread = groups.spread["wa"]
    expected = (np.mean(accuracies), np.std(accuracies, ddof=1), min(accuracies), max(accuracies))
    assert (spread.mean, spread.std, spread.min, spread.max) == pytest.approx(expected)
    json.dumps(groups.to_dict(), allow_nan=False)


def test_a_single_group_has_no_standard_deviation():
    groups = scores_by_group([0, 1], [0, 1], ["a", "a"], LABELS)
    assert math.isnan(groups.spread["ua"].std)
    assert groups.to_dict()["spread"]["ua"]["std"] is None
