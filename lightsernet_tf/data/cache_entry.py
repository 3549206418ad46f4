"""A large array and a record about it in one file that can be checked, written in pieces and mapped into memory.

The file is an ``.npy`` array, then the record as JSON, then the CRC-32 of both as eight hexadecimal digits. NumPy maps
the first part and ignores the rest, and one file takes its final name whole or not at all.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.files import written_beside

_logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
CRC_BYTES = 8


def write_entry(
    path: Path, row_shape: tuple[int, ...], batches: Iterable[NDArray[np.float32]], record: Mapping[str, Any]
) -> None:
    """Write an entry, holding one batch at a time.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    row_shape
        Shape of a row of the array.
    batches
        float32 ``[rows, *row_shape]`` each; together they are the array.
    record
        Plain data. It is written after the last batch, so the batches' iterator may fill it.

    Raises
    ------
    OSError
        Whatever the file system raises; nothing half-written is left.
    """
    with written_beside(path) as beside, beside.open("w+b") as stream:
        _write_header(stream, (0, *row_shape))
        rows = 0
        for batch in batches:
            stream.write(np.ascontiguousarray(batch, "<f4").data)
            rows += len(batch)
        stream.write(json.dumps(record).encode())
        body_bytes = stream.tell()
        stream.seek(0)
        _write_header(stream, (rows, *row_shape))
        stream.seek(0)
        stream.write(_read_crc32(stream, body_bytes))


def _write_header(stream: BinaryIO, shape: tuple[int, ...]) -> None:
    # NumPy pads the header so that the first dimension can grow in place.
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _read_crc32(stream: BinaryIO, size_bytes: int) -> bytes:
    checksum = 0
    for start in range(0, size_bytes, CHUNK_BYTES):
        checksum = zlib.crc32(stream.read(min(CHUNK_BYTES, size_bytes - start)), checksum)
    return f"{checksum:0{CRC_BYTES}x}".encode()


def is_whole(path: Path) -> bool:
    """Return whether there is such an entry and its checksum holds; one read of the file, at about 2 GB/s."""
    try:
        body_bytes = path.stat().st_size - CRC_BYTES
        with path.open("rb") as stream:
            whole = body_bytes > 0 and _read_crc32(stream, body_bytes) == stream.read()
    except OSError:
        return False
    if not whole:
        _logger.warning("%s is damaged; it is computed again", path)
    return whole


def read_array(path: Path) -> NDArray[np.float32]:
    """Map the array of an entry into memory."""
    return np.load(path, mmap_mode="r")


def read_record(path: Path) -> dict[str, Any]:
    """Return the record of an entry."""
    array: np.memmap[Any, Any] = np.load(path, mmap_mode="r")
    with path.open("rb") as stream:
        stream.seek(array.offset + array.nbytes)
        return json.loads(stream.read()[:-CRC_BYTES])
