"""Model files: what one says of itself is read back, whatever runs .tflite files reads them, damage is named."""

import contextlib
import hashlib
import io
import json
import struct
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lightsernet_tf.errors import ModelError
from lightsernet_tf.predict.model_file import (
    DESCRIPTION,
    LABELS,
    Description,
    parse_description,
    read_description,
    read_model_file,
    with_description,
)
from tests import device

GRAPH = b"\x1c\x00\x00\x00TFL3" + bytes(range(256)) * 8  # what runs models refuses it, what reads files does not
WHOLE = {"format": 1, "model_sha256": "0", **device.document()}


def archived(text, model=GRAPH, compression=zipfile.ZIP_DEFLATED, name=DESCRIPTION):
    stream = io.BytesIO(model)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(name, text, compression)
    return stream.getvalue()


def changed(**keys):
    """Return a whole description with keys of it, or of its input, replaced; None takes one away."""
    document = json.loads(json.dumps(WHOLE))
    for key, value in keys.items():
        part = document["input"] if key in document["input"] else document
        part[key] = value
        if value is None:
            del part[key]
    return document


def refused(read, *arguments):
    with pytest.raises(ModelError) as caught:
        read(*arguments)
    message = str(caught.value)
    assert "expected" in message
    assert "Received: " in message
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_a_description_is_read_back(tmp_path):
    path = tmp_path / "ein Modell.tflite"
    document = device.document(segments="all") | {"anything": [1, None, "ü"]}
    path.write_bytes(with_description(GRAPH, document))
    file = read_model_file(path)
    assert file.path == path
    assert file.content == path.read_bytes()
    assert file.content.startswith(GRAPH)
    found = file.description
    assert found.labels == device.LABELS
    assert (found.input, found.segments) == ("waveform", "all")
    assert (found.sample_rate_hz, found.window_samples, found.min_samples) == (16000, 4800, 1024)
    assert found.document == {**document, "format": 1, "model_sha256": hashlib.sha256(GRAPH).hexdigest()}
    assert read_model_file(str(path)) == file


def test_other_programs_read_the_file_too():
    content = with_description(device.flatbuffer(), device.document())
    window = device.sounds(1)
    answers = []
    for model in (device.flatbuffer(), content):
        interpreter = Interpreter(model_content=model)
        interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    np.testing.assert_array_equal(*answers)

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [LABELS, DESCRIPTION]
        assert archive.read(LABELS).decode() == "anger\nwütend\n声\n"
        assert archive.getinfo(LABELS).compress_type == zipfile.ZIP_STORED
        assert json.loads(archive.read(DESCRIPTION))["labels"] == list(device.LABELS)
    assert "anger\nwütend\n声\n".encode() in content


def test_equal_models_are_equal_files(monkeypatch):
    first = with_description(GRAPH, device.document())
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert with_description(GRAPH, device.document()) == first
    assert with_description(GRAPH + b"\0", device.document()) != first


@pytest.mark.parametrize(
    ("labels", "told"),
    [(["a"], "two different"), (["a", "a"], "two different"), (["a", "b\n"], "lines"), (["a", "\ud800"], "lines")],
)
def test_what_could_not_be_read_back_is_not_written(labels, told):
    assert told in refused(with_description, GRAPH, device.document(labels=labels))


def test_a_file_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path / "none.tflite", tmp_path, "a\0b.tflite"):
        assert refused(read_model_file, path).startswith(f"{path}: expected a .tflite file")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (b"RIFF\0\0\0\0WAVEfmt ", "expected a TFLite model"),
        (b"TFL3", "expected a TFLite model"),
        (GRAPH, "expected a description at the end"),
        (archived("{}", name="other.json"), "no item named"),
        (archived("{"), "Expecting property name"),
        (archived(""), "Expecting value"),
        (archived(b"\xff\xfe{"), "decode"),
        (archived("[" * 1_000_000), "recursion"),
        (archived('{"format": ' + "[" * 500 + "]" * 500 + "}"), "format: expected 1"),
        (archived(json.dumps({"format": 1, "labels": "x" * 100_000})), "labels: expected at least two"),
        (archived(" " * (2**22 + 1)), "more than 4194304 bytes"),
        (archived("{}", compression=zipfile.ZIP_BZIP2), "compression 12"),
        (archived("{}", compression=zipfile.ZIP_LZMA), "compression 14"),
        (archived("{}")[:-22] + b"PK\x06\x07" + bytes(15) + b"\2" + archived("{}")[-22:], "multiple disks"),
        (archived("null"), "expected a JSON object"),
        (archived(json.dumps(changed())), "other bytes; it is damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_file_is_one_clear_error_that_names_it(content, told, tmp_path):
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    message = refused(read_model_file, path)
    assert message.startswith(f"{path}: ")
    assert told in message


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"format": None}, "format: expected 1. Received: None"),
        ({"format": 2}, "format: expected 1. Received: 2"),
        ({"format": True}, "format: expected 1. Received: True"),
        ({"labels": None}, "labels: expected at least two different lines of text. Received: None"),
        ({"labels": ["a", " "]}, "labels: "),
        ({"labels": ["a", 1]}, "labels: "),
        ({"labels": [["a"], ["b"]]}, "labels: "),
        ({"labels": {"a": 0, "b": 1}}, "labels: "),
        ({"labels": ["a", "b\u2028c"]}, "labels: "),
        ({"model_sha256": None}, "model_sha256: expected text"),
        ({"input": None}, "input: expected a JSON object"),
        ({"input": []}, "input: expected a JSON object"),
        ({"kind": None}, "input.kind: expected waveform or features"),
        ({"kind": []}, "input.kind: "),
        ({"segments": "some"}, "input.segments: expected centre or all. Received: 'some'"),
        ({"sample_rate_hz": 999}, "input.sample_rate_hz: expected a whole number, 1000 to 768000. Received: 999"),
        ({"sample_rate_hz": 16000.0}, "input.sample_rate_hz: "),
        ({"sample_rate_hz": 10**400}, "input.sample_rate_hz: "),
        ({"window_samples": 0}, "input.window_samples: "),
        ({"window_samples": 2**31}, "input.window_samples: "),
        ({"min_samples": True}, "input.min_samples: "),
        ({"min_samples": 4801}, "input.min_samples: expected a whole number, 1 to 4800. Received: 4801"),
        ({"min_samples": "1"}, "input.min_samples: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_missing_or_wrong_key_is_named(keys, told):
    assert told in refused(parse_description, changed(**keys))
    assert told in refused(read_description, archived(json.dumps(changed(**keys))))


def test_a_file_cut_short_anywhere_is_refused():
    content = with_description(GRAPH, device.document())
    for length in range(len(content)):
        refused(read_description, content[:length])


def test_a_flipped_byte_anywhere_is_refused_or_changes_nothing():
    """In the archive's own fields, such as its dates, it may change nothing."""
    content = with_description(GRAPH, device.document())
    expected = read_description(content)
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x55
        if position < len(GRAPH):
            refused(read_description, bytes(damaged))
            continue
        with contextlib.suppress(ModelError):
            assert read_description(bytes(damaged)) == expected


@pytest.mark.slow
def test_a_bomb_takes_no_memory():
    """Half a gigabyte of spaces, and as much that its header says is one byte."""
    packer = zlib.compressobj(9, wbits=-15)
    packed = b"".join(packer.compress(b" " * 2**20) for _ in range(512)) + packer.flush()
    content = archived(" " * 100)
    start = content.rindex(b"PK\x01\x02")
    entry, ending = content[start:-22], content[-22:]
    for claimed in (2**29, 1):
        sizes = struct.pack("<III", zlib.crc32(b" "), len(packed), claimed)
        local = content[len(GRAPH) : len(GRAPH) + 14] + sizes + content[len(GRAPH) + 26 : len(GRAPH) + 46]
        central = entry[:16] + sizes + entry[28:]
        directory = len(GRAPH) + len(local) + len(packed)
        bomb = GRAPH + local + packed + central + ending[:16] + struct.pack("<I", directory) + ending[20:]
        tracemalloc.start()
        told = refused(read_description, bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 30e6
        assert ("more than 4194304 bytes" if claimed > 1 else "Expecting value") in told


def described_or_refused(read, content):
    with contextlib.suppress(ModelError):
        assert isinstance(read(content), Description)


@settings(max_examples=200, deadline=None)
@given(head=st.binary(max_size=40), tail=st.binary(max_size=200))
def test_any_bytes_are_described_or_refused(head, tail):
    described_or_refused(read_description, head)
    described_or_refused(read_description, GRAPH + tail)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_damage_to_the_archive_is_described_or_refused(data):
    content = bytearray(with_description(GRAPH, device.document()))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(len(GRAPH), len(content) - 1))
        content[position : position + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    described_or_refused(read_description, bytes(content))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(["format", "labels", "model_sha256", *WHOLE["input"]])


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(document=JSON | st.dictionaries(KEYS, JSON, max_size=3).map(lambda keys: changed(**keys)))
@example(document=changed(window_samples="x"))
@example(document=changed(labels=["a", float("nan")]))
def test_any_json_is_described_or_refused(document):
    described_or_refused(parse_description, document)
    described_or_refused(read_description, archived(json.dumps(document)))


def test_other_labels_in_the_list_than_in_the_description_are_an_error(tmp_path):
    path = device.write_model(tmp_path / "relabelled.tflite")
    with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
        warnings.simplefilter("ignore")  # of the name that is there twice
        archive.writestr("labels.txt", "a\nb\n")
    with pytest.raises(ModelError, match=r"relabelled\.tflite: expected the same labels in labels\.txt"):
        read_model_file(path)
