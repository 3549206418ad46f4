import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Skipped
from lightsernet_tf.corpora.casia import READER


def config(folder):
    return CorpusConfig(name="casia", data_dir=str(folder))


def test_every_field(make_files):
    emotions = ("angry", "fear", "happy", "neutral", "sad", "surprise")
    corpus = load_corpus(config(make_files(*(f"wangzhe/{emotion}/201.wav" for emotion in emotions))))
    assert corpus.labels == READER.labels == ("anger", "fear", "happiness", "neutral", "sadness", "surprise")
    assert tuple(u.label for u in corpus.utterances) == READER.labels
    assert {(u.speaker, u.attributes["sentence"]) for u in corpus.utterances} == {("wangzhe", 201)}


def test_nobody_is_two_speakers(make_files):
    same_text = ("liuchanhg", "wangzhe", "zhaoquanyin", "ZhaoZuoxiang")
    own_text = ("Chang.Liu", "Zhe.Wang", "Quanyin.Zhao", "Zuoxiang.Zhao")
    folder = make_files(
        *(f"相同文本300/{speaker}/neutral/201.wav" for speaker in same_text),
        *(f"不同文本100/{speaker}/normal/001.wav" for speaker in own_text),
    )
    corpus = load_corpus(config(folder))
    assert {u.speaker for u in corpus.utterances} == {"liuchanghong", "wangzhe", "zhaoquanyin", "zhaozuoxiang"}
    assert corpus.labels == ("neutral",)


@pytest.mark.parametrize("name", ["wangzhe/joy/201.wav", "somebody/angry/201.wav", "wangzhe/angry/a.wav", "201.wav"])
def test_other_names(make_files, name):
    (entry,) = READER.read(config(make_files(name)))
    assert isinstance(entry, Skipped)
