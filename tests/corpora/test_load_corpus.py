from dataclasses import replace

import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.errors import CorpusError

THREE_CLASSES = {
    "positive": ["happiness"],
    "neutral": ["neutral", "boredom"],
    "negative": ["anger", "disgust", "fear", "sadness"],
}


def emodb(folder, **settings):
    return CorpusConfig(name="emodb", data_dir=str(folder), **settings)


def test_real_emodb(emodb_dir):
    corpus = load_corpus(emodb(emodb_dir))
    assert len(corpus.utterances) == 535
    assert corpus.labels == ("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral")
    assert {u.speaker for u in corpus.utterances} == {"03", "08", "09", "10", "11", "12", "13", "14", "15", "16"}
    counts = {label: sum(u.label == label for u in corpus.utterances) for label in corpus.labels}
    # The table that comes with the corpus.
    assert counts == dict(anger=127, boredom=81, neutral=79, happiness=71, fear=69, sadness=62, disgust=46)
    assert all("natural_percent" in u.attributes for u in corpus.utterances)
    assert load_corpus(emodb(emodb_dir / "wav")) == corpus


def test_real_emodb_merged_to_three_classes(emodb_dir):
    corpus = load_corpus(emodb(emodb_dir, label_map=THREE_CLASSES))
    assert corpus.labels == ("positive", "neutral", "negative")
    assert [sum(u.label == label for u in corpus.utterances) for label in corpus.labels] == [71, 160, 304]


def test_utterances_come_in_the_order_of_their_paths(make_files):
    folder = make_files("16a01Na.wav", "03b02Wa.wav", "03a01Fa.WAV")
    corpus = load_corpus(emodb(folder))
    assert [u.path.name for u in corpus.utterances] == ["03a01Fa.WAV", "03b02Wa.wav", "16a01Na.wav"]
    assert corpus.labels == ("anger", "happiness", "neutral")


def test_labels_in_the_order_of_the_config(make_files):
    folder = make_files("03a01Fa.wav", "03a01Wa.wav", "03a01Na.wav")
    config = emodb(folder, labels=("neutral", "anger"), drop_labels=("happiness", "fear"))
    corpus = load_corpus(config)
    assert corpus.labels == ("neutral", "anger")
    assert [u.label for u in corpus.utterances] == ["neutral", "anger"]


def test_dropped_labels_are_not_classes(make_files):
    folder = make_files("03a01Fa.wav", "03a01Wa.wav")
    assert load_corpus(emodb(folder, drop_labels=("anger",))).labels == ("happiness",)


def test_mapped_and_dropped(make_files):
    folder = make_files("03a01Fa.wav", "03a01Wa.wav", "03a01La.wav")
    config = emodb(folder, label_map={"up": ["happiness", "anger"]}, drop_labels=("boredom",))
    corpus = load_corpus(config)
    assert corpus.labels == ("up",)
    assert len(corpus.utterances) == 2


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"label_map": {"up": ["happiness"]}}, ["corpus.label_map", "drop_labels", "anger (2)", "happiness (1)"]),
        ({"labels": ("happiness",)}, ["corpus.labels", "anger", "happiness (1)"]),
        ({"labels": ("happiness", "anger", "fear")}, ["corpus.labels", "none for fear"]),
        ({"label_map": {"up": ["happiness", "anger"], "down": ["fear"]}}, ["corpus.label_map", "none for down"]),
        ({"drop_labels": ("hapiness",)}, ["corpus.drop_labels", "hapiness", "happiness, sadness"]),
        ({"label_map": {"up": ["joy"]}}, ["corpus.label_map", "joy", "happiness"]),
        ({"labels": ("happiness", "rage")}, ["corpus.labels", "rage", "anger"]),
        ({"labels": ("happiness", "anger"), "drop_labels": ("anger",)}, ["corpus.drop_labels", "anger"]),
        ({"drop_labels": ("happiness", "anger")}, ["corpus.drop_labels", "anger (2), happiness (1)"]),
    ],
)
def test_labels_that_do_not_fit_are_refused(make_files, settings, parts):
    folder = make_files("03a01Fa.wav", "03a01Wa.wav", "03a02Wa.wav")
    with pytest.raises(CorpusError) as error:
        load_corpus(emodb(folder, **settings))
    for part in parts:
        assert part in str(error.value)


def test_missing_folder(tmp_path):
    with pytest.raises(CorpusError, match=r"corpus\.data_dir: expected the folder of emodb.*nothing there"):
        load_corpus(emodb(tmp_path / "nowhere"))


def test_file_instead_of_folder(make_files):
    with pytest.raises(CorpusError, match=r"corpus\.data_dir.*a file"):
        load_corpus(emodb(make_files("03a01Fa.wav") / "03a01Fa.wav"))


def test_folder_without_audio(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to hear")
    with pytest.raises(CorpusError, match=r"expected audio files such as wav/03a01Fa\.wav.*Received: none"):
        load_corpus(emodb(tmp_path))


def test_name_that_cannot_be_parsed(make_files):
    folder = make_files("03a01Fa.wav", "03a01Xa.wav")
    with pytest.raises(CorpusError, match=r"03a01Xa\.wav: expected a name like wav/03a01Fa\.wav"):
        load_corpus(emodb(folder))


def test_skipped_names_are_counted_and_listed(make_files, caplog):
    folder = make_files("03a01Fa.wav", "03a01Xa.wav", "holiday.wav")
    corpus = load_corpus(emodb(folder, on_error="skip"))
    assert [u.path.name for u in corpus.utterances] == ["03a01Fa.wav"]
    assert [path.name for path, _ in corpus.skipped] == ["03a01Xa.wav", "holiday.wav"]
    assert all("expected a name like" in reason for _, reason in corpus.skipped)
    assert "left out 2 files" in caplog.text


def test_nothing_left_after_skipping(make_files):
    with pytest.raises(CorpusError, match="no utterance of emodb"):
        load_corpus(emodb(make_files("holiday.wav"), on_error="skip"))


def test_hidden_files_are_passed_over(make_files):
    folder = make_files("03a01Fa.wav", "._03a01Fa.wav", ".trash/03a01Wa.wav")
    assert len(load_corpus(emodb(folder)).utterances) == 1


def test_spaces_and_other_scripts_in_paths(make_files, tmp_path):
    folder = make_files("甲/高兴/一 号.wav", "乙/生气/二.wav", folder=tmp_path / "Mein Körpus 语料")
    config = CorpusConfig(name="folders", data_dir=str(folder))
    corpus = load_corpus(config)
    assert sorted((u.speaker, u.label) for u in corpus.utterances) == [("乙", "生气"), ("甲", "高兴")]
    assert corpus.labels == tuple(sorted(("高兴", "生气")))
    merged = load_corpus(replace(config, label_map={"好": ["高兴"], "坏": ["生气"]}))
    assert merged.labels == ("好", "坏")
