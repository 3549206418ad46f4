import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Skipped
from lightsernet_tf.corpora.tess import LABEL_OF, READER


def config(folder):
    return CorpusConfig(name="tess", data_dir=str(folder))


def test_every_field(make_files):
    folder = make_files("OAF_angry/OAF_back_angry.wav", "YAF_pleasant_surprised/YAF_youth_ps.wav")
    older, younger = load_corpus(config(folder)).utterances
    assert (older.label, older.speaker) == ("anger", "OAF")
    assert older.attributes == {"word": "back", "sex": "female", "age_years": 64}
    assert (younger.label, younger.speaker) == ("surprise", "YAF")
    assert younger.attributes == {"word": "youth", "sex": "female", "age_years": 26}


def test_every_emotion(make_files):
    corpus = load_corpus(config(make_files(*(f"OAF_back_{emotion}.wav" for emotion in LABEL_OF))))
    assert corpus.labels == READER.labels == ("anger", "disgust", "fear", "happiness", "neutral", "surprise", "sadness")


def test_the_one_misspelt_file_is_no_third_speaker(make_files):
    (utterance,) = load_corpus(config(make_files("OAF_neutral/OA_bite_neutral.wav"))).utterances
    assert (utterance.speaker, utterance.label, utterance.attributes["word"]) == ("OAF", "neutral", "bite")


@pytest.mark.parametrize("name", ["OA_back_neutral.wav", "OAF_back_joy.wav", "OAF_angry.wav"])
def test_other_names(make_files, name):
    (entry,) = READER.read(config(make_files(name)))
    assert isinstance(entry, Skipped)
