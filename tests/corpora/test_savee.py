import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Skipped
from lightsernet_tf.corpora.savee import READER


def config(folder):
    return CorpusConfig(name="savee", data_dir=str(folder))


@pytest.mark.parametrize("layout", ["AudioData/{}/{}.wav", "ALL/{}_{}.wav"])
def test_every_field_in_both_layouts(make_files, layout):
    pairs = zip(["DC", "JE", "JK", "KL"] * 2, ["a01", "d02", "f03", "h04", "n30", "sa05", "su15"], strict=False)
    corpus = load_corpus(config(make_files(*(layout.format(*pair) for pair in pairs))))
    found = {(u.speaker, u.label, u.attributes["sentence"]) for u in corpus.utterances}
    assert found == {
        ("DC", "anger", 1),
        ("JE", "disgust", 2),
        ("JK", "fear", 3),
        ("KL", "happiness", 4),
        ("DC", "neutral", 30),
        ("JE", "sadness", 5),
        ("JK", "surprise", 15),
    }
    assert corpus.labels == READER.labels


@pytest.mark.parametrize("name", ["a01.wav", "XX_a01.wav", "DC_s01.wav", "DC/a1.wav"])
def test_other_names(make_files, name):
    (entry,) = READER.read(config(make_files(name)))
    assert isinstance(entry, Skipped)
