from dataclasses import fields, replace
from pathlib import Path

import pytest

from lightsernet_tf.config import SplitConfig
from lightsernet_tf.corpora.base import Utterance
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.leaks import check_leaks, first_of_identical
from lightsernet_tf.data.splits import PROTOCOLS, Fold, Protocol, make_folds
from lightsernet_tf.errors import CorpusError

UTTERANCES = [Utterance(Path(f"{speaker}/{n}.wav"), "anger", speaker) for speaker in "abc" for n in range(2)]
CONTENT = ["A0", "A1", "B0", "B1", "C0", "C1"]
BY_SPEAKER = Fold("speaker_c", train=(0, 1), validation=(2, 3), test=(4, 5))


def content_with(position, digest):
    return [digest if place == position else other for place, other in enumerate(CONTENT)]


@pytest.mark.parametrize("protocol", ["leave_one_speaker_out", "random_hold_outs", "manifest", "published"])
def test_the_same_audio_on_two_sides_names_both_files(protocol):
    with pytest.raises(CorpusError) as caught:
        check_leaks(BY_SPEAKER, UTTERANCES, content_with(5, "A1"), PROTOCOLS[protocol])
    message = str(caught.value)
    assert message.startswith("leak in speaker_c: ")
    assert f"{Path('c/1.wav')} (test) holds the same audio as {Path('a/1.wav')} (training)" in message
    assert "corpus.duplicates: drop" in message


def test_the_same_audio_in_training_and_validation_is_a_leak():
    with pytest.raises(CorpusError, match=r"b.0\.wav \(validation\) holds the same audio as a.0\.wav \(training\)"):
        check_leaks(BY_SPEAKER, UTTERANCES, content_with(2, "A0"), PROTOCOLS["random_hold_outs"])


def test_the_same_audio_twice_on_one_side_is_no_leak_and_on_two_is():
    content = content_with(1, "A0")
    check_leaks(BY_SPEAKER, UTTERANCES, content, PROTOCOLS["manifest"])
    with pytest.raises(CorpusError, match="holds the same audio"):
        check_leaks(Fold("x", (0, 2), (1, 3), (4, 5)), UTTERANCES, content, PROTOCOLS["manifest"])


@pytest.mark.parametrize("protocol", ["leave_one_speaker_out", "group_k_fold", "final"])
def test_a_speaker_on_two_sides_names_both_files(protocol):
    fold = Fold("fold_00", train=(0, 1, 4), validation=(2, 3), test=(5,))
    with pytest.raises(CorpusError) as caught:
        check_leaks(fold, UTTERANCES, CONTENT, PROTOCOLS[protocol])
    assert str(caught.value) == (
        f"leak in fold_00: speaker c is in test ({Path('c/1.wav')}) and in training ({Path('c/0.wav')})"
    )


@pytest.mark.parametrize("protocol", ["stratified_hold_out", "random_hold_outs", "manifest", "published"])
def test_speaker_dependent_protocols_may_share_speakers(protocol):
    shared = Fold("x", (0, 2), (1, 4), (3, 5))
    check_leaks(shared, UTTERANCES, CONTENT, PROTOCOLS[protocol])
    with pytest.raises(CorpusError, match=r"leak in x: speaker [abc] is in"):
        check_leaks(shared, UTTERANCES, CONTENT, replace(PROTOCOLS[protocol], speaker_independent=True))


def mixing(utterances, config):
    """Yield a fold with every speaker in every part."""
    yield Fold("mixed", train=(0, 2, 4), validation=(1,), test=(3, 5))


def test_a_new_protocol_that_mixes_speakers_cannot_claim_independence(tiny_config, monkeypatch):
    promises = {"num_folds": lambda config: 1, "tests_somebody": True, "chooses_on_test": False, "note": None}
    monkeypatch.setitem(PROTOCOLS, "mixing", Protocol(mixing, speaker_independent=True, **promises))
    config = replace(tiny_config, split=SplitConfig(protocol="mixing"))
    with pytest.raises(CorpusError, match=r"^leak in mixed: speaker .+ is in validation .+ and in training"):
        prepare(config)


@pytest.mark.parametrize("forgotten", [field.name for field in fields(Protocol)])
def test_a_protocol_that_promises_nothing_cannot_be_made(forgotten):
    given = {field.name: getattr(PROTOCOLS["final"], field.name) for field in fields(Protocol)}
    del given[forgotten]
    with pytest.raises(TypeError, match=forgotten):
        Protocol(**given)


def test_published_may_validate_on_its_test_data_and_no_other_protocol_may():
    fold = Fold("published_00", train=(0, 1, 2, 3), validation=(4, 5), test=(4, 5))
    check_leaks(fold, UTTERANCES, CONTENT, PROTOCOLS["published"])
    with pytest.raises(CorpusError, match="leak in published_00"):
        check_leaks(fold, UTTERANCES, CONTENT, PROTOCOLS["random_hold_outs"])


@pytest.mark.parametrize(
    "protocol",
    ["leave_one_speaker_out", "group_k_fold", "stratified_hold_out", "random_hold_outs", "published", "final"],
)
def test_the_folds_that_are_made_have_no_leaks(protocol):
    utterances = [Utterance(Path(f"{n}.wav"), "ab"[n % 2], "stuvw"[n % 5]) for n in range(60)]
    content = [str(n) for n in range(60)]
    config = SplitConfig(protocol=protocol, folds=3)
    folds = list(make_folds(utterances, config))
    assert len(folds) == PROTOCOLS[protocol].num_folds(config) or protocol == "leave_one_speaker_out"
    for fold in folds:
        check_leaks(fold, utterances, content, PROTOCOLS[protocol])


def test_duplicates_keep_the_first():
    content = ["x", "y", "x", "z", "y", "x"]
    kept, dropped = first_of_identical(content, range(6))
    assert kept == [0, 1, 3]
    assert dropped == [(2, 0), (4, 1), (5, 0)]


def test_duplicates_are_sought_among_the_given_positions_alone():
    kept, dropped = first_of_identical(["x", None, "x", None, "x"], [2, 4])
    assert kept == [2]
    assert dropped == [(4, 2)]
