"""Sections of a report about scores: figures with intervals, classes, confusions, groups, sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.evaluate.bootstrap import Intervals
from lightsernet_tf.evaluate.judgement import Judgement
from lightsernet_tf.evaluate.scores import FIGURES, GroupScores, Scores, Spread
from lightsernet_tf.reporting.markdown import figure, inline, markdown_table, number, percent

FIGURE_NAMES = {"wa": "WA", "ua": "UA", "macro_f1": "macro F1", "weighted_f1": "weighted F1"}

HOW_TO_READ = (
    "WA is the share of utterances that are right, UA the mean of the class recalls; brackets hold 95 % intervals "
    "(percentile bootstrap over utterances). They cover other utterances, not other speakers."
)

_HEADER = ("utterances", *FIGURE_NAMES.values(), "loss")


def summary_section(parts: Mapping[str, Judgement]) -> str:
    """Return a line of figures for each part (training, validation, test)."""
    rows = [(part, *_figure_row(judged.scores, judged.intervals)) for part, judged in parts.items()]
    return "\n\n".join(["## Figures", markdown_table(("", *_HEADER), rows, "lrrrrrr"), HOW_TO_READ])


def scores_section(
    title: str, scores: Scores, intervals: Intervals | None = None, *, picture: str | None = None
) -> str:
    """Return figures, per-class table and confusion matrix of one set of utterances.

    Parameters
    ----------
    title
        Heading, e.g. ``"Test"``.
    scores
        What to show.
    intervals
        Limits by figure, from `evaluate.bootstrap.bootstrap_intervals`.
    picture
        Path of the confusion matrix's PNG, relative to the report.
    """
    parts = [f"## {title}", markdown_table(_HEADER, [_figure_row(scores, intervals or {})], "rrrrrr")]
    if scores.absent:
        names = ", ".join(map(inline, scores.absent))
        present = len(scores.labels) - len(scores.absent)
        parts.append(f"Without an utterance: {names}. UA and macro F1 are means over the {present} classes present.")
    parts += [_class_table(scores), "Utterances, and percent of the true class (rows true, columns predicted):"]
    parts.append(confusion_table(scores.labels, scores.confusion))
    if picture:
        parts.append(figure(f"Confusion matrix: {title}", picture))
    return "\n\n".join(parts)


def groups_section(title: str, speakers: GroupScores) -> str:
    """Return a line of figures for each speaker, and their spread over the speakers."""
    rows = [
        (name, scores.utterances, *figure_cells(scores, {}), ", ".join(scores.absent) or "–")
        for name, scores in speakers.groups.items()
    ]
    header = ("speaker", "utterances", *FIGURE_NAMES.values(), "classes without an utterance")
    spread = spread_table(f"over {len(rows)} speakers", speakers.spread)
    return "\n\n".join([f"## {title}", markdown_table(header, rows, "lrrrrrl"), spread])


def spread_table(over: str, spread: Mapping[str, Spread]) -> str:
    """Return the spread of each figure, over e.g. ``"3 seeds"``."""
    rows = [
        (FIGURE_NAMES[key], percent(one.mean), percent(one.std), percent(one.min), percent(one.max))
        for key, one in spread.items()
    ]
    return markdown_table((over, "mean", "standard deviation", "lowest", "highest"), rows, "lrrrr")


def sweep_section(rows: Sequence[Mapping[str, Any]], chosen_epoch: int, *, data: str, picture: str) -> str:
    """Compare the chosen epoch with the last one and the one of the lowest loss.

    Parameters
    ----------
    rows
        One per kept epoch: ``epoch``, ``val_loss``, ``val_wa``, ``val_ua``, ``val_macro_f1``, ``val_ua_low`` and
        ``val_ua_high``.
    chosen_epoch
        One of the epochs.
    data
        What it was chosen on: ``validation``, or ``test`` where the protocol does so.
    picture
        Path of the sweep's PNG, relative to the report.
    """
    compared = {
        "chosen": _chosen(rows, chosen_epoch),
        "last": rows[-1],
        "lowest loss": min(rows, key=lambda row: row["val_loss"]),
    }
    cells = [
        (
            name,
            row["epoch"],
            _ua_with_limits(row),
            percent(row["val_wa"]),
            percent(row["val_macro_f1"]),
            number(row["val_loss"]),
        )
        for name, row in compared.items()
    ]
    table = markdown_table(("", "epoch", f"{data} UA", "WA", "macro F1", "loss"), cells, "lrrrrr")
    sentence = sweep_sentence(rows, chosen_epoch, data=data)
    caption = f"{data.capitalize()} figures of the kept epochs"
    return "\n\n".join(["## All kept epochs", sentence, table, figure(caption, picture)])


def sweep_sentence(rows: Sequence[Mapping[str, Any]], chosen_epoch: int, *, data: str) -> str:
    """Return `sweep_section` in one line; for the parameters see there."""
    chosen, last = _chosen(rows, chosen_epoch), rows[-1]
    change = 100 * (last["val_ua"] - chosen["val_ua"])
    return (
        f"Of {len(rows)} kept epochs, epoch {chosen_epoch} was chosen, with a {data} UA of "
        f"{_ua_with_limits(chosen)}. The last, epoch {last['epoch']}, would have given {_ua_with_limits(last)} "
        f"({change:+.1f} points)."
    )


def interval(share: float | None, limits: tuple[float, float] | None) -> str:
    """Return a share in percent with its limits in brackets, if there are any."""
    return percent(share) + (f" [{100 * limits[0]:.1f}, {100 * limits[1]:.1f}]" if limits else "")


def figure_cells(scores: Scores, intervals: Intervals) -> list[str]:
    """Return the figures in percent, each with its interval if there is one."""
    return [interval(getattr(scores, name), intervals.get(name)) for name in FIGURES]


def confusion_table(labels: Sequence[str], confusion: NDArray[np.int64]) -> str:
    """Return utterances, int [classes, classes], and percent of the true class: rows true, columns predicted."""
    rows = []
    for place, (label, counts) in enumerate(zip(labels, confusion, strict=True), start=1):
        shares = [f"{count} ({100 * count / counts.sum():.0f} %)" if count else "0" for count in counts]
        rows.append((f"{place} {label}", *(shares if counts.any() else ["–"] * len(counts))))
    header = ("", *(f"{place} {label}" for place, label in enumerate(labels, start=1)))
    return markdown_table(header, rows, "l" + "r" * len(labels))


def _figure_row(scores: Scores, intervals: Intervals) -> tuple[Any, ...]:
    return scores.utterances, *figure_cells(scores, intervals), number(scores.loss)


def _chosen(rows: Sequence[Mapping[str, Any]], epoch: int) -> Mapping[str, Any]:
    return next(row for row in rows if row["epoch"] == epoch)


def _ua_with_limits(row: Mapping[str, Any]) -> str:
    return interval(row["val_ua"], (row["val_ua_low"], row["val_ua_high"]))


def _class_table(scores: Scores) -> str:
    columns = zip(scores.labels, scores.precision, scores.recall, scores.f1, scores.support, strict=True)
    rows = [
        (place, label, percent(precision), percent(recall), percent(f1), support)
        for place, (label, precision, recall, f1, support) in enumerate(columns, start=1)
    ]
    return markdown_table(("#", "class", "precision", "recall", "F1", "utterances"), rows, "rlrrrr")
