import logging

import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Skipped
from lightsernet_tf.corpora.ravdess import READER


def config(folder):
    return CorpusConfig(name="ravdess", data_dir=str(folder))


def test_every_field(make_files):
    folder = make_files("Actor_12/03-01-06-01-02-01-12.wav", "Actor_11/03-01-08-02-01-02-11.wav")
    odd, even = load_corpus(config(folder)).utterances
    # The example of the corpus's own description: fearful, normal intensity, "dogs", 1st repetition, actor 12.
    assert (even.label, even.speaker) == ("fear", "12")
    assert even.attributes == {
        "modality": "audio",
        "intensity": "normal",
        "statement": "Dogs are sitting by the door",
        "repetition": 1,
        "sex": "female",
    }
    assert (odd.label, odd.speaker) == ("surprise", "11")
    assert odd.attributes == {
        "modality": "audio",
        "intensity": "strong",
        "statement": "Kids are talking by the door",
        "repetition": 2,
        "sex": "male",
    }


def test_eight_emotions(make_files):
    folder = make_files(*(f"03-01-0{code}-01-01-01-01.wav" for code in range(1, 9)))
    corpus = load_corpus(config(folder))
    expected = ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
    assert tuple(utterance.label for utterance in corpus.utterances) == expected
    assert corpus.labels == READER.labels == expected


def test_songs_are_left_out_and_counted(make_files, caplog):
    folder = make_files("a/03-01-05-01-01-01-01.wav", "b/03-02-05-01-01-01-01.wav", "b/03-02-04-01-01-01-01.wav")
    with caplog.at_level(logging.INFO):
        corpus = load_corpus(config(folder))
    assert [utterance.path.name for utterance in corpus.utterances] == ["03-01-05-01-01-01-01.wav"]
    assert corpus.skipped == ()
    assert "left out 2 songs" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "03-01-09-01-01-01-01",
        "03-01-01-03-01-01-01",
        "03-01-01-01-01-01-25",
        "03-01-01-01-01-01-00",
        "03-01-01-01-01-01",
    ],
)
def test_other_names(make_files, name):
    (entry,) = READER.read(config(make_files(f"{name}.wav")))
    assert isinstance(entry, Skipped)
    assert "03-01-06-01-02-01-12.wav (modality, channel, emotion" in entry.reason
