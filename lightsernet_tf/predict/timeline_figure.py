"""A picture of the emotions in a long recording over time, above its waveform.

Matplotlib's objects are used without pyplot, which keeps global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import StepPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from numpy.typing import NDArray

from lightsernet_tf.predict.prediction import SILENCE, Decision
from lightsernet_tf.predict.waveforms import as_mono
from lightsernet_tf.reporting.fonts import drawable, names_and_font
from lightsernet_tf.reporting.pictures import write_png
from lightsernet_tf.reporting.tables import shortened

_MOST_STEPS, _MOST_NAMED, _MOST_COLUMNS = 1500, 300, 4000  # drawn of stack, strip and waveform; more would blur
_WAVEFORM, _NOTE = "#4a4f55", "#5f666d"
_LONGEST_NAME = 24
_TICKS_SECONDS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)

# Okabe and Ito's palette, which colour-blind readers can tell apart, and its grey.
_ORANGE, _SKY, _GREEN, _YELLOW, _BLUE = "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2"
_VERMILLION, _PURPLE, _GREY, _BLACK = "#d55e00", "#cc79a7", "#bbbbbb", "#333333"
_PALETTE = (_VERMILLION, _SKY, _GREEN, _PURPLE, _YELLOW, _BLUE, _GREY, _ORANGE, _BLACK)
_USUAL = {
    "anger": _VERMILLION,
    "negative": _VERMILLION,
    "boredom": _SKY,
    "calm": _SKY,
    "disgust": _GREEN,
    "fear": _PURPLE,
    "happiness": _YELLOW,
    "positive": _YELLOW,
    "sadness": _BLUE,
    "neutral": _GREY,
    "surprise": _ORANGE,
    "excitement": _ORANGE,
    "frustration": _BLACK,
}


class _Look(NamedTuple):
    color: str
    hatch: str = ""
    line: str = "white"


_SILENT = _Look("#f4f5f6", "///", "#c3c9cf")


def draw_timeline(
    samples: NDArray[Any],
    rate_hz: int,
    decisions: Sequence[Decision],
    labels: Sequence[str],
    path: Path,
    title: str = "",
) -> None:
    """Draw the most probable label and all probabilities, stacked, above the waveform; silence is hatched.

    A decision is drawn over the hop that it ends with, since its window ends there. In long recordings, neighbouring
    decisions that could not be distinguished are averaged.

    Parameters
    ----------
    samples
        [samples] or [samples, channels].
    rate_hz
        Sample rate of the waveform.
    decisions
        In order, at least one.
    labels
        In the order of the model's outputs, which is the order of the stack from below.
    path
        The PNG file, written whole or not at all.
    title
        Above the picture.
    """
    shown, font = names_and_font(labels)
    names = [*(shortened(name, _LONGEST_NAME) for name in shown), SILENCE]
    looks = [*_looks(labels), _SILENT]
    seconds = decisions[-1].end_seconds
    inches = float(np.clip(3 + 0.35 * seconds, 9, 16))
    picture = Figure(figsize=(inches, 5.6), layout="constrained")
    strip, stack, waveform = picture.subplots(3, 1, sharex=True, height_ratios=(0.32, 3, 1))

    spans = _spans(*_averaged(decisions, labels, _MOST_NAMED))
    _draw_strip(strip, spans, names, looks, font, characters=inches * 9)
    layers = _draw_stack(stack, *_averaged(decisions, labels, _MOST_STEPS), looks)
    _draw_waveform(waveform, as_mono(samples), rate_hz)
    _over_time(waveform, seconds)
    for axes in (stack, waveform):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)

    heading = shortened(" ".join(drawable(title, font).split()), int(inches * 7))
    strip.set_title(heading, font=font, fontsize=12, parse_math=False)
    _draw_legend(picture, layers, names, font)
    window = max(decision.end_seconds - decision.start_seconds for decision in decisions)
    note = f"Each step shows the result for the {window:.3g} s up to its end."
    picture.supxlabel(note, x=0.01, ha="left", fontsize=8, color=_NOTE)
    write_png(picture, path)


def _looks(labels: Sequence[str]) -> list[_Look]:
    """Return a colour for each label, its usual one if that is free; more labels than colours are hatched."""
    taken: dict[str, _Look] = {}
    for label in labels:
        usual = _Look(_USUAL.get(label.lower(), ""))
        if usual.color and usual not in taken.values():
            taken[label] = usual
    free = [_Look(color, hatch) for hatch in ("", "xx", "..", "--", "||") for color in _PALETTE]
    for label in labels:
        if label not in taken:
            left = (look for look in free if look not in taken.values())
            taken[label] = next(left, _Look(_PALETTE[len(taken) % len(_PALETTE)], "++"))
    return [taken[label] for label in labels]


def _averaged(
    decisions: Sequence[Decision], labels: Sequence[str], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of labels and silence, [steps, labels + 1], and the steps' edges in seconds, [steps + 1]."""
    shares = np.array(
        [[one.probabilities.get(label, 0.0) for label in labels] + [float(not one.probabilities)] for one in decisions]
    )
    starts = np.arange(0, len(decisions), -(-len(decisions) // most))
    counts = np.diff([*starts, len(decisions)])
    ends = [decisions[start + count - 1].end_seconds for start, count in zip(starts, counts, strict=True)]
    return np.add.reduceat(shares, starts) / counts[:, np.newaxis], np.array([0.0, *ends])


def _spans(shares: NDArray[np.float64], edges: NDArray[np.float64]) -> list[tuple[int, float, float]]:
    """Return which label has the largest share, from when to when, neighbours of the same label as one."""
    spans = []
    for place, steps in groupby(range(len(shares)), key=lambda step: int(np.argmax(shares[step]))):
        inside = list(steps)
        spans.append((place, float(edges[inside[0]]), float(edges[inside[-1] + 1])))
    return spans


def _draw_strip(
    axes: Axes,
    spans: Sequence[tuple[int, float, float]],
    names: Sequence[str],
    looks: Sequence[_Look],
    font: FontProperties,
    characters: float,
) -> None:
    seconds = spans[-1][2]
    axes.set(ylim=(0, 1), yticks=[0.5], yticklabels=["most\nprobable"])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelbottom=False)
    for place, start, end in spans:
        look = looks[place]
        axes.axvspan(start, end, facecolor=look.color, hatch=look.hatch, edgecolor=look.line, linewidth=0)
        axes.axvline(end, color="white", linewidth=1)
        if len(names[place]) + 1 <= characters * (end - start) / seconds:  # as wide as it is
            axes.text(
                (start + end) / 2,
                0.46,
                names[place],
                ha="center",
                va="center",
                font=font,
                fontsize=10,
                color=_readable_on(look.color),
                parse_math=False,
                clip_on=True,
                bbox={"facecolor": look.color, "edgecolor": "none", "pad": 1.5} if look.hatch else None,
            )


def _draw_stack(
    axes: Axes,
    shares: NDArray[np.float64],
    edges: NDArray[np.float64],
    looks: Sequence[_Look],
) -> list[StepPatch]:
    layers = []
    floor = np.zeros(len(shares))
    line = 0.6 if len(shares) <= 150 else 0  # of the edges between steps, where there is room for them
    for place, look in enumerate(looks):
        top = floor + shares[:, place]
        if look is not _SILENT or shares[:, place].any():
            layer = axes.stairs(top, edges, baseline=floor, fill=True, hatch=look.hatch, linewidth=line)
            layer.set(facecolor=look.color, edgecolor=look.line)
            layers.append(layer)
        floor = top
    axes.set(ylim=(0, 1), ylabel="probability")
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.tick_params(labelbottom=False)
    return layers


def _draw_waveform(axes: Axes, mono: NDArray[np.float32], rate_hz: int) -> None:
    starts = np.unique(np.linspace(0, len(mono), min(len(mono), _MOST_COLUMNS), endpoint=False).astype(int))
    lows, highs = np.minimum.reduceat(mono, starts), np.maximum.reduceat(mono, starts)
    axes.fill_between(starts / rate_hz, lows, highs, color=_WAVEFORM, linewidth=0.4)
    peak = float(max(-lows.min(), highs.max()))
    axes.set(ylim=(-1.05 * peak, 1.05 * peak) if peak else (-1, 1), ylabel="waveform")
    axes.yaxis.set_major_locator(MaxNLocator(2, symmetric=True))


def _draw_legend(picture: Figure, layers: Sequence[StepPatch], names: Sequence[str], font: FontProperties) -> None:
    # Named afterwards: matplotlib leaves names that start with an underscore out.
    legend = picture.legend(layers[::-1], ["name"] * len(layers), loc="outside right center", frameon=False, prop=font)
    for text, name in zip(legend.get_texts(), names[: len(layers)][::-1], strict=True):
        text.set(text=name, parse_math=False)


def _over_time(axes: Axes, seconds: float) -> None:
    hours, minutes = seconds >= 3600, seconds >= 120

    def clock(value: float, _: Any) -> str:
        if not minutes:
            return f"{value:g}"
        whole = round(value)
        rest = f"{whole // 60 % 60:02}:{whole % 60:02}" if hours else f"{whole // 60}:{whole % 60:02}"
        return f"{whole // 3600}:{rest}" if hours else rest

    step = next((step for step in _TICKS_SECONDS if seconds / step <= 14), seconds / 14)
    axes.set_xlim(0, seconds)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(clock))
    axes.set_xlabel("time (h:min:s)" if hours else "time (min:s)" if minutes else "time (s)")


def _readable_on(color: str) -> str:
    red, green, blue = to_rgb(color)
    return "#222222" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.45 else "white"
