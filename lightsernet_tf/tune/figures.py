"""What a search found, as PNG pictures: the objective over the trials, and against each hyperparameter.

Matplotlib's objects are used without pyplot, as in `evaluate.figures`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from lightsernet_tf.evaluate.figures import CHOSEN, SECOND, TRAINING, VALIDATION, legend_above, save_picture, tidy
from lightsernet_tf.reporting.fonts import drawable, names_and_font
from lightsernet_tf.reporting.tables import shortened
from lightsernet_tf.tune.ranking import (
    are_numbers,
    best_trial,
    by_epochs,
    comparable,
    searched_keys,
    ua_of,
    with_status,
)
from lightsernet_tf.tune.space import value_text
from lightsernet_tf.tune.trial import Trial

_WIDE = 20  # numbers that span more than this factor are drawn on a logarithmic axis
_MOST_COLUMNS, _MOST_TICKS, _LONGEST_NAME = 4, 5, 24
_CLOSEST_TICKS = 0.14  # of the axis; closer ones would touch
_PANEL_CHARACTERS = 39  # beside each other, of the size of a value's name
_FEWEST_POINTS = 8  # of UA on an axis: less would make much of nothing
_DIVIDER = "#c3c9cf"
_GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it are spread evenly, however many there are


def draw_objectives(trials: Sequence[Trial], path: Path, notes: Sequence[str] = ()) -> None:
    """Draw the objective over the trials, with 95 % intervals, the best so far and the best.

    Under Hyperband the shorter trials are lighter, and the best so far is that of the longest. Failed and running
    trials are marked at the bottom. Without a completed trial the picture says so.

    Parameters
    ----------
    trials
        In the order of their numbers.
    path
        The PNG file, written whole or not at all.
    notes
        What must be known with the figures; below the picture, in every function here.
    """
    picture = Figure(figsize=(9.5, 4.2), layout="constrained")
    axes = picture.add_subplot()
    tidy(axes)
    for name, color, group in _shaded(trials):
        at, half_widths = _numbers(group), [100 * (trial.objective_half_width or 0) for trial in group]
        axes.plot(at, _percent(group), "o", color=color, markersize=4, label=name)
        interval = None if color != VALIDATION else "95 % interval"
        axes.errorbar(at, _percent(group), half_widths, fmt="none", color=color, elinewidth=0.8, label=interval)
    _draw_best_so_far(axes, trials)
    _mark_at_the_bottom(axes, _numbers(with_status(trials, "failed")), "x", "failed")
    _mark_at_the_bottom(axes, _numbers(with_status(trials, "running")), "o", "running")
    _objective_axis(axes, trials, with_intervals=True)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    margin = max(0.5, 0.02 * len(trials))
    axes.set_xlim(min(_numbers(trials)) - margin, max(_numbers(trials)) + margin)
    legend_above(picture, axes)
    save_picture(picture, path, notes)


def draw_hyperparameters(trials: Sequence[Trial], path: Path, notes: Sequence[str] = ()) -> None:
    """Draw the objective against each searched key, a panel each.

    Numbers are drawn along an axis, which is logarithmic where they span far and are even on it; what has no place
    on it (none; zero where it is logarithmic) has a column beside it. All other values have a column each, with a line
    at the mean over the trials that trained the most epochs, and are jittered sideways to tell them apart.

    Parameters
    ----------
    trials
        In the order of their numbers; one for which a key's condition does not hold is not in its panel.
    path
        The PNG file, written whole or not at all.
    """
    keys = searched_keys(trials)
    rows = math.ceil(len(keys) / _MOST_COLUMNS)
    columns = math.ceil(len(keys) / rows)
    picture = Figure(figsize=(max(4.6, 2.6 * columns + 0.5), 2.7 * rows + 0.4), layout="constrained")
    grid = picture.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in grid.flat[len(keys) :]:
        axes.remove()
    have_means = [_draw_panel(axes, key, trials) for axes, key in zip(grid.flat, keys, strict=False)]
    for axes in grid[:, 0]:
        _objective_axis(axes, trials)
    _name_shades(grid[0, 0], trials, with_means=any(have_means))
    legend_above(picture, grid[0, 0])
    save_picture(picture, path, notes)


def _draw_best_so_far(axes: Axes, trials: Sequence[Trial]) -> None:
    longest, best = comparable(trials), best_trial(trials)
    if best is None:
        return
    at = [*_numbers(longest), max(_numbers(trials))]
    so_far = np.maximum.accumulate(_percent(longest))
    axes.step(at, [*so_far, so_far[-1]], where="post", color=SECOND, linewidth=1.2, label="best so far", zorder=1.5)
    axes.axvline(int(best.name), color=CHOSEN, linewidth=0.8, linestyle=":", zorder=1)
    name = f"best: trial {best.name}"
    axes.plot(_numbers([best]), _percent([best]), "o", color=CHOSEN, markersize=6, label=name, zorder=5)


def _mark_at_the_bottom(axes: Axes, at: Sequence[float], marker: str, name: str) -> None:
    if at:
        heights = [0.035] * len(at)  # in parts of the axes'
        (line,) = axes.plot(at, heights, marker, label=name, transform=axes.get_xaxis_transform())
        line.set(color=TRAINING, markerfacecolor="white", markersize=5)


def _draw_panel(axes: Axes, key: str, trials: Sequence[Trial]) -> bool:
    """Draw the objective against a key and return whether there are means in it."""
    tidy(axes)
    font = names_and_font([key])[1]
    label = key.replace(".", ".\n", 1) if len(key) > _LONGEST_NAME else key
    axes.set_xlabel(drawable(label, font), font=font, fontsize=9, parse_math=False)
    axes.tick_params(labelsize=8)
    there = [trial for trial in with_status(trials, "completed") if key in trial.values]
    if not there:
        axes.set_xticks([])
        return False
    values = [trial.values[key] for trial in there]
    in_columns = not are_numbers(values)
    at = _in_columns(axes, values) if in_columns else _along_numbers(axes, values)
    jitter = [((0.5 + place * _GOLDEN) % 1 - 0.5) / 2 if in_columns else 0 for place in range(len(there))]
    places = {trial.name: middle + aside for trial, middle, aside in zip(there, at, jitter, strict=True)}
    for _, color, group in _shaded(trials):
        mine = [trial for trial in group if trial.name in places]
        axes.plot(_at(places, mine), _percent(mine), "o", color=color, markersize=4, markeredgewidth=0)
    if (best := best_trial(trials)) and best.name in places:
        axes.plot(_at(places, [best]), _percent([best]), "o", color=CHOSEN, markersize=6, zorder=5)
    if in_columns:
        _draw_means(axes, dict(zip(places, at, strict=True)), comparable(trials))
    return in_columns


def _draw_means(axes: Axes, columns: Mapping[str, float], longest: Sequence[Trial]) -> None:
    by_column: dict[float, list[Trial]] = {}
    for trial in longest:
        if trial.name in columns:
            by_column.setdefault(columns[trial.name], []).append(trial)
    for middle, group in by_column.items():
        mean = _percent(group).mean()
        axes.plot([middle - 0.3, middle + 0.3], [mean, mean], color=SECOND, linewidth=1.6, zorder=1.5)


def _in_columns(axes: Axes, values: Sequence[Any]) -> list[float]:
    texts = [value_text(value) for value in values]
    columns = sorted(set(texts))
    names, font = names_and_font([shortened(text, _LONGEST_NAME) for text in columns])
    width = max(5, _PANEL_CHARACTERS // len(names) - 1)
    # Lines may end behind an underscore too.
    broken = [textwrap.fill(name.replace("_", "_ "), width, break_long_words=False) for name in names]
    lines = tuple(text.replace("_ ", "_") for text in broken)
    turned: dict[str, Any] = {}
    if max(len(line) for text in lines for line in text.split("\n")) > width:  # side by side they would touch
        lines, turned = names, {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(names)), lines, font=font, fontsize=8, parse_math=False, **turned)
    axes.set_xlim(-0.6, len(names) - 0.4)
    return [float(columns.index(text)) for text in texts]


def _along_numbers(axes: Axes, values: Sequence[Any]) -> list[float]:
    """Return where the values lie, after making an axis for them, and columns for what has no place on it."""
    numbers = np.unique([float(value) for value in values if value is not None])
    logarithmic = _are_logarithmic(numbers)
    numbers = numbers[numbers > 0] if logarithmic else numbers
    beside = [value for value in (0, None) if value in values and (value is None or value not in numbers)]
    to_axis: Callable[[float], float] = math.log10 if logarithmic else float
    from_axis: Callable[[float], float] = (lambda at: 10.0**at) if logarithmic else float
    first, last = to_axis(numbers[0]), to_axis(numbers[-1])
    span = (last - first) or 1.0
    off = {value: from_axis(first - 0.28 * span * place) for place, value in enumerate(beside, start=1)}
    ticks = _ticks(numbers, logarithmic, whole=all(isinstance(value, (int, type(None))) for value in values))
    axes.set_xscale("log" if logarithmic else "linear")
    axes.set_xticks([*off.values(), *ticks], [*map(value_text, off), *map(value_text, ticks)])
    minor = LogLocator(subs=range(2, 10)).tick_values(numbers[0], numbers[-1]) if logarithmic else []
    axes.set_xticks([tick for tick in minor if numbers[0] <= tick <= numbers[-1]], minor=True)
    axes.xaxis.set_minor_formatter(NullFormatter())
    if off:
        axes.axvline(from_axis(first - 0.14 * span), color=_DIVIDER, linewidth=0.8)
    axes.set_xlim(from_axis(first - span * (0.08 + 0.28 * len(off))), from_axis(last + 0.08 * span))
    return [off[value] if value in off else float(value) for value in values]


def _are_logarithmic(numbers: NDArray[np.float64]) -> bool:
    """Return whether sorted numbers, positive but for a zero, span far and are even on a logarithmic scale.

    Evenly drawn ones span far too where one comes to lie close to zero.
    """
    positive = numbers[numbers > 0]
    if numbers[0] < 0 or not positive.size or positive[-1] <= _WIDE * positive[0]:
        return False

    def unevenness(at: NDArray[np.float64]) -> float:
        return abs((np.median(at) - at[0]) / np.ptp(at) - 0.5)

    return bool(unevenness(np.log(positive)) <= unevenness(positive) + 1e-9)


def _ticks(numbers: NDArray[np.float64], logarithmic: bool, *, whole: bool) -> list[float]:
    at = np.log10(numbers) if logarithmic else numbers
    apart = len(numbers) <= _MOST_TICKS and (np.diff(at) > _CLOSEST_TICKS * np.ptp(at)).all()
    if apart and sum(len(value_text(number)) for number in numbers) <= _PANEL_CHARACTERS // 2:
        return [float(number) for number in numbers]
    low, high = numbers[0], numbers[-1]
    locator = (
        LogLocator(subs=(1.0,) if high > 100 * low else (1.0, 2.0, 5.0), numticks=_MOST_TICKS)
        if logarithmic
        else MaxNLocator(_MOST_TICKS - 1, integer=whole)
    )
    return [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]


def _objective_axis(axes: Axes, trials: Sequence[Trial], *, with_intervals: bool = False) -> None:
    folds = max(len(trial.folds) for trial in trials)
    axes.set_ylabel(f"mean validation UA\nof {folds} folds (%)" if folds > 1 else "validation UA (%)")
    completed = with_status(trials, "completed")
    if not completed:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no trial is completed yet", transform=axes.transAxes, ha="center", color=TRAINING)
        return
    around = [100 * (trial.objective_half_width or 0) if with_intervals else 0 for trial in completed]
    low, high = min(_percent(completed) - around), max(_percent(completed) + around)
    margin = max(0.07 * (high - low), (_FEWEST_POINTS - (high - low)) / 2)
    room = 1.5 * margin * (with_intervals and len(completed) < len(trials))  # for what is marked at the bottom
    axes.set_ylim(max(0, low - margin) - room, min(100, high) + margin)


def _name_shades(axes: Axes, trials: Sequence[Trial], *, with_means: bool) -> None:
    for name, color, _ in _shaded(trials):
        axes.plot([], [], "o", color=color, markersize=4, label=name)
    if best := best_trial(trials):
        axes.plot([], [], "o", color=CHOSEN, markersize=6, label=f"best: trial {best.name}")
    if with_means:
        axes.plot([], [], color=SECOND, linewidth=1.6, label="mean")


def _shaded(trials: Sequence[Trial]) -> list[tuple[str, str, list[Trial]]]:
    """Return the completed trials by epochs trained, each group with its name and colour, the lightest first."""
    groups = by_epochs(trials)
    if len(groups) == 1:
        return [("trial", VALIDATION, group) for group in groups.values()]
    depths = np.linspace(0.4, 1, len(groups))
    colors = [to_hex(1 - depth * (1 - np.array(to_rgb(VALIDATION)))) for depth in depths]
    names = [f"{epochs} epoch{'s' * (epochs > 1)}" for epochs in groups]
    return list(zip(names, colors, groups.values(), strict=True))


def _numbers(trials: Sequence[Trial]) -> list[int]:
    return [int(trial.name) for trial in trials]  # Keras Tuner numbers them


def _at(places: Mapping[str, float], trials: Sequence[Trial]) -> list[float]:
    return [places[trial.name] for trial in trials]


def _percent(trials: Sequence[Trial]) -> NDArray[np.float64]:
    return np.array([100 * ua_of(trial) for trial in trials])
