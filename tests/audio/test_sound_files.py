"""Reading is held against soundfile itself; what training makes of a damaged file is in test_decoding.py."""

import os
import sys

import numpy as np
import pytest
import soundfile

from lightsernet_tf.audio.sound_files import find_sound_files, read_sound_file
from lightsernet_tf.errors import AudioError

RATE_HZ = 22050
ENCODINGS = [
    ("WAV", "PCM_U8", "wav"),
    ("WAV", "PCM_16", "wav"),
    ("WAV", "PCM_24", "wav"),
    ("WAV", "PCM_32", "wav"),
    ("WAV", "FLOAT", "wav"),
    ("WAV", "DOUBLE", "wav"),
    ("WAV", "ULAW", "wav"),
    ("WAVEX", "PCM_24", "wav"),
    ("RF64", "PCM_16", "wav"),
    ("FLAC", "PCM_16", "flac"),
    ("FLAC", "PCM_24", "flac"),
    ("MP3", "MPEG_LAYER_III", "mp3"),
    ("OGG", "VORBIS", "ogg"),
    ("AIFF", "PCM_16", "aiff"),
    ("AU", "PCM_16", "au"),
]


def noise(samples=3000, channels=2):
    return 0.1 * np.random.default_rng(0).standard_normal((samples, channels))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("container", "encoding", "ending"), ENCODINGS)
def test_every_encoding_is_read_with_its_channels_and_rate(tmp_path, container, encoding, ending, channels):
    path = tmp_path / f"clip.{ending}"
    soundfile.write(path, noise(channels=channels), RATE_HZ, format=container, subtype=encoding)
    samples, rate_hz = read_sound_file(path)
    assert rate_hz == RATE_HZ
    assert samples.dtype == np.float32
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-7)


def test_the_content_counts_and_not_the_ending_of_the_name(tmp_path):
    path = tmp_path / "wütend 声"
    soundfile.write(path, noise(), RATE_HZ, format="FLAC")
    assert len(read_sound_file(path)[0]) == 3000


def test_more_than_one_block_is_read_whole(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, noise(200_001, 1), RATE_HZ)
    assert read_sound_file(path)[0].shape == (200_001, 1)


def test_a_file_without_samples_has_none(tmp_path):
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros((0, 2)), RATE_HZ)
    assert read_sound_file(path)[0].shape == (0, 2)


def cut(path):
    soundfile.write(path, noise(), RATE_HZ)
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "expected an audio file, received: No such file or directory"),
        (lambda path: path.mkdir(), "expected an audio file, received: Is a directory"),
        (lambda path: os.mkfifo(path), "expected an audio file, received: a pipe or a device"),
        (lambda path: path.symlink_to("/dev/null"), "expected an audio file, received: a pipe or a device"),
        (lambda path: path.symlink_to(path.name), "expected an audio file, received: Too many levels"),
        (lambda path: path.write_bytes(b""), "expected audio, received an empty file"),
        (lambda path: path.write_text("no sound\n" * 99), "expected audio that can be decoded, received: "),
        (cut, "expected 12000 bytes of samples by its header, received 11000"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_the_file(tmp_path, make, message):
    path = tmp_path / "clip.wav"
    make(path)
    with pytest.raises(AudioError) as error:
        read_sound_file(path)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_samples_that_a_header_promises_in_vain_are_missed(tmp_path):
    path = tmp_path / "clip.flac"
    soundfile.write(path, noise(), RATE_HZ)
    contents = bytearray(path.read_bytes())
    contents[22:26] = b"\x00\x00\x20\x00"
    path.write_bytes(contents)
    with pytest.raises(AudioError, match=r"clip\.flac: expected"):
        read_sound_file(path)


@pytest.mark.parametrize("broken", ["raise ImportError('no such\\nmodule')", "raise OSError('no libsndfile.so')"])
def test_without_soundfile_a_sentence_says_what_to_install(tmp_path, monkeypatch, broken):
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise(), RATE_HZ)
    (tmp_path / "soundfile.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "soundfile")
    with pytest.raises(AudioError) as error:
        read_sound_file(path)
    expected = f"{path}: expected soundfile to read it with (pip install soundfile), received: no "
    assert str(error.value).startswith(expected)
    assert "\n" not in str(error.value)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def found_in(folder, *suffixes):
    return [path.relative_to(folder).as_posix() for path in find_sound_files(folder, *suffixes)]


def test_sound_files_are_found_below_a_folder_and_sorted(tmp_path):
    folder = touch(tmp_path, "b/2.wav", "b/1.WAV", "ü 声.mp3", "a.wav", "c.FLAC", "notes.txt", "._a.wav", ".git/x.wav")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "pipe.wav")
    (folder / "link to nothing.wav").symlink_to("nothing")
    assert found_in(folder) == ["a.wav", "b/1.WAV", "b/2.wav", "c.FLAC", "link to nothing.wav", "ü 声.mp3"]
    assert found_in(folder, (".flac",)) == ["c.FLAC"]


def test_links_are_followed_but_not_in_circles(tmp_path):
    folder = touch(tmp_path, "corpus/ann/1.wav", "elsewhere/2.wav") / "corpus"
    (folder / "bob").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "ann" / "up").symlink_to(folder, target_is_directory=True)
    (tmp_path / "elsewhere" / "self").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert found_in(folder) == ["ann/1.wav", "bob/2.wav"]


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), FileNotFoundError(2, "No such file")])
def test_a_folder_that_may_not_be_read_or_vanishes_is_no_silent_loss(tmp_path, monkeypatch, error):
    touch(tmp_path, "ann/1.wav", "locked/1.wav")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            error.filename = str(path)
            raise error
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(AudioError, match=r"locked: expected a folder that can be read\. Received: ") as raised:
        find_sound_files(tmp_path)
    assert str(raised.value).endswith(error.strerror)
