"""Decoding is held against soundfile, resampling against soxr."""

import random
import struct

import numpy as np
import pytest
import soundfile
import soxr

from lightsernet_tf.audio.decoding import decode, load_waveform
from lightsernet_tf.errors import AudioError

RATE_HZ = 16000


def speech_like(seconds=0.5, rate_hz=RATE_HZ, channels=1):
    """Tones and noise, different in each channel: [samples, channels]."""
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    tones = [0.4 * np.sin(2 * np.pi * (220 + 130 * channel) * time) for channel in range(channels)]
    noise = 0.05 * np.random.default_rng(1).standard_normal((len(time), channels))
    return np.stack(tones, axis=1) + noise


def problem_of(path, min_samples=1):
    ((waveform, problem),) = decode([path], RATE_HZ, min_samples=min_samples)
    assert waveform.shape == (0,) or not problem.numpy()
    return problem.numpy().decode()


ENCODINGS = [
    ("WAV", "PCM_U8", "wav"),
    ("WAV", "PCM_16", "wav"),
    ("WAV", "PCM_24", "wav"),
    ("WAV", "PCM_32", "wav"),
    ("WAV", "FLOAT", "wav"),
    ("WAV", "DOUBLE", "wav"),
    ("WAV", "ULAW", "wav"),
    ("WAVEX", "PCM_16", "wav"),
    ("WAVEX", "PCM_24", "wav"),
    ("WAVEX", "PCM_32", "wav"),
    ("WAVEX", "FLOAT", "wav"),
    ("RF64", "PCM_16", "wav"),
    ("FLAC", "PCM_16", "flac"),
    ("FLAC", "PCM_24", "flac"),
    ("MP3", "MPEG_LAYER_III", "mp3"),
    ("OGG", "VORBIS", "ogg"),
    ("AIFF", "PCM_16", "aiff"),
]


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(("container", "encoding", "ending"), ENCODINGS)
def test_every_encoding_is_read_as_soundfile_reads_it(tmp_path, container, encoding, ending, channels):
    if container == "MP3" and channels > 2:
        pytest.skip("MP3 has two channels at most")
    path = tmp_path / f"clip.{ending}"
    soundfile.write(path, speech_like(channels=channels), RATE_HZ, format=container, subtype=encoding)
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1)
    waveform = load_waveform(path, RATE_HZ)
    assert waveform.dtype == np.float32
    assert np.ptp(waveform) > 0.5
    np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("encoding", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("samples", [1, 2, 4999, 5001])
def test_odd_and_tiny_lengths_are_read_as_soundfile_reads_them(tmp_path, encoding, samples):
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech_like()[:samples], RATE_HZ, subtype=encoding)
    np.testing.assert_array_equal(load_waveform(path, RATE_HZ), soundfile.read(path, dtype="float32")[0])


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize(("encoding", "ending"), [("PCM_16", "wav"), ("DOUBLE", "wav"), ("PCM_24", "flac")])
def test_other_rates_are_resampled_as_soxr_does(tmp_path, rate_hz, encoding, ending):
    path = tmp_path / f"clip.{ending}"
    soundfile.write(path, speech_like(rate_hz=rate_hz, channels=2), rate_hz, subtype=encoding)
    mono = soundfile.read(path, dtype="float32")[0].mean(axis=1)
    expected = mono if rate_hz == RATE_HZ else soxr.resample(mono, rate_hz, RATE_HZ, quality="HQ")
    waveform = load_waveform(path, RATE_HZ)
    assert len(waveform) == pytest.approx(0.5 * RATE_HZ, abs=1)
    np.testing.assert_allclose(waveform, expected, rtol=0, atol=1e-6)


def test_the_pipeline_keeps_the_order_and_goes_on_after_bad_files(tmp_path):
    paths = []
    for index in range(20):
        path = tmp_path / f"{index}.wav"
        if index % 5 == 3:
            path.write_text("no audio at all")
        else:
            soundfile.write(path, np.full(100 + index, 0.5), RATE_HZ)
        paths.append(path)
    for index, (waveform, problem) in enumerate(decode(paths, RATE_HZ)):
        assert len(waveform) == (0 if index % 5 == 3 else 100 + index)
        assert bool(problem.numpy()) == (index % 5 == 3)


def test_no_paths_make_an_empty_dataset():
    assert list(decode([], RATE_HZ)) == []


@pytest.mark.parametrize("name", ["with space.wav", "快乐 und fröhlich.wav", "no ending", "clip.raw", "clip.mp3"])
def test_a_file_may_have_any_name(tmp_path, name):
    path = tmp_path / "Ärger und 悲伤" / name
    path.parent.mkdir()
    soundfile.write(path, speech_like(), RATE_HZ, format="WAV", subtype="PCM_32")
    assert len(load_waveform(path, RATE_HZ)) == RATE_HZ // 2
    soundfile.write(path, speech_like(), RATE_HZ, format="WAV", subtype="PCM_16")
    assert problem_of(path) == ""


def test_other_chunks_before_and_after_the_samples_are_passed_over(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech_like(), RATE_HZ)
    plain, expected = path.read_bytes(), load_waveform(path, RATE_HZ)
    odd = b"note" + struct.pack("<I", 3) + b"abc\0"
    path.write_bytes(plain[:12] + odd + plain[12:36] + odd + plain[36:] + odd)
    np.testing.assert_array_equal(load_waveform(path, RATE_HZ), expected)


def test_a_streamed_wav_of_unknown_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech_like(), RATE_HZ)
    expected = load_waveform(path, RATE_HZ)
    contents = bytearray(path.read_bytes())
    contents[4:8] = contents[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(contents)
    np.testing.assert_array_equal(load_waveform(path, RATE_HZ), expected)


def test_digital_silence_is_fine(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(5000), RATE_HZ)
    np.testing.assert_array_equal(load_waveform(path, RATE_HZ), np.zeros(5000))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1000])


def damage(path):
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2 :] = bytes(len(contents) - len(contents) // 2)
    path.write_bytes(contents)


def promise_too_much(path):
    contents = bytearray(path.read_bytes())
    contents[22:26] = b"\xff\xff\xff\xff"  # the lower bits of FLAC's number of samples
    path.write_bytes(contents)


@pytest.mark.parametrize(
    ("spoil", "ending", "message"),
    [
        (lambda path: path.unlink(), "wav", "expected an audio file, received: No such file or directory"),
        (lambda path: (path.unlink(), path.mkdir()), "wav", "expected an audio file, received: Is a directory"),
        (lambda path: path.write_bytes(b""), "wav", "expected audio, received an empty file"),
        (lambda path: path.write_text("not audio\n" * 99), "wav", "expected audio that can be decoded, received"),
        (lambda path: path.write_text("not audio\n" * 99), "mp3", "expected audio that can be decoded, received"),
        (lambda path: path.write_bytes(b"RIFF\0\0\0\0WAVE"), "wav", "expected a WAV header with fmt and data"),
        (cut_short, "wav", "expected 16000 bytes of samples by its header, received 15000"),
        (cut_short, "flac", "expected"),
        (promise_too_much, "flac", "expected"),
        (damage, "flac", "expected"),
        (damage, "mp3", "expected"),
    ],
)
def test_a_bad_file_is_a_problem_that_says_what_came(tmp_path, spoil, ending, message):
    path = tmp_path / f"clip.{ending}"
    soundfile.write(path, speech_like(), RATE_HZ)
    spoil(path)
    assert problem_of(path).startswith(message)
    with pytest.raises(AudioError, match="clip") as error:
        load_waveform(path, RATE_HZ)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("encoding", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate_hz", [RATE_HZ, 44100])
def test_samples_that_are_no_numbers_are_a_problem(tmp_path, value, encoding, rate_hz):
    path = tmp_path / "clip.wav"
    samples = speech_like()[:, 0]
    samples[77] = value
    soundfile.write(path, samples, rate_hz, subtype=encoding)
    assert problem_of(path) == "expected finite samples, received NaN or infinity"


@pytest.mark.parametrize("rate_hz", [1, 999, 800_000])
@pytest.mark.parametrize("encoding", ["PCM_16", "PCM_32"])
def test_a_rate_that_cannot_be_meant_is_a_problem(tmp_path, rate_hz, encoding):
    path = tmp_path / "clip.wav"
    soundfile.write(path, speech_like(), rate_hz, subtype=encoding)
    assert problem_of(path) == f"expected a sample rate of 1000 to 768000 Hz, received {rate_hz}"


@pytest.mark.parametrize(("samples", "encoding"), [(0, "PCM_16"), (0, "DOUBLE"), (1023, "PCM_16"), (1023, "PCM_24")])
def test_too_few_samples_are_a_problem(tmp_path, samples, encoding):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.full(samples, 0.1), RATE_HZ, subtype=encoding)
    assert problem_of(path, 1024) == f"expected at least 1024 samples at 16000 Hz, received {samples}"
    soundfile.write(path, np.full(1024, 0.1), RATE_HZ, subtype=encoding)
    assert problem_of(path, 1024) == ""


@pytest.mark.parametrize("encoding", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"])
def test_a_damaged_header_never_ends_the_pipeline(tmp_path, encoding):
    whole = tmp_path / "whole.wav"
    soundfile.write(whole, speech_like(channels=2), RATE_HZ, subtype=encoding)
    chance = random.Random(7)
    paths = []
    for index in range(60):
        contents = bytearray(whole.read_bytes())
        for _ in range(chance.randint(1, 3)):
            contents[chance.randrange(12, 60)] = chance.choice([0, 1, 2, 16, 127, 128, 255])
        paths.append(tmp_path / f"{index}.wav")
        paths[-1].write_bytes(contents)
    seen = [(len(waveform), problem.numpy()) for waveform, problem in decode([*paths, whole], RATE_HZ)]
    assert len(seen) == 61
    assert all((count == 0) == bool(problem) for count, problem in seen)
    assert seen[-1] == (8000, b"")
