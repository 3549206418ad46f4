"""A .tflite file that describes itself: a zip archive follows the flatbuffer, as in TFLite metadata.

The archive holds ``lightsernet.json`` (the description) and ``labels.txt`` (one label a line, in the order of the
outputs, uncompressed, so that a few lines of C can find it). TFLite runtimes ignore both.

This module needs the standard library alone, since devices read what `export` wrote.
"""

from __future__ import annotations

import hashlib
import io
import json
import reprlib
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightsernet_tf.audio.rates import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from lightsernet_tf.errors import ModelError, one_line

FORMAT = 1
DESCRIPTION, LABELS = "lightsernet.json", "labels.txt"
InputKind = Literal["waveform", "features"]
Segments = Literal["centre", "all"]

_MAGIC = slice(4, 8)
_MAGIC_VALUE = b"TFL3"
_END_OF_ARCHIVE = b"PK\x05\x06"
_LONGEST_DESCRIPTION_BYTES = 2**22  # a damaged archive may announce more than fits into memory
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # of zip; the time of writing would make equal models unequal files
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack without bounds
_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, LookupError, ValueError, EOFError, OSError, RuntimeError)


@dataclass(frozen=True)
class Description:
    """The description in a model file.

    Parameters
    ----------
    labels
        Names of the outputs, in order.
    input
        ``waveform``: float32 [1, window_samples] at any level; ``features``: [1, frames, bins, 1].
    sample_rate_hz
        Rate of the waveform.
    window_samples
        Length of the waveform that the model takes.
    min_samples
        Shortest meaningful waveform: one frame of the front end.
    segments
        Used of a longer recording: its ``centre``, or ``all`` of it in windows whose probabilities are averaged.
    document
        Everything: features, precision, training, measured accuracy, versions, licence.
    """

    labels: tuple[str, ...]
    input: InputKind
    sample_rate_hz: int
    window_samples: int
    min_samples: int
    segments: Segments
    document: Mapping[str, Any]


@dataclass(frozen=True)
class ModelFile:
    """A model file in memory: its bytes, the flatbuffer first, and its description."""

    path: Path
    content: bytes
    description: Description


def with_description(model: bytes, document: Mapping[str, Any]) -> bytes:
    """Return a flatbuffer followed by its description.

    Parameters
    ----------
    model
        The flatbuffer.
    document
        Plain data with at least ``labels`` and ``input``; ``format`` and ``model_sha256`` are added.

    Raises
    ------
    ModelError
        If `read_model_file` could not read it back.
    """
    whole = {"format": FORMAT, **document, "model_sha256": hashlib.sha256(model).hexdigest()}
    description = parse_description(whole)
    stream = io.BytesIO(model)
    with zipfile.ZipFile(stream, "a") as archive:
        _add(archive, LABELS, "".join(f"{label}\n" for label in description.labels), zipfile.ZIP_STORED)
        _add(archive, DESCRIPTION, json.dumps(whole, indent=1, ensure_ascii=False), zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def read_model_file(path: Path) -> ModelFile:
    """Read a .tflite file and its description.

    Raises
    ------
    ModelError
        If the file is not there, is no TFLite model, has no description, or is damaged.
    """
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: expected a .tflite file. Received: {one_line(error)}") from error
    try:
        return ModelFile(Path(path), content, read_description(content))
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def read_description(content: bytes) -> Description:
    """Return the description in the bytes of a model file.

    Raises
    ------
    ModelError
        As `read_model_file`, without the file's name.
    """
    if content[_MAGIC] != _MAGIC_VALUE:
        what = "an empty file" if not content else "something else"
        raise ModelError(f"expected a TFLite model. Received: {what}")
    if _END_OF_ARCHIVE not in content:
        raise ModelError(
            "expected a description at the end of the file (lightsernet_tf.export writes one). Received: none; "
            "the file was made by something else, or is cut short"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            start = min(entry.header_offset for entry in archive.infolist())
            text = _read(archive, DESCRIPTION)
            listed = _read(archive, LABELS) if LABELS in archive.namelist() else ""
        document = json.loads(text)
    except _DAMAGED as error:
        raise ModelError(
            f"expected {DESCRIPTION} in the archive at its end. Received: {one_line(error, 200)}"
        ) from error
    description = parse_description(document)
    if hashlib.sha256(content[:start]).hexdigest() != document["model_sha256"]:
        raise ModelError(
            "expected the model that its description was written for. Received: other bytes; it is damaged"
        )
    if listed.splitlines() != list(description.labels):
        raise ModelError(f"expected the same labels in {LABELS} and in {DESCRIPTION}. Received: others; it is damaged")
    return description


def parse_description(document: Any) -> Description:
    """Return a description from plain data.

    Raises
    ------
    ModelError
        If something that a recogniser needs is missing or cannot be; the message names the key.
    """

    def require(holds: bool, key: str, expected: str, value: Any) -> None:
        if not holds:
            raise ModelError(f"{DESCRIPTION}: {key}: expected {expected}. Received: {reprlib.repr(value)}")

    require(isinstance(document, dict), "it", "a JSON object", document)
    found = document.get("format")
    require(found == FORMAT and not isinstance(found, bool), "format", str(FORMAT), found)
    labels, given = document.get("labels"), document.get("input")
    are_labels = isinstance(labels, list) and len(labels) >= 2 and all(_is_line(label) for label in labels)
    require(are_labels and len(set(labels)) == len(labels), "labels", "at least two different lines of text", labels)
    require(isinstance(given, dict), "input", "a JSON object", given)
    require(given.get("kind") in ("waveform", "features"), "input.kind", "waveform or features", given.get("kind"))
    require(given.get("segments") in ("centre", "all"), "input.segments", "centre or all", given.get("segments"))
    for key, lowest, highest in (
        ("sample_rate_hz", LOWEST_RATE_HZ, HIGHEST_RATE_HZ),
        ("window_samples", 1, 2**31 - 1),
        ("min_samples", 1, given.get("window_samples")),
    ):
        value = given.get(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        require(whole and lowest <= value <= highest, f"input.{key}", f"a whole number, {lowest} to {highest}", value)
    digest = document.get("model_sha256")
    require(isinstance(digest, str), "model_sha256", "text", digest)
    return Description(
        labels=tuple(labels),
        input=given["kind"],
        document=document,
        **{key: given[key] for key in ("sample_rate_hz", "window_samples", "min_samples", "segments")},
    )


def _is_line(label: Any) -> bool:
    if not isinstance(label, str) or not label.strip():
        return False
    return label.splitlines() == [label] and label.encode(errors="replace").decode() == label  # no half a surrogate


def _add(archive: zipfile.ZipFile, name: str, text: str, compression: int) -> None:
    archive.writestr(zipfile.ZipInfo(name, _EARLIEST), text.encode(), compress_type=compression)


def _read(archive: zipfile.ZipFile, name: str) -> str:
    if (compression := archive.getinfo(name).compress_type) not in _COMPRESSIONS:
        raise ValueError(f"compression {compression}")
    with archive.open(name) as stream:
        content = stream.read(_LONGEST_DESCRIPTION_BYTES + 1)
    if len(content) > _LONGEST_DESCRIPTION_BYTES:
        raise ValueError(f"more than {_LONGEST_DESCRIPTION_BYTES} bytes")
    return content.decode()
