"""Weights to start from: found, and refused where they would carry test data or other labels along."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lightsernet_tf.config import Config
from lightsernet_tf.corpora.base import Utterance
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.errors import RunError
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train.fold import train
from lightsernet_tf.train.initial_weights import find_initial_weights

pytestmark = pytest.mark.slow

NO_TEST_NOTE = PROTOCOLS["final"].note
OPTIMISTIC_NOTE = PROTOCOLS["published"].note


@pytest.fixture(scope="module")
def started_from(tiny_config, tmp_path_factory) -> Run:
    config = replace(tiny_config, runs_dir=str(tmp_path_factory.mktemp("from")), run_name="first")
    return train(replace(config, train=replace(config.train, epochs=2)))


def test_a_run_means_its_chosen_epoch_and_a_file_itself(tiny_config, started_from):
    experiment = prepare(tiny_config)
    fold = experiment.folds[0]
    chosen = started_from.weights_path(started_from.resolve_epoch("best"))
    assert find_initial_weights(str(started_from.path), experiment, fold).path == chosen
    named = find_initial_weights(str(started_from.weights_path(1)), experiment, fold)
    assert named.path == started_from.weights_path(1)
    assert named.notes == ("started from first, epoch_0001",)


def test_a_file_of_unknown_origin_says_so(tiny_config, started_from, tmp_path):
    copy = tmp_path / "copied.weights.h5"
    copy.write_bytes(started_from.weights_path(1).read_bytes())
    experiment = prepare(tiny_config)
    (note,) = find_initial_weights(str(copy), experiment, experiment.folds[0]).notes
    assert "copied.weights.h5, whose training data is not known" in note


def test_weights_that_have_seen_the_test_speaker_are_refused(tiny_config, started_from):
    experiment = prepare(tiny_config)
    for fold in experiment.folds[1:]:
        with pytest.raises(RunError, match=rf"train\.initial_weights: .* test data of {fold.name}"):
            find_initial_weights(str(started_from.path), experiment, fold)


def other_settings(config: Config, **sections) -> Config:
    return replace(config, **{name: replace(getattr(config, name), **keys) for name, keys in sections.items()})


def test_a_final_run_may_start_from_weights_that_have_seen_everything(tiny_config, started_from):
    experiment = prepare(other_settings(tiny_config, split={"protocol": "final"}))
    start = find_initial_weights(str(started_from.path), experiment, experiment.folds[0])
    assert start.path.parent == started_from.path / "checkpoints"


@pytest.fixture(scope="module")
def final(tiny_config, tmp_path_factory) -> Run:
    config = replace(tiny_config, runs_dir=str(tmp_path_factory.mktemp("final")), run_name="final")
    return train(other_settings(config, split={"protocol": "final"}, train={"epochs": 1}))


@pytest.mark.parametrize(
    "protocol", ["leave_one_speaker_out", "group_k_fold", "stratified_hold_out", "random_hold_outs", "published"]
)
def test_no_fold_starts_from_a_final_run_that_has_seen_its_test_data(tiny_config, final, protocol):
    experiment = prepare(other_settings(tiny_config, split={"protocol": protocol, "folds": 3}))
    for fold in experiment.folds:
        with pytest.raises(RunError, match=rf"train\.initial_weights: .* test data of {fold.name}"):
            find_initial_weights(str(final.path), experiment, fold)


def test_a_new_protocol_that_claims_independence_cannot_start_from_its_test_speakers(
    tiny_config, started_from, monkeypatch
):
    experiment = prepare(tiny_config)
    trained = experiment.corpus.utterances[experiment.folds[0].train[0]].speaker
    unseen = Utterance(Path("unseen.wav"), "calm", trained)
    corpus = replace(experiment.corpus, utterances=(*experiment.corpus.utterances, unseen))
    fold = replace(experiment.folds[0], test=(len(corpus.utterances) - 1,))
    for independent in (True, False):
        monkeypatch.setitem(PROTOCOLS, "new", replace(PROTOCOLS["manifest"], speaker_independent=independent))
        config = other_settings(tiny_config, split={"protocol": "new"})
        start = partial(find_initial_weights, str(started_from.path), replace(experiment, config=config, corpus=corpus))
        if independent:
            with pytest.raises(RunError, match=rf"have not seen the test speakers of {fold.name}.*{trained}"):
                start(fold)
        else:
            start(fold)


def test_the_note_of_a_final_run_is_not_that_of_a_run_that_is_tested(tiny_config, final):
    experiment = prepare(tiny_config)
    other_corpus = other_settings(experiment.config, corpus={"name": "emodb"})
    start = find_initial_weights(str(final.path), replace(experiment, config=other_corpus), experiment.folds[0])
    assert final.notes == [NO_TEST_NOTE]
    assert start.notes == ("started from final, epoch_0001",)


def test_another_label_order_is_refused(tiny_config, started_from):
    experiment = prepare(other_settings(tiny_config, corpus={"labels": ("shrill", "loud", "calm")}))
    with pytest.raises(RunError, match=r"labels shrill, loud, calm, in this order\. .* with calm, loud, shrill"):
        find_initial_weights(str(started_from.path), experiment, experiment.folds[0])


def test_other_features_are_refused(tiny_config, started_from):
    experiment = prepare(other_settings(tiny_config, features={"mel_min_hz": 60.0}))
    with pytest.raises(RunError, match=r"with features\.mel_min_hz=60\.0\. Received: .+ with 80\.0"):
        find_initial_weights(str(started_from.path), experiment, experiment.folds[0])


def test_an_optimistic_start_stays_optimistic(tiny_config, tmp_path):
    config = other_settings(tiny_config, split={"protocol": "published", "folds": 2}, train={"epochs": 1})
    config = replace(config, runs_dir=str(tmp_path))
    first = train(replace(config, run_name="first"))
    second = train(
        other_settings(replace(config, run_name="second"), train={"initial_weights": str(first.path), "seed": 1})
    )
    assert OPTIMISTIC_NOTE in second.notes
    assert any("started from first" in note for note in second.notes)
    assert all(OPTIMISTIC_NOTE in line for line in (second.path / "epochs.csv").read_text().splitlines()[1:])
