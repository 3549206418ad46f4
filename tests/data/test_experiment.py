"""From settings to folds, along the whole road: files, content, features, splits."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightsernet_tf.config import AugmentConfig, Config, CorpusConfig, SplitConfig
from lightsernet_tf.corpora.demo import NOTICE
from lightsernet_tf.data.experiment import prepare
from lightsernet_tf.data.splits import PROTOCOLS, choose_fold
from lightsernet_tf.errors import AudioError, ConfigError, CorpusError

NO_TEST_NOTE = PROTOCOLS["final"].note
OPTIMISTIC_NOTE = PROTOCOLS["published"].note


@pytest.fixture
def corpus_dir(tiny_corpus, tmp_path) -> Path:
    """A copy of the tiny corpus to spoil."""
    return Path(shutil.copytree(tiny_corpus, tmp_path / "corpus ö"))


def changed(config: Config, section: str, **values) -> Config:
    return replace(config, **{section: replace(getattr(config, section), **values)})


def at(config: Config, folder: Path, **values) -> Config:
    return changed(config, "corpus", data_dir=str(folder), **values)


@pytest.fixture(scope="module")
def tiny(tiny_config):
    return prepare(tiny_config)


def test_every_utterance_has_its_class_and_is_tested_once(tiny):
    assert tiny.labels == ("calm", "loud", "shrill")
    for utterance, class_id in zip(tiny.corpus.utterances, tiny.class_ids, strict=True):
        assert utterance.path.parent.name == tiny.labels[class_id]
    tested = [position for fold in tiny.folds for position in fold.test]
    assert sorted(tested) == list(range(36))
    assert tiny.num_used == 36
    assert tiny.left_out == ()
    for fold in tiny.folds:
        assert len(tiny.speakers(fold.test)) == 1
        assert {name.split("/")[0] for name in tiny.names(fold.test)} == set(tiny.speakers(fold.test))


@pytest.mark.slow
def test_the_same_audio_under_two_speakers_stops_and_names_both_files(tiny_config, corpus_dir):
    shutil.copy(corpus_dir / "Änne" / "calm" / "take 2.wav", corpus_dir / "声" / "calm" / "copy.wav")
    with pytest.raises(CorpusError) as caught:
        prepare(at(tiny_config, corpus_dir))
    message = str(caught.value)
    assert str(corpus_dir / "Änne" / "calm" / "take 2.wav") in message
    assert str(corpus_dir / "声" / "calm" / "copy.wav") in message
    assert "corpus.duplicates: drop" in message


@pytest.mark.slow
def test_the_same_audio_in_another_encoding_is_the_same(tiny_config, corpus_dir):
    waveform, rate_hz = soundfile.read(corpus_dir / "Änne" / "calm" / "take 2.wav", dtype="int16")
    soundfile.write(corpus_dir / "声" / "calm" / "copy.wav", waveform, rate_hz, format="WAVEX")
    with pytest.raises(CorpusError, match="the same audio"):
        prepare(at(tiny_config, corpus_dir))


@pytest.mark.parametrize("protocol", ["leave_one_speaker_out", "stratified_hold_out", "random_hold_outs", "published"])
def test_dropped_duplicates_leave_the_first_and_are_told(tiny_config, corpus_dir, protocol, caplog):
    shutil.copy(corpus_dir / "Änne" / "calm" / "take 2.wav", corpus_dir / "声" / "calm" / "copy.wav")
    config = changed(at(tiny_config, corpus_dir, duplicates="drop"), "split", protocol=protocol, folds=2)
    experiment = prepare(config)
    copied = corpus_dir / "Änne" / "calm" / "take 2.wav"
    assert experiment.left_out == ((corpus_dir / "声" / "calm" / "copy.wav", f"the same audio as {copied}"),)
    assert experiment.num_used == 36
    used = {name for fold in experiment.folds for part in fold.parts().values() for name in experiment.names(part)}
    assert "声/calm/copy.wav" not in used
    assert "Änne/calm/take 2.wav" in used
    assert f"copy.wav: the same audio as {copied}" in caplog.text


def spoil(folder: Path) -> dict[Path, str]:
    """One file for each way in which a file cannot be used, by what is said of it."""
    (folder / "ben b" / "calm" / "empty.wav").write_bytes(b"")
    (folder / "ben b" / "loud" / "text.wav").write_text("no audio", encoding="utf-8")
    whole = (folder / "ben b" / "loud" / "take 0.wav").read_bytes()
    (folder / "声" / "loud" / "cut.wav").write_bytes(whole[:30])
    soundfile.write(folder / "声" / "loud" / "nan.wav", np.full(4800, np.nan), 16000, subtype="FLOAT")
    soundfile.write(folder / "stray.wav", np.zeros(4800), 16000)
    return {
        folder / "ben b" / "calm" / "empty.wav": "empty",
        folder / "ben b" / "loud" / "text.wav": "",
        folder / "声" / "loud" / "cut.wav": "",
        folder / "声" / "loud" / "nan.wav": "finite",
        folder / "stray.wav": "{speaker}/{label}/{name}.wav",
    }


@pytest.mark.slow
def test_unusable_files_are_skipped_counted_and_listed(tiny_config, corpus_dir, tiny, caplog):
    spoilt = spoil(corpus_dir)
    experiment = prepare(at(tiny_config, corpus_dir, on_error="skip"))
    reasons = dict(experiment.left_out)
    assert reasons.keys() == spoilt.keys()
    for path, words in spoilt.items():
        assert words in reasons[path]
        assert f"left out: {path}: " in caplog.text
    assert experiment.num_used == 36
    # What is left is the corpus as it was before it was spoilt.
    for ours, theirs in zip(experiment.folds, tiny.folds, strict=True):
        for part in ("training", "validation", "test"):
            assert experiment.names(ours.parts()[part]) == tiny.names(theirs.parts()[part])


@pytest.mark.slow
def test_an_unusable_file_stops_and_is_named(tiny_config, corpus_dir):
    path = corpus_dir / "声" / "loud" / "text.wav"
    path.write_text("no audio", encoding="utf-8")
    with pytest.raises(AudioError) as caught:
        prepare(at(tiny_config, corpus_dir))
    assert str(path) in str(caught.value)
    assert "corpus.on_error: skip" in str(caught.value)


def test_a_stray_file_stops_and_is_named(tiny_config, corpus_dir):
    soundfile.write(corpus_dir / "stray.wav", np.zeros(4800), 16000)
    with pytest.raises(CorpusError, match=r"stray\.wav.*corpus\.on_error: skip"):
        prepare(at(tiny_config, corpus_dir))


@pytest.mark.slow
def test_a_class_that_only_the_tested_speaker_has_cannot_be_trained(tiny_config, corpus_dir):
    (corpus_dir / "Änne" / "sleepy").mkdir()
    soundfile.write(corpus_dir / "Änne" / "sleepy" / "one.wav", 0.1 * np.sin(np.arange(4800)), 16000)
    with pytest.raises(CorpusError, match=r"speaker_Änne: expected training utterances of every class.*none of sleepy"):
        prepare(at(tiny_config, corpus_dir))


def test_a_fold_that_there_is_not_is_named(tiny):
    with pytest.raises(ConfigError, match=r"split\.fold: expected 0 to 2"):
        choose_fold(tiny.folds, replace(tiny.config.split, fold=3))


def test_waveforms_are_kept_only_where_augmentation_needs_them(tiny, tiny_config):
    assert tiny.store.waveforms_path is None
    masks = prepare(replace(tiny_config, augment=AugmentConfig(time_mask_max_frames=2)))
    assert masks.store.waveforms_path is None
    gain = prepare(replace(tiny_config, augment=AugmentConfig(gain_max_db=6)))
    assert gain.store.waveforms.shape == (36, 4800)


def with_split(experiment, **values):
    return prepare(changed(experiment.config, "split", **values))


def test_new_speakers_and_real_audio_need_no_note(tiny):
    assert [tiny.notes(fold) for fold in tiny.folds] == [[], [], []]


def test_speakers_on_both_sides_are_told_with_their_number(tiny):
    experiment = with_split(tiny, protocol="random_hold_outs", folds=3, test_fraction=0.06)
    for fold in experiment.folds:
        tested, trained = set(experiment.speakers(fold.test)), set(experiment.speakers(fold.train))
        (note,) = experiment.notes(fold)
        assert note.startswith(f"speaker-dependent: {len(tested & trained)} of the {len(tested)} test speakers")
    all_tested = {speaker for fold in experiment.folds for speaker in experiment.speakers(fold.test)}
    (note,) = experiment.notes(*experiment.folds)
    assert f" of the {len(all_tested)} test speakers" in note


def test_the_published_protocol_is_called_optimistic(tiny):
    experiment = with_split(tiny, protocol="published", folds=2)
    first, second = experiment.notes(experiment.folds[0])
    assert first == OPTIMISTIC_NOTE == "optimistic: the epoch was chosen on the test data"
    assert second.startswith("speaker-dependent: ")
    assert experiment.folds[0].validation == experiment.folds[0].test


def test_a_final_fold_says_that_nothing_is_tested(tiny_config):
    final = prepare(changed(tiny_config, "split", protocol="final"))
    (fold,) = final.folds
    assert final.notes(fold) == [NO_TEST_NOTE]
    assert final.num_used == 36
    assert (len(final.speakers(fold.train)), final.speakers(fold.test)) == (2, [])


def test_the_demo_corpus_is_called_synthetic(tiny):
    split = SplitConfig(protocol="published")
    demo = replace(tiny, config=replace(tiny.config, split=split), corpus=replace(tiny.corpus, notice=NOTICE))
    first, second = demo.notes(tiny.folds[0])
    assert (first, second) == (OPTIMISTIC_NOTE, NOTICE)
    assert NOTICE.startswith("synthetic: ")


@pytest.mark.slow
def test_files_of_a_manifest_are_named_from_its_folder(tiny_config, tiny_corpus, corpus_dir, tmp_path):
    lines = ["path,label,speaker,split"]
    for speaker, split in (("Änne", "train"), ("ben b", "validation"), ("声", "test")):
        lines += [f"corpus ö/{speaker}/{label}/take 0.wav,{label},{speaker},{split}" for label in ("calm", "loud")]
    outside = tiny_corpus / "声" / "loud" / "take 3.wav"
    lines.append(f"{outside},loud,声,test")
    (tmp_path / "list.csv").write_text("\n".join(lines), encoding="utf-8")
    config = replace(
        tiny_config,
        corpus=CorpusConfig(name="manifest", data_dir=str(tmp_path / "list.csv")),
        split=SplitConfig(protocol="manifest"),
    )
    experiment = prepare(config)
    (fold,) = experiment.folds
    assert experiment.names(fold.train) == ["corpus ö/Änne/calm/take 0.wav", "corpus ö/Änne/loud/take 0.wav"]
    names = experiment.names(fold.test)
    assert sorted(names) == sorted(["corpus ö/声/calm/take 0.wav", "corpus ö/声/loud/take 0.wav", outside.as_posix()])
