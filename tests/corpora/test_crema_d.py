import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Skipped
from lightsernet_tf.corpora.crema_d import LABEL_OF, READER, SENTENCE_OF


def config(folder):
    return CorpusConfig(name="crema_d", data_dir=str(folder))


def test_every_field(make_files):
    folder = make_files("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1091_IEO_SAD_HI.wav")
    first, second = load_corpus(config(folder)).utterances
    assert (first.label, first.speaker) == ("anger", "1001")
    assert first.attributes == {"sentence": "Don't forget a jacket", "level": "unspecified"}
    assert (second.label, second.speaker) == ("sadness", "1091")
    assert second.attributes == {"sentence": "It's eleven o'clock", "level": "high"}


def test_every_code(make_files):
    codes = zip([*LABEL_OF] * 2, SENTENCE_OF, ["LO", "MD", "HI", "XX"] * 3, strict=True)
    folder = make_files(*(f"1002_{sentence}_{emotion}_{level}.wav" for emotion, sentence, level in codes))
    corpus = load_corpus(config(folder))
    assert corpus.labels == READER.labels == ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
    assert {u.attributes["sentence"] for u in corpus.utterances} == set(SENTENCE_OF.values())
    assert {u.attributes["level"] for u in corpus.utterances} == {"low", "medium", "high", "unspecified"}


def test_the_one_published_file_with_a_short_level(make_files):
    (utterance,) = load_corpus(config(make_files("1040_ITH_SAD_X.wav"))).utterances
    assert utterance.attributes["level"] == "unspecified"


@pytest.mark.parametrize(
    "name", ["1001_DFA_JOY_XX.wav", "1001_ABC_ANG_XX.wav", "1001_DFA_ANG.wav", "101_DFA_ANG_XX.wav"]
)
def test_other_names(make_files, name):
    (entry,) = READER.read(config(make_files(name)))
    assert isinstance(entry, Skipped)
