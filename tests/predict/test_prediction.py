"""What a recogniser says, by hand."""

import numpy as np
import pytest

from lightsernet_tf.predict.prediction import SILENCE, Decision, Prediction, most_probable


def test_the_most_probable_label():
    prediction = most_probable(("calm", "loud", "shrill"), np.array([0.25, 0.625, 0.125], np.float32))
    assert prediction == Prediction("loud", {"calm": 0.25, "loud": 0.625, "shrill": 0.125})
    assert all(type(value) is float for value in prediction.probabilities.values())
    assert prediction.ranked() == [("loud", 0.625), ("calm", 0.25), ("shrill", 0.125)]


def test_of_equals_the_first():
    prediction = most_probable(("b", "a"), np.array([0.5, 0.5]))
    assert prediction.label == "b"
    assert prediction.ranked() == [("b", 0.5), ("a", 0.5)]


def test_silence_has_no_probabilities():
    assert Prediction(SILENCE).ranked() == []


def test_a_decision_is_a_prediction_of_a_span():
    decision = Decision("b", {"b": 1.0}, start_seconds=0.5, end_seconds=3.5)
    assert isinstance(decision, Prediction)
    assert decision.end_seconds - decision.start_seconds == 3
    with pytest.raises(ValueError, match="zip"):
        most_probable(("a", "b"), np.array([1.0]))
