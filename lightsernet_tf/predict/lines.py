"""Formats results as text, JSON or CSV: one line each."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lightsernet_tf.predict.prediction import SILENCE, Decision
from lightsernet_tf.predict.recordings import Result
from lightsernet_tf.reporting.tables import display_width, padded

Format = Literal["text", "json", "csv"]
_DEFAULT_TOP = 3
_WIDEST_NAME = 48


@dataclass(frozen=True)
class Layout:
    """Settings shared by all lines.

    Parameters
    ----------
    labels
        In the order of the model's outputs.
    top
        How many labels a line shows, the most probable first; none: 3 in text, otherwise all.
    sources
        Names of the inputs, as far as they are known: they determine the width of the first column.
    named
        Whether text lines begin with the source.
    """

    labels: Sequence[str]
    top: int | None = None
    sources: Sequence[str] = ()
    named: bool = True


def text_line(result: Result, layout: Layout) -> str:
    """Return e.g. ``a.wav     0.00 -    3.00 s  anger      87.3 %   happiness 10.1 %, fear 1.2 %``."""
    parts = []
    if layout.named:
        wanted = (display_width(escaped(source)) for source in layout.sources)
        width = max((width for width in wanted if width <= _WIDEST_NAME), default=0)
        parts.append(padded(escaped(result.source), width))
    if result.prediction is None:
        return "  ".join([*parts, "could not be read"])
    if isinstance(result.prediction, Decision):
        parts.append(f"{result.prediction.start_seconds:7.2f} - {result.prediction.end_seconds:7.2f} s")
    ranked = result.prediction.ranked()[: layout.top or _DEFAULT_TOP]
    if not ranked:
        return "  ".join([*parts, result.prediction.label])
    (label, value), *others = ranked
    widest = max(map(display_width, [*layout.labels, SILENCE]))
    parts.append(f"{padded(label, widest)} {100 * value:5.1f} %")
    if others:
        parts.append(" " + ", ".join(f"{label} {100 * value:.1f} %" for label, value in others))
    return "  ".join(parts)


def json_line(result: Result, layout: Layout) -> str:
    """Return a JSON object: file, span, label and probabilities in descending order, or file and error."""
    row: dict[str, Any] = {"file": result.source}
    if result.prediction is None:
        row["error"] = result.problem
    else:
        row |= _span(result)
        row["label"] = result.prediction.label
        row["probabilities"] = {label: round(value, 6) for label, value in result.prediction.ranked()[: layout.top]}
    return json.dumps(row, ensure_ascii=False)


def csv_line(result: Result, layout: Layout) -> str:
    """Return the cells under `csv_header`; those of labels beyond ``top`` stay empty."""
    ranked = dict(result.prediction.ranked()[: layout.top]) if result.prediction else {}
    span = _span(result)
    return _csv(
        [
            result.source,
            span.get("start_seconds", ""),
            span.get("end_seconds", ""),
            result.prediction.label if result.prediction else "",
            *(f"{ranked[label]:.6f}" if label in ranked else "" for label in layout.labels),
            result.problem or "",
        ]
    )


def csv_header(layout: Layout) -> str:
    """Return the header line."""
    return _csv(["file", "start_seconds", "end_seconds", "label", *(f"p({label})" for label in layout.labels), "error"])


LINES: dict[Format, Callable[[Result, Layout], str]] = {"text": text_line, "json": json_line, "csv": csv_line}


def escaped(name: str) -> str:
    r"""Return a name on one line, with escapes such as ``\n`` for unprintable characters."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)


def _span(result: Result) -> dict[str, float]:
    if not isinstance(result.prediction, Decision):
        return {}
    start, end = result.prediction.start_seconds, result.prediction.end_seconds
    return {"start_seconds": round(start, 3), "end_seconds": round(end, 3)}


def _csv(cells: Sequence[Any]) -> str:
    stream = io.StringIO()
    # The writer quotes the characters of its line end, so that names may hold them.
    csv.writer(stream, lineterminator="\r\n").writerow(cells)
    return stream.getvalue().removesuffix("\r\n")
