import pytest

from lightsernet_tf.tune.ranking import (
    are_numbers,
    best_trial,
    by_epochs,
    comparable,
    not_told_apart,
    rank_correlation,
    ranked,
    searched_keys,
    with_status,
)
from lightsernet_tf.tune.trial import FoldOutcome, Trial


def completed(name, ua, half_width=0.05, epochs=20, **values):
    fold = FoldOutcome("a", epochs, 40, ua, ua, ua, ua - half_width, ua + half_width)
    values = {key.replace("__", "."): value for key, value in values.items()}
    return Trial(name, "completed", values, epochs, epochs, folds=(fold,))


def names(trials):
    return [trial.name for trial in trials]


RUNNING, FAILED = Trial("1", "running", {}, 20), Trial("2", "failed", {}, 20, reason="x")


def test_the_best_come_first_then_running_then_failed_ones_and_of_equals_the_first():
    trials = [completed("0", 0.5), RUNNING, FAILED, completed("3", 0.7), completed("4", 0.5), completed("5", 0.6)]
    assert names(ranked(trials)) == ["3", "5", "0", "4", "1", "2"]
    assert best_trial(trials).name == "3"
    assert names(with_status(trials, "completed")) == ["0", "3", "4", "5"]


def test_of_equal_bests_the_first_is_the_best_and_it_leads_the_ranking():
    trials = [completed("0", 0.5), completed("1", 0.7), completed("2", 0.7)]
    assert best_trial(trials).name == ranked(trials)[0].name == "1"


def test_a_shorter_trial_ranks_below_all_longer_ones_however_good_it_looks():
    trials = [completed("0", 0.9, epochs=2), completed("1", 0.4, epochs=20), completed("2", 0.8, epochs=6), FAILED]
    trials += [completed("3", 0.6, epochs=20), completed("4", 0.95, epochs=2)]
    assert names(ranked(trials)) == ["3", "1", "2", "4", "0", "2"]
    assert best_trial(trials).name == "3"
    assert names(comparable(trials)) == ["1", "3"]
    assert {epochs: names(group) for epochs, group in by_epochs(trials).items()} == {
        2: ["0", "4"],
        6: ["2"],
        20: ["1", "3"],
    }
    assert list(by_epochs(trials)) == [2, 6, 20]


def test_where_the_number_of_epochs_is_searched_all_trials_are_comparable():
    trials = [completed(str(n), ua, epochs=n, train__epochs=n) for n, ua in ((10, 0.8), (40, 0.7), (20, 0.9))]
    assert names(ranked(trials)) == ["20", "10", "40"]
    assert names(comparable(trials)) == ["10", "40", "20"]


@pytest.mark.parametrize("trials", [[], [RUNNING], [RUNNING, FAILED]])
def test_without_a_completed_trial_there_is_no_best(trials):
    assert best_trial(trials) is None
    assert comparable(trials) == not_told_apart(trials) == []
    assert by_epochs(trials) == {}
    assert ranked(trials) == trials


def test_trials_closer_than_the_interval_of_a_difference_are_not_told_apart():
    # Half widths 0.03 and 0.04: the interval of the difference is 0.05 to either side.
    best = completed("best", 0.8, 0.03)
    trials = [completed("just", 0.751, 0.04), completed("beyond", 0.749, 0.04), best, completed("precise", 0.76, 0.01)]
    trials += [completed("equal", 0.8, 0.0), completed("vague", 0.4, 0.5), completed("short", 0.79, epochs=2), RUNNING]
    assert names(not_told_apart(trials)) == ["just", "equal", "vague"]


def test_a_conditional_key_stands_behind_the_one_before_it():
    trials = [
        Trial("0", "completed", {"train.loss": "cross_entropy", "model.dropout": 0.1}, 1),
        Trial("1", "completed", {"train.loss": "focal", "train.gamma": 2.0, "model.dropout": 0.1}, 1),
        Trial("2", "completed", {"features.kind": "mfcc", "train.loss": "focal"}, 1),
    ]
    assert searched_keys(trials) == ["features.kind", "train.loss", "train.gamma", "model.dropout"]
    assert searched_keys([]) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [([1, 2.5], True), ([None, 1], True), ([True, False], False), (["1"], False), ([1, "x"], False), ([None], False)],
)
def test_numbers_are_numbers_even_with_none_among_them(values, expected):
    assert are_numbers(values) is expected


def test_the_rank_correlation_is_spearmans():
    # A worked example: IQ against hours of television per week (Wikipedia, "Spearman's rank correlation coefficient").
    iq, hours = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110], [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert rank_correlation(iq, hours) == pytest.approx(-29 / 165)
    assert rank_correlation([1, 2, 3], [10, 20, 1000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 2, 3], [4, 3, 3, 1]) == pytest.approx(-1)  # equal values share a rank


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([1, 2], [2, 1]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [5] * 3)]
)
def test_two_points_or_a_constant_have_no_rank_correlation(first, second):
    assert rank_correlation(first, second) is None
