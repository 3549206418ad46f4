import numpy as np
import pytest

from lightsernet_tf.evaluate.diagnosis import (
    NOTHING,
    RULES,
    Evidence,
    chosen_at_the_end,
    diagnose,
    epoch_to_epoch_spread,
    few_validation_utterances,
    loss_jitters,
    never_predicted,
    smooth,
    ua_jitters,
    ua_resolution,
    validation_loss_rises,
    validation_ua_falls_behind,
)
from lightsernet_tf.evaluate.scores import score, score_predictions

LABELS = ("anger", "boredom", "fear")
EPOCHS = 80


def judged(utterances_per_class=40, right=0.85, seed=0):
    generator = np.random.default_rng(seed)
    true = np.repeat(np.arange(3), utterances_per_class)
    predicted = np.where(generator.random(len(true)) < right, true, (true + 1) % 3)
    confidence = generator.uniform(0.5, 0.95, len(true))[:, None]
    probabilities = confidence * np.eye(3)[predicted] + (1 - confidence) / 3
    return score(true, probabilities, LABELS)


def history(**columns):
    """A good training: both losses fall, validation a little above, small jitter; columns replace its own."""
    epoch, generator = np.arange(1, EPOCHS + 1), np.random.default_rng(1)
    fall = np.exp(-epoch / 15)
    good = {
        "epoch": epoch,
        "loss": 0.45 + 0.65 * fall,
        "ua": 0.90 - 0.55 * fall,
        "val_loss": 0.55 + 0.6 * fall + generator.normal(0, 0.01, EPOCHS),
        "val_ua": 0.86 - 0.55 * fall + generator.normal(0, 0.01, EPOCHS),
    } | columns
    return [dict(zip(good, values, strict=True)) for values in zip(*good.values(), strict=True)]


def evidence(rows=None, chosen_epoch=50, judged_epoch=50, standard_error=None, **parts):
    parts = {"training": judged(right=0.9, seed=7), "validation": judged(), **parts}
    return Evidence(rows or history(), chosen_epoch, judged_epoch, parts, standard_error)


def noise(size, seed=2):
    return np.random.default_rng(seed).normal(0, size, EPOCHS)


def test_without_test_data_nothing_is_said_of_it():
    never_fear = score_predictions([0, 1, 2], [0, 1, 1], LABELS)
    assert "test" in " ".join(diagnose(evidence(validation=never_fear, test=never_fear)))
    assert "test" not in " ".join(diagnose(evidence(validation=never_fear)))


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_speaks_of_a_good_training(rule):
    assert rule(evidence(test=judged(seed=5))) is None


def test_of_a_good_training_only_the_resolution_is_reported():
    nothing, resolution = diagnose(evidence(test=judged(seed=5)))
    assert nothing == NOTHING
    assert resolution.startswith(
        f"120 validation utterances determine UA to ±{100 * ua_resolution(judged()):.1f} points"
    )


def test_every_rule_that_finds_something_is_in_the_diagnosis():
    few = score_predictions([0, 1, 2], [0, 1, 1], LABELS)
    sentences = diagnose(evidence(chosen_epoch=EPOCHS, validation=few))
    assert len(sentences) == 4
    assert [sentence.split()[0] for sentence in sentences] == ["Never", "The", "Fewer", "3"]


def test_a_class_never_predicted_is_named_with_its_utterances():
    blind = score_predictions([0, 0, 1, 2, 2], [0, 1, 1, 0, 1], LABELS)
    assert never_predicted(evidence(test=blind)) == "Never predicted on the test data (utterances of it): fear (2)."
    assert never_predicted(evidence(validation=blind)).startswith("Never predicted on the validation data")


def test_one_class_for_everything_is_said_plainly():
    constant = score_predictions([0, 1, 2], [1, 1, 1], LABELS)
    assert "Every validation utterance is called boredom" in never_predicted(evidence(validation=constant))


def test_a_class_without_utterances_need_not_be_predicted():
    assert never_predicted(evidence(validation=score_predictions([0, 1], [0, 1], LABELS))) is None


def test_a_rising_validation_loss_is_dated():
    epoch = np.arange(1, EPOCHS + 1)
    rising = 0.4 + 0.012 * np.abs(epoch - 30) + noise(0.03)  # from 0.75 to 0.4 at epoch 30 and up to 1.0
    falling = np.exp(-epoch / 15)
    sentence = validation_loss_rises(evidence(history(val_loss=rising, loss=falling)))
    since = int(sentence.split("since epoch ")[1].split(":")[0])
    assert since == pytest.approx(30, abs=4)
    assert "risen from 0.4" in sentence


@pytest.mark.parametrize(
    "columns",
    [
        {"val_loss": 0.6 + noise(0.08)},  # it only jitters
        {"val_loss": np.linspace(0.5, 1, EPOCHS), "loss": np.linspace(0.5, 1, EPOCHS)},  # training suffers as well
        {"val_loss": np.full(EPOCHS, np.nan)},
    ],
)
def test_no_drift_where_the_loss_jitters_or_both_rise(columns):
    assert validation_loss_rises(evidence(history(**columns))) is None


def test_a_growing_gap_of_ua_is_dated():
    gap = np.clip((np.arange(1, EPOCHS + 1) - 20) * 0.01, 0, None)  # over 10 points after epoch 30
    rows = history(ua=np.full(EPOCHS, 0.95), val_ua=0.95 - gap + noise(0.01))
    sentence = validation_ua_falls_behind(evidence(rows, validation=judged(utterances_per_class=2000)))
    since = int(sentence.split("since epoch ")[1].split(",")[0])
    assert since == pytest.approx(31, abs=3)
    assert "more than 10 points" in sentence
    assert "95.0 %" in sentence


def test_a_gap_from_the_start_is_said_so():
    rows = history(ua=np.full(EPOCHS, 0.95), val_ua=np.full(EPOCHS, 0.5))
    assert "from the first epoch on" in validation_ua_falls_behind(evidence(rows))


def test_a_gap_that_closes_again_is_none():
    closing = 0.9 - np.linspace(0.4, 0.02, EPOCHS)  # while the batch norm settles
    assert validation_ua_falls_behind(evidence(history(val_ua=closing))) is None


def test_a_gap_within_the_resolution_of_few_utterances_is_none():
    rows = history(ua=np.full(EPOCHS, 0.95), val_ua=np.full(EPOCHS, 0.80))
    assert validation_ua_falls_behind(evidence(rows, validation=judged(8))) is None
    assert validation_ua_falls_behind(evidence(rows, validation=judged(200))) is not None


@pytest.mark.parametrize(("chosen", "speaks"), [(EPOCHS, True), (EPOCHS - 3, True), (EPOCHS - 4, False), (1, False)])
def test_an_epoch_at_the_end_asks_for_more(chosen, speaks):
    sentence = chosen_at_the_end(evidence(chosen_epoch=chosen))
    assert (sentence is not None) == speaks
    if sentence:
        assert f"{chosen} of {EPOCHS}" in sentence


def test_jitter_of_ua_is_held_against_the_validation_data():
    rows = history(val_ua=0.8 + noise(0.05))
    assert ua_jitters(evidence(rows, validation=judged(10))) is None
    sentence = ua_jitters(evidence(rows, validation=judged(300)))
    assert float(sentence.split("±")[1].split()[0]) == pytest.approx(1.96 * 5, rel=0.25)
    assert "900 utterances" in sentence


def test_jitter_of_the_loss_is_held_against_its_interval():
    validation = judged(300)
    error = validation.loss_standard_error
    steady = history(val_loss=validation.loss + noise(error / 3))
    assert loss_jitters(evidence(steady, validation=validation, standard_error=error)) is None
    unsteady = history(val_loss=validation.loss + noise(4 * error))
    sentence = loss_jitters(evidence(unsteady, validation=validation, standard_error=error))
    assert f"±{1.96 * error:.2f} that its 900 utterances" in sentence
    assert loss_jitters(evidence(unsteady, validation=validation)) is None  # the error of one utterance is not known


def test_the_advice_is_that_of_the_chosen_epoch():
    assert chosen_at_the_end(evidence(chosen_epoch=50, judged_epoch=EPOCHS)) is None
    assert "epoch, 80 of 80" in chosen_at_the_end(evidence(chosen_epoch=EPOCHS, judged_epoch=50))


def test_classes_with_few_validation_utterances_are_named():
    few = score_predictions([0] * 9 + [1] * 4 + [2] * 5, [0] * 18, LABELS)
    assert "of boredom (4):" in few_validation_utterances(evidence(validation=few))


@pytest.mark.parametrize("epochs", [1, 2, 7])
def test_a_handful_of_epochs_is_no_trend(epochs):
    rows = history(val_loss=np.linspace(0.5, 3, EPOCHS), val_ua=np.linspace(0.9, 0.1, EPOCHS))[:epochs]
    assert len(diagnose(evidence(rows, chosen_epoch=1, judged_epoch=1))) == 2


def test_the_resolution_is_the_spread_of_repeated_judging():
    recalls, support = np.array([0.9, 0.7, 0.6]), np.array([60, 30, 90])
    generator = np.random.default_rng(0)
    repeated = (generator.binomial(support, recalls, size=(20_000, 3)) / support).mean(axis=1)
    confusion_true = np.repeat(np.arange(3), support)
    hits = np.concatenate([np.arange(n) < round(n * r) for n, r in zip(support, recalls, strict=True)])
    scores = score_predictions(confusion_true, np.where(hits, confusion_true, (confusion_true + 1) % 3), LABELS)
    assert ua_resolution(scores) == pytest.approx(1.96 * repeated.std(), rel=0.03)


def test_a_perfect_recall_of_few_utterances_is_not_certain():
    assert ua_resolution(score_predictions([0, 1, 2], [0, 1, 2], LABELS)) > 0.3


def test_the_spread_is_that_of_jitter_around_a_trend():
    jitter = np.random.default_rng(0).normal(0, 0.05, 20_000)
    assert epoch_to_epoch_spread(np.linspace(0, 1, 20_000) + jitter) == pytest.approx(0.05, rel=0.05)
    assert epoch_to_epoch_spread(np.array([0.5])) == 0


def test_smoothing_is_a_moving_mean():
    values = np.random.default_rng(0).random(60)
    expected = [values[max(place - 3, 0) : place + 4].mean() for place in range(60)]
    np.testing.assert_allclose(smooth(values), expected)
    np.testing.assert_allclose(smooth(np.array([2.0])), [2.0])


def test_a_network_that_judges_its_training_data_worse_than_it_trained_is_unsettled():
    rows = history(ua=np.full(EPOCHS, 0.85), val_ua=0.33 + noise(0.2), val_loss=1.1 + noise(0.3))
    at_chance = judged(right=0.33)
    found = diagnose(evidence(rows, validation=at_chance, training=at_chance, standard_error=0.01))
    assert any("has not settled: in epoch 50 it got 85.0 % UA" in sentence for sentence in found)
    assert not any("carries over" in sentence or "unsteady" in sentence for sentence in found)
    settled = diagnose(evidence(rows, validation=at_chance, training=judged(right=0.85), standard_error=0.01))
    assert not any("has not settled" in sentence for sentence in settled)
    assert any("carries over" in sentence for sentence in settled)
    assert any("UA jitters" in sentence for sentence in settled)
    assert any("loss jitters" in sentence for sentence in settled)
