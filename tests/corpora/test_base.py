from pathlib import Path

import pytest

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Utterance, choose_labels, find_audio, unparsable
from lightsernet_tf.errors import CorpusError

UTTERANCES = [Utterance(Path(f"{number}.wav"), label, "s") for number, label in enumerate("bca")]


@pytest.mark.parametrize(
    ("settings", "documented", "labels"),
    [
        ({"label_map": {"z": ["a"], "y": ["b", "c"]}}, "cab", ("z", "y")),
        ({"labels": ("b", "c", "a")}, "cab", ("b", "c", "a")),
        ({}, "dcab", ("c", "a", "b")),
        ({}, "", ("a", "b", "c")),
        ({"drop_labels": ("c",)}, "", ("a", "b")),
    ],
)
def test_order_of_the_labels(settings, documented, labels):
    config = CorpusConfig(name="folders", data_dir="x", **settings)
    kept, chosen = choose_labels(UTTERANCES, config, tuple(documented))
    assert chosen == labels
    assert {utterance.label for utterance in kept} == set(labels)


def test_a_label_found_beside_the_documented_ones_is_not_lost():
    _, labels = choose_labels(UTTERANCES, CorpusConfig(), ("b",))
    assert labels == ("b", "a", "c")


def test_find_audio_says_what_it_looked_for(tmp_path):
    with pytest.raises(CorpusError, match=r"such as one/two\.wav.*none"):
        list(find_audio(tmp_path, "one/two.wav"))


def test_unparsable_names_the_layout_and_the_file():
    assert unparsable(Path("/a/b/c/d.wav"), "x_y.wav").reason == "expected a name like x_y.wav. Received: b/c/d.wav"
