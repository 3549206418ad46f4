import unicodedata

import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora import load_corpus
from lightsernet_tf.corpora.base import Skipped
from lightsernet_tf.corpora.folders import read
from lightsernet_tf.errors import ConfigError, CorpusError


def config(folder, template):
    return CorpusConfig(name="folders", data_dir=str(folder), template=template)


def only(folder, template):
    (entry,) = read(config(folder, template))
    return entry


@pytest.mark.parametrize(
    ("name", "template", "speaker", "label"),
    [
        ("ann/joy/1.wav", "{speaker}/{label}/{name}.wav", "ann", "joy"),
        ("joy/ann_007.wav", "{label}/{speaker}_{name}.wav", "ann", "joy"),
        ("joy/ann_007_b.wav", "{label}/{speaker}_{name}.wav", "ann", "joy"),
        ("data/x1/ann/joy.flac", "data/*/{speaker}/{label}.flac", "ann", "joy"),
        ("ann/joy/ann-1.ogg", "{speaker}/{label}/{speaker}-*.ogg", "ann", "joy"),
        ("ann/joy/1.mp3", "{speaker}/{label}/{name}.*", "ann", "joy"),
        ("ann/joy/1.WAV", "{speaker}/{label}/{name}.wav", "ann", "joy"),
        ("ann b/great joy/1 (2).wav", "{speaker}/{label}/{name}.wav", "ann b", "great joy"),
        ("甲/高兴/一.wav", "{speaker}/{label}/{name}.wav", "甲", "高兴"),
        ("ann.b/joy/1.2.wav", "{speaker}/{label}/{name}.wav", "ann.b", "joy"),
    ],
)
def test_templates(make_files, name, template, speaker, label):
    entry = only(make_files(name), template)
    assert (entry.speaker, entry.label) == (speaker, label)


def test_name_is_an_attribute(make_files):
    assert only(make_files("ann/joy/take 1.wav"), "{speaker}/{label}/{name}.wav").attributes == {"name": "take 1"}


@pytest.mark.parametrize(
    ("name", "template"),
    [
        ("joy/1.wav", "{speaker}/{label}/{name}.wav"),
        ("a/b/c/1.wav", "{speaker}/{label}/{name}.wav"),
        ("ann/joy/bob-1.wav", "{speaker}/{label}/{speaker}-{name}.wav"),
        ("annXjoy.wav", "{speaker}.{label}.wav"),
    ],
)
def test_paths_of_another_layout(make_files, name, template):
    entry = only(make_files(name), template)
    assert isinstance(entry, Skipped)
    assert template in entry.reason
    assert name in entry.reason


def test_only_the_format_of_the_template_is_read(make_files):
    folder = make_files("ann/joy/1.wav", "ann/joy/1.flac")
    assert only(folder, "{speaker}/{label}/{name}.flac").path.suffix == ".flac"
    assert len(list(read(config(folder, "{speaker}/{label}/{name}.*")))) == 2


def test_decomposed_names_equal_composed_ones(make_files):
    decomposed = unicodedata.normalize("NFD", "Zoë/fröhlich/1.wav")
    assert decomposed != unicodedata.normalize("NFC", decomposed)
    corpus = load_corpus(config(make_files(decomposed), "{speaker}/{label}/{name}.wav"))
    assert corpus.labels == (unicodedata.normalize("NFC", "fröhlich"),)
    assert corpus.utterances[0].speaker == unicodedata.normalize("NFC", "Zoë")
    assert corpus.utterances[0].path.is_file()


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{label}/{name}.wav", "without speaker.*manifest"),
        ("{name}.wav", "without speaker and label"),
        ("{speaker}/{emotion}/{name}.wav", r"\{speaker\}, \{label\}, \{name\}.*\{emotion\}"),
        ("{speaker}/{label}/{name}", "an ending of .wav"),
        ("{speaker}/{label}/{name}.txt", "an ending of .wav"),
    ],
)
def test_templates_that_cannot_work(make_files, template, message):
    with pytest.raises(ConfigError, match=message):
        only(make_files("ann/joy/1.wav"), template)


def test_no_file_of_that_format(make_files):
    with pytest.raises(CorpusError, match=r"\{speaker\}/\{label\}/\{name\}\.ogg.*none"):
        only(make_files("ann/joy/1.wav"), "{speaker}/{label}/{name}.ogg")
