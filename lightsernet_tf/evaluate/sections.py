"""Sections of a report about scores: figures with intervals, classes, confusions, groups, sweeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.evaluate.scores import FIGURES, GroupScores, Scores
from lightsernet_tf.reporting.markdown import figure, heading, inline, markdown_table, number, percent

Intervals = Mapping[str, tuple[float, float]]


FIGURE_NAMES = {"wa": "WA", "ua": "UA", "macro_f1": "macro F1", "weighted_f1": "weighted F1"}


HOW_TO_READ = (
    "WA is the share of utterances that are right, UA the mean of the class recalls; brackets hold 95 % intervals "
    "(percentile bootstrap over utterances). They tell of other utterances, not of other speakers."
)


def summary_section(
    title: str, results: Mapping[str, Scores], intervals: Mapping[str, Intervals] | None = None, level: int = 2
) -> str:
    """Return one line of figures per set of utterances (training, validation, test), apart.

    Parameters
    ----------
    title
        Heading.
    results
        Scores by the set's name.
    intervals
        Limits of the figures by the set's name; a set without any shows none.
    level
        Of the heading.
    """
    rows = []
    for name, scores in results.items():
        limits = (intervals or {}).get(name, {})
        rows.append((name, scores.utterances, *_figure_cells(scores, limits), number(scores.loss)))
    header = ("", "utterances", *FIGURE_NAMES.values(), "loss")
    explanation = [HOW_TO_READ] if intervals else []
    return "\n\n".join([heading(title, level), markdown_table(header, rows, "lrrrrrr"), *explanation])


def scores_section(
    title: str,
    scores: Scores,
    intervals: Intervals | None = None,
    *,
    picture: str | None = None,
    level: int = 2,
) -> str:
    """Return figures, per-class table and confusion matrix of one set of utterances.

    Parameters
    ----------
    title
        Heading, e.g. ``"Test"``.
    scores
        What to show.
    intervals
        Limits by figure, from `metrics.bootstrap_intervals`.
    picture
        Path of the confusion matrix's PNG, relative to the report.
    level
        Of the heading.
    """
    header = ("utterances", *FIGURE_NAMES.values(), "loss")
    figures = (scores.utterances, *_figure_cells(scores, intervals or {}), number(scores.loss))
    parts = [heading(title, level), markdown_table(header, [figures], "rrrrrr")]
    if scores.absent:
        names = ", ".join(map(inline, scores.absent))
        there = len(scores.labels) - len(scores.absent)
        parts.append(
            f"Without an utterance: {names}. UA and macro F1 are means over the {there} classes that are there."
        )
    parts += [_class_table(scores), "Utterances, and percent of the true class (rows true, columns predicted):"]
    parts.append(confusion_table(scores.labels, scores.confusion))
    if picture:
        parts.append(figure(f"Confusion matrix: {title}", picture))
    return "\n\n".join(parts)


def groups_section(title: str, groups: GroupScores, *, of: str = "speaker", level: int = 2) -> str:
    """Return one line per group (speaker) and the spread of the figures over them."""
    rows = [
        (name, scores.utterances, *_figure_cells(scores, {}), ", ".join(scores.absent) or "–")
        for name, scores in groups.groups.items()
    ]
    header = (of, "utterances", *FIGURE_NAMES.values(), "classes without an utterance")
    spread = [
        (name, percent(of_figure.mean), percent(of_figure.std), percent(of_figure.min), percent(of_figure.max))
        for name, of_figure in ((FIGURE_NAMES[key], groups.spread[key]) for key in FIGURES)
    ]
    spread_header = (f"over {len(rows)} {of}s", "mean", "standard deviation", "lowest", "highest")
    tables = markdown_table(header, rows, "lrrrrrl"), markdown_table(spread_header, spread, "lrrrr")
    return "\n\n".join([heading(title, level), *tables])


def sweep_section(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    chosen_epoch: int,
    *,
    data: str = "validation",
    picture: str | None = None,
    level: int = 2,
) -> str:
    """Say which of the kept epochs was chosen and what the last one would have given.

    Parameters
    ----------
    title
        Heading.
    rows
        One per kept epoch: ``epoch``, ``val_loss``, ``val_wa``, ``val_ua``, ``val_macro_f1`` and, if known,
        ``val_ua_low`` and ``val_ua_high``.
    chosen_epoch
        One of the epochs.
    data
        What it was chosen on: ``validation``, or ``test`` under the published protocol.
    picture
        Path of the sweep's PNG, relative to the report.
    level
        Of the heading.
    """
    chosen, last = _chosen_and_last(rows, chosen_epoch)
    lowest = min(rows, key=lambda row: row["val_loss"])
    sentence = sweep_sentence(rows, chosen_epoch, data=data)
    cells = [
        (
            what,
            row["epoch"],
            _with_limits(row),
            percent(row["val_wa"]),
            percent(row["val_macro_f1"]),
            number(row["val_loss"]),
        )
        for what, row in (("chosen", chosen), ("last", last), ("lowest loss", lowest))
    ]
    table = markdown_table(("", "epoch", f"{data} UA", "WA", "macro F1", "loss"), cells, "lrrrrr")
    pictures = [figure(f"{data.capitalize()} figures of the kept epochs", picture)] if picture else []
    return "\n\n".join([heading(title, level), sentence, table, *pictures])


def sweep_sentence(rows: Sequence[Mapping[str, Any]], chosen_epoch: int, *, data: str = "validation") -> str:
    """Say in one line what `sweep_section` says; for the parameters see there."""
    chosen, last = _chosen_and_last(rows, chosen_epoch)
    change = 100 * (last["val_ua"] - chosen["val_ua"])
    return (
        f"Of {len(rows)} kept epochs, epoch {chosen_epoch} was chosen, with a {data} UA of "
        f"{_with_limits(chosen)}. The last, epoch {last['epoch']}, would have given {_with_limits(last)} "
        f"({change:+.1f} points)."
    )


def _chosen_and_last(
    rows: Sequence[Mapping[str, Any]], chosen_epoch: int
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    return {row["epoch"]: row for row in rows}[chosen_epoch], rows[-1]


def interval(share: float | None, limits: tuple[float, float] | None) -> str:
    """Return a share in percent with its limits in brackets, if there are any."""
    return percent(share) + (f" [{100 * limits[0]:.1f}, {100 * limits[1]:.1f}]" if limits else "")


def _figure_cells(scores: Scores, limits: Intervals) -> list[str]:
    return [interval(getattr(scores, name), limits.get(name)) for name in FIGURES]


def _with_limits(row: Mapping[str, Any]) -> str:
    low, high = row.get("val_ua_low"), row.get("val_ua_high")
    return interval(row["val_ua"], None if low is None or high is None else (low, high))


def _class_table(scores: Scores) -> str:
    columns = zip(scores.labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    rows = [
        (place, label, percent(precision), percent(recall), percent(f1), support)
        for place, (label, precision, recall, f1, support) in enumerate(columns, start=1)
    ]
    return markdown_table(("#", "class", "precision", "recall", "F1", "utterances"), rows, "rlrrrr")


def confusion_table(labels: Sequence[str], confusion: NDArray[np.int64]) -> str:
    """Return utterances, int [classes, classes], and percent of the true class: rows true, columns predicted."""
    rows = []
    for place, (label, counts) in enumerate(zip(labels, confusion, strict=True), start=1):
        support = int(counts.sum())
        cells = [_confusion_cell(count, 100 * count / support if support else math.nan) for count in counts]
        rows.append((f"{place} {label}", *cells))
    header = ("", *(f"{place} {label}" for place, label in enumerate(labels, start=1)))
    return markdown_table(header, rows, "l" + "r" * len(labels))


def _confusion_cell(count: int, share: float) -> str:
    if math.isnan(share):
        return "–"
    return f"{count} ({share:.0f} %)" if count else "0"
