"""Which library reads an audio file rightly, decided by its header alone.

TensorFlow's operators raise inside a pipeline, so only files whose header leaves them nothing to stumble over are given
to them. Core TensorFlow reads 16-bit WAV, tensorflow-io 8-bit, 24-bit and float32 WAV. libsndfile reads the rest:
tensorflow-io takes 32-bit integers for floats, refuses float64, raises on WAV samples of an odd number of bytes and on
a damaged FLAC or MP3 stream, and takes three to ten times as long for a sound one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

Decoder = Literal["none", "core_int16", "tfio_uint8", "tfio_int24", "tfio_float32", "soundfile"]

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_UNKNOWN_BYTES = 0xFFFFFFFF  # written by programs that stream and do not know the length yet
_DECODERS: dict[tuple[int, int], Decoder] = {
    (_PCM, 8): "tfio_uint8",
    (_PCM, 16): "core_int16",
    (_PCM, 24): "tfio_int24",
    (_FLOAT, 32): "tfio_float32",
}


class AudioSource(NamedTuple):
    """How a file is to be decoded.

    Parameters
    ----------
    decoder
        Who reads it.
    problem
        What was expected and what came, where nobody can.
    rate_hz
        Its sample rate, for TensorFlow's decoders.
    channels
        How many, for ``core_int16``.
    contents
        For ``core_int16`` the bytes of the samples, for tensorflow-io those of the plainest WAV file that holds them.
    """

    decoder: Decoder
    problem: str = ""
    rate_hz: int = 0
    channels: int = 1
    contents: bytes = b""


def open_audio(path: Path) -> AudioSource:
    """Read a file's header, and the file where TensorFlow decodes it."""
    try:
        with path.open("rb") as file:
            riff = file.read(12)
            if riff[:4] == b"RIFF" and riff[8:] == b"WAVE":
                return _choose_for_wav(riff + file.read())
    except OSError as error:
        return AudioSource("none", f"expected an audio file, received: {error.strerror}")
    return AudioSource("soundfile") if riff else AudioSource("none", "expected audio, received an empty file")


def _choose_for_wav(contents: bytes) -> AudioSource:
    chunks = {name: (start, num_bytes) for name, start, num_bytes in _chunks(contents)}
    layout_start, layout_bytes = chunks.get(b"fmt ", (0, 0))
    if layout_bytes < 16 or b"data" not in chunks:
        return AudioSource("none", "expected a WAV header with fmt and data, received one without")
    data_start, data_bytes = chunks[b"data"]
    received_bytes = len(contents) - data_start
    if data_bytes == _UNKNOWN_BYTES:
        return AudioSource("soundfile")
    if data_bytes > received_bytes:
        return AudioSource("none", f"expected {data_bytes} bytes of samples by its header, received {received_bytes}")
    layout = contents[layout_start : layout_start + layout_bytes]
    encoding, channels, rate_hz, bytes_a_second, frame_bytes, bits = struct.unpack("<HHIIHH", layout[:16])
    if encoding == _EXTENSIBLE and layout_bytes >= 40:
        (encoding,) = struct.unpack("<H", layout[24:26])
    consistent = (
        1 <= rate_hz < 2**31
        and frame_bytes == channels * bits // 8 > 0
        and bytes_a_second == rate_hz * frame_bytes
        and data_bytes > 0
        and data_bytes % frame_bytes == 0
    )
    if not consistent or (encoding, bits) not in _DECODERS:
        return AudioSource("soundfile")
    decoder = _DECODERS[encoding, bits]
    samples = contents[data_start : data_start + data_bytes]
    if decoder == "core_int16":
        return AudioSource(decoder, rate_hz=rate_hz, channels=channels, contents=samples)
    if data_bytes % 2 or channels >= 2**15:
        return AudioSource("soundfile")
    layout = struct.pack("<HHIIHH", encoding, channels, rate_hz, bytes_a_second, frame_bytes, bits)
    header = struct.pack("<4sI4s4sI16s4sI", b"RIFF", 36 + data_bytes, b"WAVE", b"fmt ", 16, layout, b"data", data_bytes)
    return AudioSource(decoder, rate_hz=rate_hz, channels=channels, contents=header + samples)


def _chunks(contents: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and length of the chunks of a WAV file up to its samples."""
    start, name = 12, b""
    while start + 8 <= len(contents) and name != b"data":
        name, num_bytes = struct.unpack_from("<4sI", contents, start)
        yield name, start + 8, num_bytes
        start += 8 + num_bytes + num_bytes % 2
