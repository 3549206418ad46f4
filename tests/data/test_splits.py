import itertools
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, ShuffleSplit

from lightsernet_tf.config import Config, CorpusConfig, ProtocolName, SplitConfig
from lightsernet_tf.corpora.base import Corpus, Utterance
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.feature_store import FeatureStore
from lightsernet_tf.data.splits import PROTOCOLS, Fold, check_classes, choose_fold, make_folds
from lightsernet_tf.errors import ConfigError, CorpusError

SELF_MADE: tuple[ProtocolName, ...] = (
    "leave_one_speaker_out",
    "group_k_fold",
    "stratified_hold_out",
    "random_hold_outs",
    "published",
    "final",
)
LABELS = ("anger", "fear", "neutral")


def corpus(speakers: str = "abcdef", each: int = 10) -> list[Utterance]:
    """Speakers with `each` utterances of anger, half as many of fear and twice as many of neutral."""
    counts = {"anger": each, "fear": each // 2, "neutral": 2 * each}
    return [
        Utterance(Path(f"{speaker}/{label}_{n}.wav"), label, speaker)
        for speaker in speakers
        for label, count in counts.items()
        for n in range(count)
    ]


def speakers_of(utterances, positions):
    return {utterances[position].speaker for position in positions}


def with_split(utterances, splits):
    return [Utterance(one.path, one.label, one.speaker, split) for one, split in zip(utterances, splits, strict=True)]


@pytest.mark.parametrize("protocol", SELF_MADE)
def test_every_fold_holds_each_utterance_once(protocol):
    utterances = corpus()
    folds = make_folds(utterances, SplitConfig(protocol=protocol, folds=3))
    for fold in folds:
        held_out = [fold.test] if protocol == "published" else [fold.validation, fold.test]
        assert sorted(itertools.chain(fold.train, *held_out)) == list(range(len(utterances)))
        assert [side for side, part in fold.parts().items() if not part] == (["test"] if protocol == "final" else [])
        for part in fold.parts().values():
            assert list(part) == sorted(part)
            assert {type(position) for position in part} <= {int}
    assert len({fold.name for fold in folds}) == len(folds)


@pytest.mark.parametrize("protocol", SELF_MADE)
def test_the_seed_alone_decides(protocol):
    utterances = corpus()

    def folds(seed):
        return make_folds(utterances, SplitConfig(protocol=protocol, folds=3, seed=seed))

    assert folds(1) == folds(1)
    assert any(folds(1) != folds(seed) for seed in (2, 3, 4))


def test_leave_one_speaker_out_tests_as_scikit_learn_does():
    utterances = corpus()
    groups = [one.speaker for one in utterances]
    expected = [tuple(test) for _, test in LeaveOneGroupOut().split(groups, groups=groups)]
    folds = make_folds(utterances, SplitConfig(protocol="leave_one_speaker_out"))
    assert [fold.test for fold in folds] == expected
    assert [fold.name for fold in folds] == [f"speaker_{name}" for name in "abcdef"]


@pytest.mark.parametrize("validation_speakers", [1, 2, 4])
def test_leave_one_speaker_out_uses_every_speaker_equally_often(validation_speakers):
    utterances = corpus()
    config = SplitConfig(protocol="leave_one_speaker_out", validation_speakers=validation_speakers)
    folds = make_folds(utterances, config)
    tested = Counter(name for fold in folds for name in speakers_of(utterances, fold.test))
    validated = Counter(name for fold in folds for name in speakers_of(utterances, fold.validation))
    assert tested == dict.fromkeys("abcdef", 1)
    assert validated == dict.fromkeys("abcdef", validation_speakers)


@pytest.mark.parametrize("protocol", ["leave_one_speaker_out", "group_k_fold"])
def test_no_speaker_is_on_two_sides(protocol):
    utterances = corpus()
    for fold in make_folds(utterances, SplitConfig(protocol=protocol, folds=3, validation_speakers=2)):
        sides = [speakers_of(utterances, part) for part in fold.parts().values()]
        assert not any(one & other for one, other in itertools.combinations(sides, 2))
        assert set.union(*sides) == set("abcdef")
        assert len(speakers_of(utterances, fold.validation)) == 2


def test_the_seed_chooses_who_validates():
    utterances = corpus()
    chosen = set()
    for seed in range(20):
        fold = make_folds(utterances, SplitConfig(protocol="leave_one_speaker_out", seed=seed))[0]
        chosen |= speakers_of(utterances, fold.validation)
    assert chosen == set("bcdef")


def test_leave_one_speaker_out_needs_a_speaker_to_train_on():
    with pytest.raises(CorpusError) as caught:
        make_folds(corpus("ab"), SplitConfig(protocol="leave_one_speaker_out"))
    assert "leave_one_speaker_out: expected more than split.validation_speakers=1 speakers" in str(caught.value)
    assert "Received: 1 (b)" in str(caught.value)
    assert len(make_folds(corpus("abc"), SplitConfig(protocol="leave_one_speaker_out"))) == 3


def test_a_single_speaker_cannot_be_left_out():
    with pytest.raises(CorpusError, match=r"Received: 0 \(none\)"):
        make_folds(corpus("a"), SplitConfig(protocol="leave_one_speaker_out"))


def test_fold_names_are_names_of_different_folders():
    utterances = corpus(["a/b", "a%2Fb", "a b", "张", "a:b"])
    names = [fold.name for fold in make_folds(utterances, SplitConfig(protocol="leave_one_speaker_out"))]
    assert names == ["speaker_a b", "speaker_a%252Fb", "speaker_a%2Fb", "speaker_a%3Ab", "speaker_张"]
    assert all(Path(name).name == name for name in names)


def test_speakers_that_differ_in_case_or_accents_alone_get_folders_of_their_own():
    utterances = corpus(["Ann", "ann", "ANN", "Bob", "%41nn", "ä", "a\u0308", "straße"])
    names = [fold.name for fold in make_folds(utterances, SplitConfig(protocol="leave_one_speaker_out"))]
    assert {"speaker_ann", "speaker_%41nn", "speaker_%41%4E%4E", "speaker_%2541nn"} < set(names)
    assert {"speaker_Bob", "speaker_straße"} < set(names)  # alone, so they are called as they are
    alike = {unicodedata.normalize("NFC", name).casefold() for name in names}
    assert len(alike) == len(names)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_final_tests_nobody_and_trains_on_all_but_the_validation_speakers(count):
    utterances = corpus()
    (fold,) = make_folds(utterances, SplitConfig(protocol="final", validation_speakers=count))
    trained, validating = speakers_of(utterances, fold.train), speakers_of(utterances, fold.validation)
    assert (fold.name, fold.test, len(validating)) == ("final", (), count)
    assert not trained & validating
    assert trained | validating == set("abcdef")


def test_final_needs_a_speaker_to_train_on():
    with pytest.raises(CorpusError) as caught:
        make_folds(corpus("ab"), SplitConfig(protocol="final", validation_speakers=2))
    assert str(caught.value) == (
        "split.protocol final: expected more than split.validation_speakers=2 speakers. Received: 2 (a, b)"
    )


def test_group_k_fold_tests_as_scikit_learn_does():
    utterances = corpus("abcdefg")
    groups = [one.speaker for one in utterances]
    expected = [tuple(test) for _, test in GroupKFold(3, shuffle=True, random_state=7).split(groups, groups=groups)]
    folds = make_folds(utterances, SplitConfig(protocol="group_k_fold", folds=3, seed=7))
    assert [fold.test for fold in folds] == expected
    tested = Counter(name for fold in folds for name in speakers_of(utterances, fold.test))
    assert tested == dict.fromkeys("abcdefg", 1)
    assert sorted(len(speakers_of(utterances, fold.test)) for fold in folds) == [2, 2, 3]
    assert [fold.name for fold in folds] == ["fold_00", "fold_01", "fold_02"]


def test_group_k_fold_needs_a_speaker_for_each_fold():
    with pytest.raises(ConfigError, match=r"split\.folds: expected at most 6, one a speaker\. Received: folds=7"):
        make_folds(corpus(), SplitConfig(protocol="group_k_fold", folds=7))


def test_stratified_hold_out_keeps_class_shares():
    utterances = corpus()  # 60 anger, 30 fear, 120 neutral
    (fold,) = make_folds(utterances, SplitConfig(test_fraction=0.2, validation_fraction=0.25))
    counts = {part: Counter(utterances[p].label for p in positions) for part, positions in fold.parts().items()}
    assert counts["test"] == {"anger": 12, "fear": 6, "neutral": 24}
    assert counts["validation"] == {"anger": 12, "fear": 6, "neutral": 24}
    assert counts["training"] == {"anger": 36, "fear": 18, "neutral": 72}


@pytest.mark.parametrize(("lone", "key"), [(1, "test_fraction"), (2, "validation_fraction")])
def test_stratified_hold_out_names_the_class_that_is_too_small(lone, key):
    utterances = corpus() + [Utterance(Path(f"{n}.wav"), "disgust", "a") for n in range(lone)]
    with pytest.raises(CorpusError) as caught:
        make_folds(utterances, SplitConfig(test_fraction=0.3))
    assert f"split.{key}: expected enough utterances to hold out 0." in str(caught.value)
    assert "disgust 1" in str(caught.value)


@pytest.mark.parametrize("protocol", ["random_hold_outs", "published"])
def test_random_hold_outs_are_scikit_learns_shuffles(protocol):
    utterances = corpus()
    folds = make_folds(utterances, SplitConfig(protocol=protocol, seed=5))
    expected = [tuple(sorted(test)) for _, test in ShuffleSplit(10, test_size=0.2, random_state=5).split(utterances)]
    assert [fold.test for fold in folds] == expected
    assert {len(fold.test) for fold in folds} == {len(utterances) // 5}
    assert len(set(expected)) == 10


def test_random_hold_outs_choose_the_epoch_on_a_share_of_the_rest():
    utterances = corpus()
    for fold in make_folds(utterances, SplitConfig(protocol="random_hold_outs", validation_fraction=0.25)):
        assert len(fold.validation) == len(utterances) * 4 // 5 // 4
        assert not set(fold.validation) & set(fold.test)


def test_published_chooses_the_epoch_on_the_test_data():
    for fold in make_folds(corpus(), SplitConfig(protocol="published")):
        assert fold.validation == fold.test
        assert not set(fold.train) & set(fold.test)


@pytest.mark.parametrize("protocol", ["random_hold_outs", "published"])
def test_random_hold_outs_of_a_single_utterance_are_refused(protocol):
    with pytest.raises(
        CorpusError, match=r"split\.test_fraction: expected enough utterances to hold out 0\.2\. Received: anger 1 "
    ):
        make_folds(corpus()[:1], SplitConfig(protocol=protocol))


def test_manifest_splits_as_the_csv_says():
    utterances = with_split(corpus("a", 2), ["test", "train", "validation", "train", "train", "test", "validation"])
    (fold,) = make_folds(utterances, SplitConfig(protocol="manifest"))
    assert fold == Fold("manifest", train=(1, 3, 4), validation=(2, 6), test=(0, 5))


def test_manifest_without_validation_rows_holds_out_a_stratified_share_of_train():
    utterances = corpus("a", 20)  # 20 anger, 10 fear, 40 neutral
    utterances = with_split(utterances, ["test" if n % 2 else "train" for n in range(70)])
    (fold,) = make_folds(utterances, SplitConfig(protocol="manifest", validation_fraction=0.2))
    assert fold.test == tuple(range(1, 70, 2))
    assert Counter(utterances[position].label for position in fold.validation) == {"anger": 2, "fear": 1, "neutral": 4}
    assert sorted(fold.train + fold.validation) == list(range(0, 70, 2))


def test_manifest_names_the_row_without_a_split():
    utterances = with_split(corpus("a", 2), ["test", "train", None, "train", "train", "test", None])
    with pytest.raises(CorpusError, match=r"a/fear_0\.wav: expected train, validation or test in column split"):
        make_folds(utterances, SplitConfig(protocol="manifest"))


@pytest.mark.parametrize(("only", "missing"), [("train", "test"), ("test", "train")])
def test_manifest_needs_training_and_test_rows(only, missing):
    utterances = corpus("a", 2)
    with pytest.raises(CorpusError, match=rf"column split: expected at least one row of {missing}\. Received: none"):
        make_folds(with_split(utterances, [only] * len(utterances)), SplitConfig(protocol="manifest"))


def test_choose_fold_counts_from_zero():
    folds = make_folds(corpus(), SplitConfig(protocol="leave_one_speaker_out"))
    assert choose_fold(folds, SplitConfig(fold=5)).name == "speaker_f"
    with pytest.raises(
        ConfigError, match=r"split\.fold: expected 0 to 5 under leave_one_speaker_out\. Received: fold=6"
    ):
        choose_fold(folds, SplitConfig(protocol="leave_one_speaker_out", fold=6))


def test_check_classes_names_the_class_without_training_utterance():
    utterances = corpus("ab", 2)
    labels = np.array([one.label for one in utterances])
    train = np.flatnonzero(labels != "fear").tolist()
    fold = Fold("hold_out", tuple(train[:-1]), (train[-1],), tuple(np.flatnonzero(labels == "fear")))
    with pytest.raises(CorpusError) as caught:
        check_classes(fold, utterances, LABELS, PROTOCOLS["stratified_hold_out"])
    assert "hold_out: expected training utterances of every class. Received: none of fear." in str(caught.value)
    assert "corpus.drop_labels" in str(caught.value)


def test_check_classes_lets_a_test_set_lack_a_class_but_not_the_training():
    utterances = corpus("ab", 2)
    everything = tuple(range(len(utterances)))
    fold = Fold("x", train=everything, validation=(0,), test=(0,))
    check_classes(fold, utterances, LABELS, PROTOCOLS["random_hold_outs"])
    with pytest.raises(CorpusError, match="expected training utterances of every class"):
        check_classes(replace(fold, train=(0,), test=everything), utterances, LABELS, PROTOCOLS["random_hold_outs"])


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_check_classes_refuses_an_empty_part(part):
    utterances = corpus("ab", 2)
    parts = {"train": tuple(range(len(utterances))), "validation": (0,), "test": (0,)} | {part: ()}
    with pytest.raises(CorpusError, match=r"x: expected at least one (training|validation|test) utterance"):
        check_classes(Fold("x", **parts), utterances, LABELS, PROTOCOLS["leave_one_speaker_out"])


@pytest.mark.parametrize("part", ["train", "validation"])
def test_check_classes_lets_the_final_test_part_alone_be_empty(part):
    utterances = corpus("ab", 2)
    fold = Fold("final", train=tuple(range(len(utterances))), validation=(0,), test=())
    check_classes(fold, utterances, LABELS, PROTOCOLS["final"])
    with pytest.raises(CorpusError, match=r"final: expected at least one (training|validation) utterance"):
        check_classes(replace(fold, **{part: ()}), utterances, LABELS, PROTOCOLS["final"])


@pytest.mark.parametrize("protocol", ["published", "random_hold_outs", "stratified_hold_out"])
def test_published_alone_is_called_optimistic(protocol):
    utterances = corpus()
    config = Config(corpus=CorpusConfig(name="emodb", data_dir="wav"), split=SplitConfig(protocol=protocol))
    folds = tuple(make_folds(utterances, config.split))
    store = cast(FeatureStore, None)  # notes are made of the corpus and the fold alone
    experiment = Experiment(config, Corpus("emodb", tuple(utterances), LABELS), store, np.zeros(0), folds, ())
    notes = experiment.notes(folds[0])
    assert ("optimistic: the epoch was chosen on the test data" in notes) == (protocol == "published")
    assert any(note.startswith("speaker-dependent: 6 of the 6 test speakers") for note in notes)


def test_the_seed_chooses_who_of_the_manifests_training_rows_validates():
    utterances = corpus("a", 20)
    utterances = with_split(utterances, ["test" if n % 2 else "train" for n in range(70)])
    folds = [make_folds(utterances, SplitConfig(protocol="manifest", seed=seed))[0] for seed in (0, 0, 1, 2)]
    assert folds[0] == folds[1]
    assert len({fold.validation for fold in folds}) == 3
