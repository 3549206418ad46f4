"""Any folder layout, given as a template: ``{speaker}/{label}/{name}.wav``.

``{speaker}``, ``{label}`` and ``{name}`` stand for a name or a part of one, ``*`` for anything that does not
matter within one name; the rest is literal. A field that comes twice must read the same in both places. The ending is
one audio format, or ``.*`` for all of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from lightsernet_tf.audio.sound_files import SUFFIXES
from lightsernet_tf.config import CorpusConfig
from lightsernet_tf.corpora.base import Reader, Skipped, Utterance, corpus_dir, find_audio
from lightsernet_tf.errors import ConfigError

FIELDS = ("speaker", "label", "name")


def read(config: CorpusConfig) -> Iterator[Utterance | Skipped]:
    """Yield the recordings below ``data_dir`` whose path follows ``template``; attribute: ``name`` where it has one.

    Names are normalised to Unicode's composed form (NFC), which is how people type them into a config; macOS may have
    stored them decomposed.
    """
    stem, suffixes = _split_suffix(config.template)
    pattern = compile_template(stem)
    folder = corpus_dir(config)
    for path in find_audio(folder, config.template, suffixes):
        relative = path.relative_to(folder)
        match = pattern.fullmatch(unicodedata.normalize("NFC", relative.with_suffix("").as_posix()))
        if match is None:
            yield Skipped(path, f"expected a path like {config.template}. Received: {relative}")
            continue
        fields = match.groupdict()
        attributes = {"name": fields["name"]} if "name" in fields else {}
        yield Utterance(path, fields["label"], fields["speaker"], attributes=attributes)


def compile_template(template: str) -> re.Pattern[str]:
    """Turn a template without its ending into the regular expression of the paths that follow it.

    Raises
    ------
    ConfigError
        If a field is unknown, or speaker or label is missing.
    """
    pattern, seen = "", set()
    for piece in re.split(r"(\{[^{}]*\}|\*)", template):
        field = piece[1:-1]
        if piece == "*":
            pattern += "[^/]*"
        elif not piece.startswith("{"):
            pattern += re.escape(unicodedata.normalize("NFC", piece))
        elif field not in FIELDS:
            raise ConfigError(f"corpus.template: expected the fields {{{'}, {'.join(FIELDS)}}}. Received: {piece}")
        elif field in seen:
            pattern += f"(?P={field})"
        else:
            seen.add(field)
            pattern += f"(?P<{field}>[^/]+?)"
    missing = [field for field in ("speaker", "label") if field not in seen]
    if missing:
        raise ConfigError(
            f"corpus.template: expected {{speaker}} and {{label}}. Received: {template!r} without "
            f"{' and '.join(missing)}; where the path does not say it, list the files in a CSV and use name: manifest"
        )
    return re.compile(pattern)


def _split_suffix(template: str) -> tuple[str, tuple[str, ...]]:
    suffix = Path(template).suffix.lower()
    if suffix != ".*" and suffix not in SUFFIXES:
        expected = ", ".join(SUFFIXES)
        raise ConfigError(f"corpus.template: expected an ending of {expected} or .*. Received: {template!r}")
    return template[: -len(suffix)], SUFFIXES if suffix == ".*" else (suffix,)


READER = Reader((), read)
