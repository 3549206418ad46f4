"""What a run came to, as Markdown: strings made of plain data, for the caller to write.

Pictures are referenced by their path relative to the report. Classes are numbered in every table, so that a picture
that has no font for their names can show the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote


def report(
    title: str,
    *,
    notes: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
    sections: Sequence[str] = (),
    skipped: Sequence[tuple[Path, str]] = (),
    diagnosis: Sequence[str] = (),
) -> str:
    """Assemble a report.

    Parameters
    ----------
    title
        First line.
    notes
        What a reader must know before any figure, e.g. that they are optimistic or that the corpus is synthetic.
    facts
        Corpus, protocol, fold, speakers, seed, chosen epoch and the like, by name; what a sequence or a mapping (of
        versions) holds is joined with commas.
    sections
        Markdown, in order; see `evaluate.sections`.
    skipped
        Files left out and why: what ``on_error: skip`` passed over and what ``duplicates: drop`` dropped.
    diagnosis
        Sentences of `evaluate.diagnosis.diagnose`; they come last.
    """
    parts = [f"# {inline(title)}", *(f"> **{inline(note)}**" for note in notes)]
    if facts:
        rows = [(name, _fact(value)) for name, value in facts.items()]
        parts.append(markdown_table(("", ""), rows, "ll"))
    parts.extend(section.strip() for section in sections)
    if skipped:
        parts.append(
            f"## Files left out ({len(skipped)})\n\n{_bullets([f'{path}: {reason}' for path, reason in skipped])}"
        )
    if diagnosis:
        parts.append(f"## Diagnosis\n\n{_bullets(diagnosis)}")
    return "\n\n".join(parts) + "\n"


def figure(caption: str, path: str) -> str:
    """Return a picture under its caption; ``path`` is relative to the report, with forward slashes."""
    return f"![{inline(caption)}]({quote(path)})"


def markdown_table(header: Sequence[Any], rows: Sequence[Sequence[Any]], align: str) -> str:
    """Return a Markdown table.

    Parameters
    ----------
    header
        Column names.
    rows
        Cells, as many as columns.
    align
        One letter per column: ``l``, ``c`` or ``r``.
    """
    rules = {"l": ":--", "c": ":-:", "r": "--:"}
    lines = [[_cell(name) for name in header], [rules[letter] for letter in align]]
    lines += [[_cell(value) for value in row] for row in rows]
    if any(len(line) != len(header) for line in lines):
        raise ValueError(f"rows and align: expected {len(header)} columns. Received: {[len(line) for line in lines]}")
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float | None) -> str:
    """Return a share from 0 to 1 in percent, or a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def number(value: float | None) -> str:
    """Return a number with three decimals, or a dash where there is none."""
    return "–" if value is None or math.isnan(value) else f"{value:.3f}"


def heading(title: str, level: int) -> str:
    """Return a heading of a level from 1 to 6."""
    return f"{'#' * level} {inline(title)}"


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        value = [f"{name} {of_name}" for name, of_name in value.items()]
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple, set, frozenset)) else str(value)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {inline(line)}" for line in lines)


def inline(text: str) -> str:
    """Return a text without line breaks."""
    return " ".join(str(text).split())


def _cell(value: Any) -> str:
    return inline(value).replace("|", "\\|")
