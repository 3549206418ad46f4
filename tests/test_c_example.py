"""The C example is built against the installed LiteRT and held against the same model in Python, number by number."""

import importlib.util
import io
import os
import shutil
import struct
import subprocess
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "tflite" / "example"
KIT_MODEL = ROOT / "tflite" / "light_sernet_emodb_int8.tflite"
LABELS = ("anger", "very bored", "sérénité")
RATE_HZ, WINDOW = 16000, 48000


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Return a function that compiles the example with extra options and returns the program."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: cc is not on the PATH")
    library = Path(importlib.util.find_spec("ai_edge_litert").origin).parent / "libLiteRt.so"
    if not library.exists():
        pytest.skip(f"{library} is not there: this system's wheel of ai-edge-litert has no such library")
    folder = tmp_path_factory.mktemp("c_example")

    def run(name, *options):
        strict = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")
        link = (f"-L{library.parent}", "-l:libLiteRt.so", f"-Wl,-rpath,{library.parent}")
        command = (compiler, "-O2", *strict, *options, EXAMPLE / "recognize.c", *link, "-o", folder / name)
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return folder / name

    return run


@pytest.fixture(scope="module")
def program(build):
    return build("recognize", "-DDECIMALS=6")


def graph(function, *shape, dtype=tf.float32, folder):
    module = tf.Module()
    module.call = tf.function(function, input_signature=[tf.TensorSpec(shape, dtype)])
    tf.saved_model.save(module, str(folder), signatures=module.call)
    return tf.lite.TFLiteConverter.from_saved_model(str(folder)).convert()


@pytest.fixture(scope="module")
def flatbuffer(tmp_path_factory):
    """A model whose answer depends on where in the window each sample lies: [1, samples] -> [1, classes]."""
    weights = tf.constant(np.random.default_rng(2).standard_normal((375, len(LABELS))), tf.float32)

    def stand_in(samples):
        blocks = tf.reduce_mean(tf.abs(tf.reshape(samples, [1, 375, 128])), axis=2)
        return {"probabilities": tf.nn.softmax(5 * tf.matmul(blocks, weights))}

    return graph(stand_in, 1, WINDOW, folder=tmp_path_factory.mktemp("stand_in"))


LABELS_TEXT = "".join(f"{label}\n" for label in LABELS)


def with_labels(flatbuffer, text=LABELS_TEXT, compression=zipfile.ZIP_STORED, name="labels.txt"):
    stream = io.BytesIO(flatbuffer)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("lightsernet.json", '{"format": 1}' * 20, zipfile.ZIP_DEFLATED)
        archive.writestr(name, text, compression)
    return stream.getvalue()


@pytest.fixture(scope="module")
def model(flatbuffer, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "a model.tflite"
    path.write_bytes(with_labels(flatbuffer))
    return path


def wav_bytes(samples, rate_hz=RATE_HZ, channels=1, width=2):
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return stream.getvalue()


def speech_like(count):
    """16-bit samples over the whole range, in bursts, so that a window shifted by a block shows."""
    random = np.random.default_rng(count)
    envelope = np.repeat(random.uniform(0, 1, count // 1000 + 1), 1000)[:count]
    return np.round(random.uniform(-32768, 32767, count) * envelope).astype(np.int16)


def run(program, model, wav):
    environment = {**os.environ, "LC_ALL": "C"}
    done = subprocess.run([program, model, wav], capture_output=True, env=environment, timeout=60)
    # LiteRT itself says once which kernels it uses.
    said = [line for line in done.stderr.decode().splitlines() if not line.startswith("INFO: ")]
    return done.returncode, done.stdout.decode(), said


def probabilities_of(program, model, wav):
    code, printed, said = run(program, model, wav)
    assert (code, said) == (0, [])
    found = [line.removesuffix(" %").rsplit(" ", 1) for line in printed.splitlines()]
    percents = [float(percent) for _, percent in found]
    assert percents == sorted(percents, reverse=True)
    return {label: percent / 100 for label, percent in zip((label for label, _ in found), percents, strict=True)}


def in_python(model, samples):
    waveform = np.zeros((1, WINDOW), np.float32)
    missing = WINDOW - len(samples)
    if missing > 0:
        waveform[0, missing // 2 : missing // 2 + len(samples)] = samples / np.float32(32768)
    else:
        start = -missing // 2
        waveform[0] = samples[start : start + WINDOW] / np.float32(32768)
    interpreter = Interpreter(str(model), num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], waveform)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0]


def assert_same(found, labels, expected):
    assert set(found) == set(labels)
    np.testing.assert_allclose([found[label] for label in labels], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 16001, 47999, 48000, 48001, 48255, 100001])
def test_it_gives_the_probabilities_that_python_gives(program, model, tmp_path, count):
    samples = speech_like(count)
    wav = tmp_path / "speech.wav"
    wav.write_bytes(wav_bytes(samples))
    assert_same(probabilities_of(program, model, wav), LABELS, in_python(model, samples))


def test_it_gives_what_python_gives_for_the_kit_model_and_real_speech(program, emodb_dir):
    if not KIT_MODEL.exists():
        pytest.skip(f"{KIT_MODEL} is not there")
    with zipfile.ZipFile(KIT_MODEL) as archive:
        labels = archive.read("labels.txt").decode().splitlines()
    for wav in sorted((emodb_dir / "wav").glob("*.wav"))[::60]:
        with wave.open(str(wav)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        assert_same(probabilities_of(program, KIT_MODEL, wav), labels, in_python(KIT_MODEL, samples))


def test_it_prints_one_decimal_unless_told_otherwise(build, model, tmp_path):
    wav = tmp_path / "speech.wav"
    samples = speech_like(48000)
    wav.write_bytes(wav_bytes(samples))
    expected = sorted(zip(in_python(model, samples).tolist(), LABELS, strict=True), reverse=True)
    code, printed, _ = run(build("short"), model, wav)
    assert code == 0
    assert printed == "".join(f"{label} {100 * probability:.1f} %\n" for probability, label in expected)


def test_it_calls_silence_silence(program, model, tmp_path):
    wav = tmp_path / "silent.wav"
    wav.write_bytes(wav_bytes(np.zeros(4000, np.int16)))
    assert run(program, model, wav) == (0, "silence\n", [])


def test_chunks_that_it_does_not_know_are_passed_over(program, model, tmp_path):
    samples = speech_like(30000)
    plain = wav_bytes(samples)
    odd = struct.pack("<4sI", b"LIST", 5) + b"hello\0"
    wav = tmp_path / "chunks.wav"
    wav.write_bytes(plain[:12] + odd + plain[12:36] + odd + plain[36:] + odd)
    assert_same(probabilities_of(program, model, wav), LABELS, in_python(model, samples))


def test_it_reads_the_extensible_header(program, model, tmp_path):
    samples = speech_like(30000)
    plain = wav_bytes(samples)
    subformat = struct.pack("<HHIH", 22, 16, 4, 1) + bytes.fromhex("000000001000800000aa00389b71")
    extensible = struct.pack("<4sIH", b"fmt ", 40, 0xFFFE) + plain[22:36] + subformat
    wav = tmp_path / "extensible.wav"
    wav.write_bytes(plain[:12] + extensible + plain[36:])
    assert_same(probabilities_of(program, model, wav), LABELS, in_python(model, samples))


def test_it_finds_the_labels_of_an_archive_whose_offsets_count_from_its_own_start(program, flatbuffer, tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("other.txt", "x")
        archive.writestr("labels.txt", "\r\n".join(LABELS))
        archive.comment = b"a comment"
    model, wav = tmp_path / "model.tflite", tmp_path / "speech.wav"
    model.write_bytes(flatbuffer + stream.getvalue())
    samples = speech_like(48000)
    wav.write_bytes(wav_bytes(samples))
    assert_same(probabilities_of(program, model, wav), LABELS, in_python(model, samples))


PLAIN = wav_bytes(speech_like(1000))
RECEIVED = "expected 16-bit PCM (format 1), 1 channel, 16000 Hz. Received: "
BAD_WAVS = {
    "nothing": (b"", "not a WAV file"),
    "text": (b"what is this? not a sound, that is for sure", "not a WAV file"),
    "the header's start": (PLAIN[:12], "not a WAV file with a format and samples"),
    "no samples yet": (PLAIN[:36], "not a WAV file with a format and samples"),
    "no format": (PLAIN[:12] + PLAIN[36:], "not a WAV file with a format and samples"),
    "a short format": (PLAIN[:12] + b"fmt \x04\0\0\0abcd" + PLAIN[36:], "not a WAV file with a format and samples"),
    "truncated": (PLAIN[:-7], "truncated, 7 bytes of a chunk are missing"),
    "of no samples": (wav_bytes([]), "holds no samples"),
    "another rate": (wav_bytes([1, 2], rate_hz=44100), RECEIVED + "16-bit, format 1, 1 channels, 44100 Hz"),
    "stereo": (wav_bytes([1, 2], channels=2), RECEIVED + "16-bit, format 1, 2 channels, 16000 Hz"),
    "8 bits": (wav_bytes([1, 2], width=1), RECEIVED + "8-bit, format 1, 1 channels, 16000 Hz"),
    "floats": (PLAIN[:20] + b"\3\0" + PLAIN[22:], RECEIVED + "16-bit, format 3, 1 channels, 16000 Hz"),
}


@pytest.mark.parametrize("what", BAD_WAVS)
def test_it_names_what_is_wrong_with_a_recording(program, model, tmp_path, what):
    content, problem = BAD_WAVS[what]
    wav = tmp_path / "bad.wav"
    wav.write_bytes(content)
    assert run(program, model, wav) == (2, "", [f"recognize: {wav}: {problem}"])


def test_it_names_a_file_that_cannot_be_read(program, model, tmp_path):
    missing = tmp_path / "missing"
    assert run(program, model, missing) == (2, "", [f"recognize: {missing}: cannot be opened"])
    assert run(program, missing, missing) == (2, "", [f"recognize: {missing}: cannot be opened"])
    assert run(program, model, tmp_path) == (2, "", [f"recognize: {tmp_path}: cannot be read"])


def test_it_asks_for_its_two_arguments(program):
    done = subprocess.run([program], capture_output=True, text=True)
    expected = "recognize: expected MODEL.tflite FILE.wav. Received: 0 arguments\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


BAD_ARCHIVES = {
    "no archive": (lambda model: model, "no labels (no archive at its end)"),
    "a cut archive": (lambda model: with_labels(model)[:-1], "no labels (no archive at its end)"),
    "no such file": (
        lambda model: with_labels(model, name="labels"),
        "no labels (no whole labels.txt in the archive at its end)",
    ),
    "a damaged entry": (
        lambda model: with_labels(model).replace(b"PK\3\4", b"PK\3\5"),
        "no labels (no whole labels.txt in the archive at its end)",
    ),
    "a damaged end": (
        lambda model: with_labels(model)[:-10] + b"\xff" * 8 + b"\0\0",
        "its archive is damaged",
    ),
    "compressed labels": (
        lambda model: with_labels(model, text="a\n" * 99, compression=zipfile.ZIP_DEFLATED),
        "expected its labels.txt to be stored. Received: compressed",
    ),
    "too few labels": (lambda model: with_labels(model, text="a\nb"), "expected 3 labels. Received: 2"),
    "too many labels": (lambda model: with_labels(model, text="a\nb\nc\nd"), "expected 3 labels. Received: 4"),
    "cut short": (lambda model: model[: len(model) // 2], "not a model that LiteRT loads (LiteRT status 501)"),
    "nothing": (lambda model: b"", "not a model that LiteRT loads (LiteRT status 1)"),
    "text": (lambda model: b"no model at all" * 9, "not a model that LiteRT loads (LiteRT status 501)"),
}


@pytest.mark.parametrize("what", BAD_ARCHIVES)
def test_it_names_what_is_wrong_with_a_model_file(program, flatbuffer, tmp_path, what):
    make, problem = BAD_ARCHIVES[what]
    model, wav = tmp_path / "bad.tflite", tmp_path / "speech.wav"
    model.write_bytes(make(flatbuffer))
    wav.write_bytes(PLAIN)
    assert run(program, model, wav) == (2, "", [f"recognize: {model}: {problem}"])


def three(values):
    return tf.reshape(values, [1, -1])[:, :3]


BAD_GRAPHS = {
    "an input of integers": (
        (lambda samples: {"a": tf.cast(three(samples), tf.float32)}, (1, WINDOW), tf.int32),
        "expected an input of float32 (type 1). Received: type 2",
    ),
    "an output of integers": (
        (lambda samples: {"a": tf.cast(three(samples), tf.int32)}, (1, WINDOW), tf.float32),
        "expected an output of float32 (type 1). Received: type 2",
    ),
    "features": (
        (lambda features: {"a": tf.nn.softmax(three(features))}, (1, 184, 40, 1), tf.float32),
        "expected an input of shape [1, n]. Received: [1, 184, 40, 1]",
    ),
    "two outputs": (
        (lambda samples: {"a": three(samples), "b": 2 * three(samples)}, (1, WINDOW), tf.float32),
        "expected 1 output. Received: 2",
    ),
    "no probabilities": (
        (lambda samples: {"a": three(samples) - 1.5}, (1, WINDOW), tf.float32),
        "expected probabilities. Received: -1.5 for anger",
    ),
}


@pytest.mark.parametrize("what", BAD_GRAPHS)
def test_it_refuses_a_model_of_another_kind(program, tmp_path, what):
    (function, shape, dtype), problem = BAD_GRAPHS[what]
    model, wav = tmp_path / "other.tflite", tmp_path / "speech.wav"
    model.write_bytes(with_labels(graph(function, *shape, dtype=dtype, folder=tmp_path / "saved")))
    wav.write_bytes(PLAIN)
    assert run(program, model, wav) == (2, "", [f"recognize: {model}: {problem}"])
