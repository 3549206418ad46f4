"""A CSV file that lists the recordings: ``path,label,speaker`` and, if there is one, ``split``.

Paths are relative to the CSV's folder. Further columns become attributes.
"""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Reader, Skipped, Utterance
from lightsernet_tf.errors import CorpusError

REQUIRED = ("path", "label", "speaker")
SPLITS = ("train", "validation", "test")


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the recordings that the CSV file at ``data_dir`` lists (UTF-8, with or without a byte order mark).

    Raises
    ------
    CorpusError
        If the file is not there, is no UTF-8 or lacks a column. Faults of a single line are yielded with its number.
    """
    manifest = Path(config.data_dir or "").expanduser()
    if not manifest.is_file():
        found = "a folder" if manifest.is_dir() else "nothing there"
        raise CorpusError(
            f"corpus.data_dir: expected a CSV file with {','.join(REQUIRED)}. Received: '{manifest}' ({found})"
        )
    first_line_of: dict[Path, int] = {}
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, strict=True)
            header = [(name or "").strip() for name in rows.fieldnames or ()]
            _check_header(manifest, header)
            rows.fieldnames = header
            for row in rows:
                yield _read_row(manifest, rows.line_num, row, first_line_of)
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{manifest}: expected UTF-8. Received: byte {error.object[error.start]:#x} ({error.reason})"
        ) from error
    except csv.Error as error:
        raise CorpusError(f"{manifest}, line {rows.reader.line_num}: expected CSV. Received: {error}") from error


def _check_header(manifest: Path, header: list[str]) -> None:
    if any(name not in header for name in REQUIRED) or len(set(header)) != len(header):
        expected = f"the columns {', '.join(REQUIRED)} and perhaps split, each once"
        raise CorpusError(f"{manifest}, line 1: expected {expected}. Received: {', '.join(header) or 'nothing'}")


def _read_row(
    manifest: Path, line: int, row: Mapping[str | None, str | list[str] | None], first_line_of: dict[Path, int]
) -> Utterance | Skipped:
    def fault(expected: str, received: object) -> Skipped:
        return Skipped(manifest, f"line {line}: expected {expected}. Received: {received}")

    if None in row or None in row.values():
        filled = [value for value in row.values() if isinstance(value, str)]
        return fault(f"{len([name for name in row if name])} fields", f"{len(filled) + len(row.get(None) or ())}")
    values = {str(name): unicodedata.normalize("NFC", str(value).strip()) for name, value in row.items()}
    for name in REQUIRED:
        if not values[name]:
            return fault(f"a {name}", f"{name}=''")
    if values.get("split", "") not in ("", *SPLITS):
        return fault(f"a split of {', '.join(SPLITS)} or none", f"split={values['split']!r}")
    path = manifest.parent / str(row["path"]).strip()
    if not path.is_file():
        return fault("a file that is there", f"path={values['path']!r}")
    if path in first_line_of:
        return fault("each path once", f"path={values['path']!r}, also in line {first_line_of[path]}")
    first_line_of[path] = line
    attributes = {name: value for name, value in values.items() if name not in (*REQUIRED, "split")}
    return Utterance(path, values["label"], values["speaker"], values.get("split") or None, attributes)


READER = Reader((), read)
