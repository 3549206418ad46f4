"""What a file may differ from Keras by."""

import re

import numpy as np
import pytest

from lightsernet_tf.errors import InputError
from lightsernet_tf.export.precisions import PRECISIONS
from lightsernet_tf.export.proof import proof_table, prove

LABELS = ("calm", "loud")
TRUE = np.array([0] * 100 + [1] * 100)


def keras(right=200):
    """Probabilities of 200 utterances, the first ``right`` of which are right."""
    chosen = np.where(np.arange(200) < right, TRUE, 1 - TRUE)
    return np.where(np.eye(2)[chosen] > 0, 0.7, 0.3)


def moved(probabilities, by):
    return probabilities + by * np.array([1, -1])


def decided_otherwise(probabilities, positions):
    changed = probabilities.copy()
    changed[positions] = changed[positions, ::-1]
    return changed


@pytest.mark.parametrize(("precision", "limit"), [("float32", 1e-4), ("float16", 1e-3)])
def test_floats_may_differ_by_rounding(precision, limit):
    own = keras()
    near = prove(TRUE, own, own, moved(own, 0.99 * limit), LABELS, PRECISIONS[precision].limit)
    assert near.passed
    assert near.largest_difference == pytest.approx(0.99 * limit)
    assert near.agreement == 1
    assert not prove(TRUE, own, own, moved(own, 1.01 * limit), LABELS, PRECISIONS[precision].limit).passed


def test_what_counts_for_floats_is_the_difference_on_the_same_input():
    own = keras()
    heard = moved(own, 0.05)
    assert prove(TRUE, own, heard, heard, LABELS, PRECISIONS["float32"].limit).passed
    assert not prove(TRUE, own, own, heard, LABELS, PRECISIONS["float32"].limit).passed


def test_decisions_are_counted_on_the_runs_own_features():
    own = keras()
    heard = decided_otherwise(own, np.arange(3))
    proof = prove(TRUE, own, heard, heard, LABELS, PRECISIONS["float32"].limit)
    assert proof.agreement == pytest.approx(1 - 3 / 200)
    assert proof.passed


@pytest.mark.parametrize("precision", ["dynamic_int8", "int8"])
@pytest.mark.parametrize(("changed", "passed"), [(0, True), (2, True), (3, False)])
def test_integers_may_lose_a_point_of_ua_however_much_they_differ(precision, changed, passed):
    own = keras()
    file = moved(decided_otherwise(own, np.arange(changed)), 0.1)  # each changed one costs half a point
    proof = prove(TRUE, own, own, file, LABELS, PRECISIONS[precision].limit)
    assert proof.keras_ua - proof.file_ua == pytest.approx(changed / 200)
    assert proof.passed is passed


def test_integers_may_be_better():
    proof = prove(TRUE, keras(150), keras(150), keras(200), LABELS, PRECISIONS["int8"].limit)
    assert proof.passed
    assert proof.file_ua > proof.keras_ua


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic_int8", "int8"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_an_error(precision, value):
    own = keras()
    file = own.copy()
    file[3, 1] = value
    with pytest.raises(InputError, match=r"expected finite values\. Received: NaN or infinity for 1 of 200"):
        prove(TRUE, own, own, file, LABELS, PRECISIONS[precision].limit)


def test_the_sentence_says_what_was_expected_and_what_came():
    own = keras()
    proof = prove(TRUE, own, own, decided_otherwise(own, np.arange(10)), LABELS, PRECISIONS["int8"].limit)
    assert proof.sentence() == (
        "expected at most 1 point of UA lost. Received: a largest difference of 4.0e-01, UA 95.0 % against 100.0 %, "
        "the same decision for 95.0 % of 200 validation utterances"
    )
    assert re.match(
        "expected probabilities that differ by at most 0.001 on the same input",
        prove(TRUE, own, own, own, LABELS, PRECISIONS["float16"].limit).sentence(),
    )
    assert proof.file_ua == pytest.approx(0.95)
    assert proof.passed is False


def test_the_table_has_a_line_for_each_file():
    own = keras()
    good = prove(TRUE, own, own, own, LABELS, PRECISIONS["int8"].limit)
    bad = prove(TRUE, own, own, decided_otherwise(own, np.arange(10)), LABELS, PRECISIONS["int8"].limit)
    assert proof_table([("good.tflite", 2048, good), ("bad.tflite", 1536, bad)]).splitlines()[2:] == [
        "| good.tflite | 2 | 0.0e+00 | 100.0 % | 100.0 % / 100.0 % | 100.0 % / 100.0 % | yes |",
        "| bad.tflite | 2 | 4.0e-01 | 95.0 % | 100.0 % / 95.0 % | 100.0 % / 95.0 % | NO |",
    ]
