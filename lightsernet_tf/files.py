"""Files that are there whole or not at all: written beside their final name, flushed to the disk, then renamed."""

from __future__ import annotations

import csv
import errno
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has none, and nothing holds a run's folder there
    fcntl = None  # type: ignore[assignment]

PARTIAL_PREFIX = ".partial-"
_LOCK_POLL_SECONDS = 0.2


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Give a path to write to, which takes the name ``path`` when the block ends without an error.

    The given path lies in the same folder and ends as ``path`` does, because writers such as ``Model.save_weights``
    choose the format by the ending. Missing folders are made. After an error (a full disk, Ctrl-C) the part that was
    written is removed, and whatever ``path`` held before is still there; a killed process leaves a file whose name
    starts with ``PARTIAL_PREFIX``.

    Raises
    ------
    OSError
        Whatever the file system says, e.g. ``errno.ENOSPC`` where the disk is full.
    """
    path = Path(path)
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{PARTIAL_PREFIX}{os.getpid()}-{path.name}")
    try:
        yield beside
        _flush_to_disk(beside)
        beside.replace(path)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(path)  # a full disk names no file
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename itself is journalled
        _flush_to_disk(path.parent)


@contextmanager
def locked(path: Path, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the file ``path`` so that no other process does at the same time, and however this one ends lets go of it.

    Parameters
    ----------
    path
        The file; it is made if need be.
    wait_seconds
        How long to wait for another process to let go of it.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    """
    with path.open("w") as stream:
        until = time.monotonic() + wait_seconds
        while fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_LOCK_POLL_SECONDS)
        yield


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` whole or not at all."""
    with written_beside(path) as beside:
        beside.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write plain data as readable JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write one line per row under a line of column names, whole or not at all.

    Parameters
    ----------
    path
        The CSV file.
    rows
        Values by column; a column that a row lacks stays empty, and so does ``None``.
    columns
        The columns in order; none: those of the rows, in the order in which they first come up.
    """
    names = list(columns) if columns is not None else list(dict.fromkeys(name for row in rows for name in row))
    with written_beside(path) as beside, beside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
