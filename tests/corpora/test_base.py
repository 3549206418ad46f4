import os
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


def test_find_audio_looks_below_and_in_order(make_files):
    folder = make_files("b/2.wav", "b/1.WAV", "a.wav", "c.flac")
    assert [path.relative_to(folder).as_posix() for path in find_audio(folder, "x.wav")] == [
        "a.wav",
        "b/1.WAV",
        "b/2.wav",
    ]
    assert [path.name for path in find_audio(folder, "x", (".flac",))] == ["c.flac"]


def test_find_audio_says_what_it_looked_for(tmp_path):
    with pytest.raises(CorpusError, match=r"such as one/two\.wav.*none"):
        list(find_audio(tmp_path, "one/two.wav"))


def test_a_folder_that_may_not_be_read_is_no_silent_loss(make_files, monkeypatch):
    folder = make_files("ann/1.wav", "bob/1.wav")
    scan = os.scandir

    def scandir(path):
        if Path(path).name == "bob":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(CorpusError, match=r"bob: expected a folder that can be read\. Received: Permission denied"):
        list(find_audio(folder, "x.wav"))


def test_links_are_followed_but_not_in_circles(make_files, tmp_path):
    folder = make_files("corpus/ann/1.wav", "elsewhere/2.wav") / "corpus"
    (folder / "bob").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "ann" / "up").symlink_to(folder, target_is_directory=True)
    (tmp_path / "elsewhere" / "self").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    found = [path.relative_to(folder).as_posix() for path in find_audio(folder, "x.wav")]
    assert found == ["ann/1.wav", "bob/2.wav"]


def test_unparsable_names_the_layout_and_the_file():
    assert unparsable(Path("/a/b/c/d.wav"), "x_y.wav").reason == "expected a name like x_y.wav. Received: b/c/d.wav"
