"""PNG pictures of a judged run: confusion matrix, curves over the epochs, sweep over the kept ones.

Matplotlib's objects are used without pyplot, so that nothing is shared between pictures, threads or a notebook.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lightsernet_tf.evaluate.scores import Scores
from lightsernet_tf.reporting.fonts import drawable, names_and_font
from lightsernet_tf.reporting.pictures import write_png

TRAINING, VALIDATION, SECOND, CHOSEN = "#8a94a0", "#1f6f9c", "#c98b3a", "#b3362b"
Rows = Sequence[Mapping[str, Any]]


def draw_confusion(scores: Scores, path: Path, title: str, notes: Sequence[str] = ()) -> None:
    """Draw the confusion matrix: utterances and percent of the true class in every cell, the colour by percent.

    Parameters
    ----------
    scores
        What to draw; the row of an absent class stays empty.
    path
        The PNG file, written whole or not at all.
    title
        First line; the second gives WA, UA and the number of utterances.
    notes
        What must be known with the figures, e.g. that they are optimistic; below the picture, in every function here.
    """
    names, font = names_and_font(scores.labels)
    classes, longest = len(names), max(map(len, names))
    side_inches = max(3.0, 0.72 * classes)
    width, height = side_inches + 1.1 + 0.08 * longest, side_inches + 1.0 + 0.06 * longest
    picture = Figure(figsize=(width, height), layout="constrained")
    axes = picture.add_subplot()
    shares = scores.confusion_percent  # [classes, classes]
    axes.imshow(np.ma.masked_invalid(shares), cmap="Blues", vmin=0, vmax=115)  # 115: the darkest still shows its text
    for row, column in np.ndindex(classes, classes):
        _draw_cell(axes, row, column, int(scores.confusion[row, column]), float(shares[row, column]))
    turned: dict[str, Any] = {}
    if longest * classes > 28:  # side by side they would touch
        turned = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    counted = [f"{name} ({support})" for name, support in zip(names, scores.support, strict=True)]
    axes.set_xticks(range(classes), names, font=font, parse_math=False, **turned)
    axes.set_yticks(range(classes), counted, font=font, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="predicted class", ylabel="true class (utterances)")
    figures = f"WA {100 * scores.wa:.1f} %   UA {100 * scores.ua:.1f} %   {scores.utterances} utterances"
    axes.set_title(f"{drawable(title, font)}\n{figures}", font=font, parse_math=False, fontsize=11)
    save_picture(picture, path, notes)


def draw_curves(
    history: Rows, chosen_epoch: int, path: Path, notes: Sequence[str] = (), *, training_name: str, validation_name: str
) -> None:
    """Draw loss and UA of training and validation over the epochs, the chosen epoch marked.

    Parameters
    ----------
    history
        One row per epoch: ``epoch``, ``loss``, ``val_loss``, ``ua`` and ``val_ua``.
    chosen_epoch
        One of the epochs.
    path
        The PNG file, written whole or not at all.
    training_name, validation_name
        Names of the data in the legend.
    """
    picture = Figure(figsize=(9.5, 3.8), layout="constrained")
    loss_axes, ua_axes = picture.subplots(1, 2)
    for axes, key, scale in ((loss_axes, "loss", 1), (ua_axes, "ua", 100)):
        _line(axes, history, key, scale, color=TRAINING, label=training_name)
        _line(axes, history, f"val_{key}", scale, color=VALIDATION, label=validation_name)
        _mark(axes, history, f"val_{key}", scale, chosen_epoch, "chosen")
        _over_epochs(axes, history)
    _loss_axis(loss_axes, history, ("loss", "val_loss"))
    ua_axes.set(ylabel="UA (%)", ylim=(0, 101))
    legend_above(picture, ua_axes)
    save_picture(picture, path, notes)


def draw_sweep(rows: Rows, chosen_epoch: int, path: Path, notes: Sequence[str] = (), *, validation_name: str) -> None:
    """Draw UA with its interval, WA and loss of every kept epoch, the chosen and the last one marked.

    Parameters
    ----------
    rows
        One per kept epoch: ``epoch``, ``val_ua``, ``val_wa``, ``val_loss`` and the limits of UA's 95 % interval,
        ``val_ua_low`` and ``val_ua_high``.
    chosen_epoch
        One of the epochs.
    path
        The PNG file, written whole or not at all.
    validation_name
        Name of the data in the legend.
    """
    picture = Figure(figsize=(8.5, 5.2), layout="constrained")
    share_axes, loss_axes = picture.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    low, high = 100 * _column(rows, "val_ua_low"), 100 * _column(rows, "val_ua_high")
    band = {"color": VALIDATION, "alpha": 0.15, "linewidth": 0, "label": "UA, 95 % interval"}
    share_axes.fill_between(_column(rows, "epoch"), low, high, **band)
    _line(share_axes, rows, "val_wa", 100, color=SECOND, label="WA")
    _line(share_axes, rows, "val_ua", 100, color=VALIDATION, label="UA")
    _line(loss_axes, rows, "val_loss", 1, color=VALIDATION, label="loss")
    last_epoch = int(rows[-1]["epoch"])
    for axes, key, scale in ((share_axes, "val_ua", 100), (loss_axes, "val_loss", 1)):
        _mark(axes, rows, key, scale, chosen_epoch, "chosen")
        if last_epoch != chosen_epoch:
            _mark(axes, rows, key, scale, last_epoch, "last", markerfacecolor="white")
        _over_epochs(axes, rows)
    _loss_axis(loss_axes, rows, ("val_loss",))
    share_axes.set(xlabel="", ylabel="WA and UA (%)", ylim=(0, 101))
    legend_above(picture, share_axes, title=validation_name)
    save_picture(picture, path, notes)


def tidy(axes: Axes) -> None:
    """Leave two sides of the frame, and horizontal grid lines."""
    axes.grid(axis="y", color="#e3e6e9", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def legend_above(picture: Figure, axes: Axes, title: str | None = None) -> None:
    """Name the lines of the axes in one row above the picture."""
    lines, names = axes.get_legend_handles_labels()
    picture.legend(lines, names, loc="outside upper center", frameon=False, ncols=len(names), title=title)


def save_picture(picture: Figure, path: Path, notes: Sequence[str]) -> None:
    """Write the picture as PNG, whole or not at all, with the notes below it."""
    width = int(13 * picture.get_figwidth())  # characters of this size on a line
    text = "\n".join(textwrap.fill(note, width) for note in notes)
    if text:
        picture.supxlabel(text, x=0.01, ha="left", fontsize=8, color=CHOSEN, parse_math=False)
    write_png(picture, path, bbox_inches="tight", pad_inches=0.12)


def _draw_cell(axes: Axes, row: int, column: int, count: int, share: float) -> None:
    if math.isnan(share):
        text, color = "–", "#999999"
    elif count:
        text, color = f"{count}\n{share:.0f} %", "white" if share > 62 else "#222222"
    else:
        text, color = "0", "#b8bec6"
    axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9, linespacing=1.25)


def _column(rows: Rows, key: str) -> np.ndarray:
    return np.array([float(row[key]) for row in rows])  # [epochs]


def _line(axes: Axes, rows: Rows, key: str, scale: float, **look: Any) -> None:
    marker = "o" if len(rows) < 12 else ""
    axes.plot(_column(rows, "epoch"), scale * _column(rows, key), marker + "-", linewidth=1.4, markersize=3, **look)


def _mark(axes: Axes, rows: Rows, key: str, scale: float, epoch: int, name: str, **look: Any) -> None:
    (value,) = (scale * float(row[key]) for row in rows if int(row["epoch"]) == epoch)
    axes.axvline(epoch, color=CHOSEN, linewidth=0.8, linestyle=":", zorder=1)
    axes.plot([epoch], [value], "o", color=CHOSEN, markersize=6, label=f"{name}: epoch {epoch}", zorder=5, **look)


def _over_epochs(axes: Axes, rows: Rows) -> None:
    first, last = int(rows[0]["epoch"]), int(rows[-1]["epoch"])
    margin = max(0.5, 0.03 * (last - first))
    axes.set(xlim=(first - margin, last + margin), xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    tidy(axes)


def _loss_axis(axes: Axes, rows: Rows, keys: Sequence[str]) -> None:
    axes.set_ylabel("loss")
    values = np.concatenate([_column(rows, key) for key in keys])
    finite = values[np.isfinite(values)]
    if finite.size:  # a few wild epochs while the batch norm settles may leave the picture, not flatten the rest
        axes.set_ylim(0, 1.08 * min(finite.max(), 2 * np.percentile(finite, 98)) + 1e-9)
