import contextlib
import importlib.metadata
import io
import sys
import types

import numpy as np
import pytest
import soundfile

from lightsernet_tf.errors import AudioError, ConfigError, ModelError
from lightsernet_tf.predict import recordings as predicting
from lightsernet_tf.predict.prediction import SILENCE, Decision
from lightsernet_tf.predict.recognizer import EmotionRecognizer
from lightsernet_tf.predict.recordings import (
    SHIPPED_MODEL,
    Recording,
    chunks_of,
    find_recordings,
    joined,
    read_file,
    read_pcm,
    recognize,
    record,
    shipped_model,
    timeline,
)
from tests import device

RATE_HZ = device.RATE_HZ


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory):
    return EmotionRecognizer(device.write_model(tmp_path_factory.mktemp("model") / "predicting.tflite"))


class InstalledFile(str):
    """What importlib.metadata tells of a file: its name, and where it lies."""

    def locate(self):
        return self


def test_in_a_checkout_the_shipped_model_lies_beside_the_package(tmp_path, monkeypatch):
    (tmp_path / "tflite").mkdir()
    model = tmp_path / "tflite" / SHIPPED_MODEL
    model.write_bytes(b"x")
    monkeypatch.setattr(predicting, "__file__", str(tmp_path / "lightsernet_tf" / "predict" / "recordings.py"))
    assert shipped_model() == model


def test_installed_the_shipped_model_is_found_by_the_installer_s_list(tmp_path, monkeypatch):
    model = tmp_path / "share" / "lightsernet_tf" / SHIPPED_MODEL
    model.parent.mkdir(parents=True)
    model.write_bytes(b"x")
    (tmp_path / "lib").mkdir()
    listed = [tmp_path / "lib" / "__init__.py", tmp_path / "gone" / SHIPPED_MODEL, ""]
    listed[-1] = f"{tmp_path}/lib/../share/lightsernet_tf/{SHIPPED_MODEL}"
    monkeypatch.setattr(predicting, "__file__", str(tmp_path / "lib" / "lightsernet_tf" / "predict" / "recordings.py"))
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [InstalledFile(path) for path in listed])
    assert shipped_model() == model


@pytest.mark.parametrize("installed", ["without", "without a list", "not at all"])
def test_without_a_shipped_model_one_must_be_named(tmp_path, monkeypatch, installed):
    def files(name):
        if installed == "not at all":
            raise importlib.metadata.PackageNotFoundError(name)
        return None if installed == "without a list" else [InstalledFile(tmp_path / "__init__.py")]

    monkeypatch.setattr(predicting, "__file__", str(tmp_path / "lightsernet_tf" / "predict" / "recordings.py"))
    monkeypatch.setattr(importlib.metadata, "files", files)
    with pytest.raises(ModelError, match=f"--model: expected a .tflite file, as {SHIPPED_MODEL} did not come"):
        shipped_model()


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_a_folder_stands_for_the_sound_files_below_it(tmp_path):
    wanted = [tmp_path / "a.wav", tmp_path / "b" / "c.FLAC"]
    touch(*wanted, tmp_path / "notes.txt")
    assert find_recordings([tmp_path]) == wanted


def test_files_are_taken_as_they_are_named(tmp_path):
    touch(tmp_path / "in" / "a.wav")
    names = [tmp_path / "notes.txt", tmp_path / "in", tmp_path / "notes.txt"]
    assert find_recordings(names) == [names[0], tmp_path / "in" / "a.wav", names[0]]


def test_a_folder_without_sound_files_is_refused(tmp_path):
    touch(tmp_path / "notes.txt")
    with pytest.raises(AudioError, match="expected sound files") as error:
        find_recordings([tmp_path])
    assert str(error.value).startswith(f"{tmp_path}: ")


def test_a_file_is_heard_as_the_recogniser_hears_its_samples(tmp_path, recognizer):
    path = tmp_path / "a.flac"
    soundfile.write(path, np.repeat(device.sounds(1, 22050).T, 2, axis=1), 44100)
    recording = read_file(path)
    assert recording.samples.shape == (22050, 2)
    result = recognize(recognizer, recording)
    assert result.source == str(path)
    assert result.prediction == recognizer.predict(recording.samples, 44100)


def test_what_cannot_be_heard_is_a_problem(recognizer):
    result = recognize(recognizer, Recording("short", np.full((10, 1), 0.1), RATE_HZ))
    assert result.prediction is None
    assert result.problem == "waveform: expected at least 1024 samples at 16000 Hz. Received: 10"


def test_a_timeline_hears_a_recording_piece_by_piece(recognizer):
    recording = Recording("a", device.sounds(1, RATE_HZ).T, RATE_HZ)
    results = list(timeline(recognizer, "a", chunks_of(recording), RATE_HZ, hop_seconds=0.25))
    assert [result.prediction.end_seconds for result in results] == [0.25, 0.5, 0.75, 1.0]
    stream = recognizer.stream(RATE_HZ, 0.25)
    assert [result.prediction for result in results] == stream.feed(recording.samples) + stream.finish()


def test_decisions_come_before_the_next_chunk_is_asked_for(recognizer):
    chunks = iter(device.sounds(3, 4000))
    results = timeline(recognizer, "a", chunks, RATE_HZ, hop_seconds=0.25)
    assert isinstance(next(results).prediction, Decision)
    assert len(list(chunks)) == 2


def test_a_silent_timeline_says_so(recognizer):
    (result,) = timeline(recognizer, "a", [np.zeros(8000, np.int16)], RATE_HZ)
    assert result.prediction.label == SILENCE


@pytest.mark.parametrize(
    ("chunks", "rate_hz", "problem"),
    [
        ([], RATE_HZ, "waveform: expected at least 0.064 s. Received: 0.000 s"),
        ([np.zeros((800, 2))], RATE_HZ, "waveform: expected at least 0.064 s. Received: 0.050 s"),
        ([np.array([np.nan])], RATE_HZ, "waveform: expected finite samples"),
        ([np.zeros(8000)], 999, "sample_rate_hz: expected a whole number from 1000 to 768000"),
    ],
)
def test_a_timeline_that_cannot_be_heard_is_a_problem(recognizer, chunks, rate_hz, problem):
    (result,) = timeline(recognizer, "a", chunks, rate_hz)
    assert result.prediction is None
    assert result.problem.startswith(problem)


class Pipe(io.RawIOBase):
    """Gives its pieces one by one, as a pipe does."""

    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def readable(self):
        return True

    def readinto(self, buffer):
        piece = self.pieces.pop(0) if self.pieces else b""
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("encoding", ["s16le", "s32le", "f32le"])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_raw_samples_are_the_same_however_they_arrive(encoding, channels, size):
    samples = np.arange(60 * channels).reshape(60, channels).astype(predicting.ENCODINGS[encoding])
    content = samples.tobytes() + b"x"  # one byte too many
    pieces = [content[start : start + size] for start in range(0, len(content), size)]
    chunks = list(read_pcm(io.BufferedReader(Pipe(*pieces)), encoding, channels, RATE_HZ))
    received = joined(chunks, channels)
    assert received.dtype == samples.dtype
    np.testing.assert_array_equal(received, samples)


@pytest.mark.parametrize("content", [b"", b"x", b"xyz"])
def test_less_than_a_frame_is_nothing(content):
    assert joined(list(read_pcm(io.BytesIO(content), "s32le", 1, RATE_HZ)), 1).shape == (0, 1)


def test_four_bytes_are_two_samples():
    assert joined(list(read_pcm(io.BytesIO(b"\1\0\2\0"), "s16le", 1, RATE_HZ)), 1).tolist() == [[1], [2]]


@pytest.mark.parametrize("start", [b"RIFF", b"fLaC", b"OggS", b"RF64"])
@pytest.mark.parametrize("size", [1, 100])
def test_a_sound_file_is_not_taken_for_raw_samples(start, size):
    content = start + bytes(100)
    pieces = [content[first : first + size] for first in range(0, len(content), size)]
    with pytest.raises(AudioError, match=r"expected raw samples, s16le\. Received: a sound file"):
        next(read_pcm(io.BufferedReader(Pipe(*pieces)), "s16le", 1, RATE_HZ))


def fake_sounddevice(monkeypatch, **content):
    module = types.ModuleType("sounddevice")
    module.PortAudioError = type("PortAudioError", (Exception,), {})
    for name, value in content.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_the_microphone_is_heard_as_it_speaks(monkeypatch):
    opened = []

    class InputStream:
        def __init__(self, *, samplerate, channels, dtype, callback):
            opened.append((samplerate, channels, dtype))
            buffer = np.ones((3, 1), np.float32)
            callback(buffer, 3, None, None)
            buffer[:] = 2  # PortAudio uses its buffer again
            callback(buffer, 3, None, None)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            opened.append("closed")

    fake_sounddevice(monkeypatch, InputStream=InputStream)
    chunks = record(RATE_HZ)
    assert [next(chunks).tolist(), next(chunks).tolist()] == [[[1], [1], [1]], [[2], [2], [2]]]
    chunks.close()
    assert opened == [(RATE_HZ, 1, "float32"), "closed"]


def test_without_sounddevice_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(ConfigError, match=r"--microphone: .*pip install sounddevice.*apt install libportaudio2"):
        next(record(RATE_HZ))


def test_without_portaudio_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library\\nnot found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(ConfigError, match=r"libportaudio2.*Received: PortAudio library not found"):
        next(record(RATE_HZ))


def test_without_a_microphone_a_sentence_says_so(monkeypatch):
    def refuse(**_):
        raise module.PortAudioError("Error querying device -1")

    module = fake_sounddevice(monkeypatch, InputStream=refuse)
    with pytest.raises(
        ConfigError,
        match=r"--microphone: expected a microphone that gives \d+ Hz \(--rate\)\. Received: Error querying device -1",
    ):
        next(record(RATE_HZ))


def test_a_microphone_that_gives_nothing_ends_with_a_sentence(monkeypatch):
    monkeypatch.setattr(predicting, "_SILENT_MICROPHONE_SECONDS", 0.05)
    fake_sounddevice(monkeypatch, InputStream=lambda **_: contextlib.nullcontext())
    with pytest.raises(ConfigError, match=r"--microphone: expected samples\. Received: none for 0\.05 s"):
        next(record(RATE_HZ))


def test_a_listener_who_falls_behind_loses_samples_and_no_memory(monkeypatch):
    monkeypatch.setattr(predicting, "_MOST_WAITING", 3)

    def flood(callback, **_):
        for number in range(10):
            callback(np.full((4, 1), number, np.float32), 4, None, None)
        return contextlib.nullcontext()

    monkeypatch.setattr(predicting, "_SILENT_MICROPHONE_SECONDS", 0.05)
    fake_sounddevice(monkeypatch, InputStream=flood)
    heard = record(RATE_HZ)
    assert [next(heard)[0, 0] for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ConfigError, match="expected samples"):
        next(heard)
