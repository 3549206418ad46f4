"""The table of a search's trials: its cells by column, and its columns in as many blocks as a width asks for."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Mapping, Sequence

from lightsernet_tf.reporting.tables import display_width, shortened, table_width, text_table
from lightsernet_tf.tune.ranking import ranked, searched_keys
from lightsernet_tf.tune.space import value_text
from lightsernet_tf.tune.trial import Trial

_LEADING = ("rank", "trial")  # repeated in every block
_FIGURES = ("UA", "lowest–highest", "epochs", "continues", "chosen", "minutes")
_LONGEST_CELL, _NARROWEST_HEADING = 32, 8


def with_ranks(trials: Sequence[Trial]) -> list[tuple[int | None, Trial]]:
    """Return the trials as `ranked`, each with its rank if it is completed."""
    order = enumerate(ranked(trials), start=1)
    return [(rank if trial.status == "completed" else None, trial) for rank, trial in order]


def trial_columns(trials: Sequence[Trial], *, in_full: bool) -> dict[str, list[str]]:
    """Return the cells of the table by heading, a column for each searched key among them.

    Parameters
    ----------
    trials
        In the order of their numbers; the table has them ranked.
    in_full
        Whether the chosen epochs of all folds are listed, or the first and the last of them.
    """
    rows = with_ranks(trials)
    columns: dict[str, list[str]] = {
        "rank": [str(rank or trial.status) for rank, trial in rows],
        "trial": [trial.name for _, trial in rows],
        "UA": [ua_text(trial) for _, trial in rows],
    }
    if any(len(trial.folds) > 1 for trial in trials):
        columns["lowest–highest"] = [_range([100 * fold.ua for fold in trial.folds], ".1f") for _, trial in rows]
    columns["epochs"] = [str(trial.epochs) for _, trial in rows]
    if any(trial.continues for trial in trials):
        columns["continues"] = [trial.continues or "–" for _, trial in rows]
    columns["chosen"] = [_chosen(trial, in_full=in_full) for _, trial in rows]
    columns["minutes"] = [f"{trial.seconds / 60:.1f}" for _, trial in rows]
    for key in searched_keys(trials):
        columns[key] = [value_text(trial.values[key]) if key in trial.values else "–" for _, trial in rows]
    return columns


def ua_text(trial: Trial) -> str:
    """Return the objective in percent with half of its 95 % interval; a dash where there is none (yet)."""
    if trial.objective is None or trial.objective_half_width is None:
        return "–"
    return f"{100 * trial.objective:.1f} ± {100 * trial.objective_half_width:.1f}"


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return by key what stands behind its last dot, unless that is also another key's or another column's."""
    last = [key.rpartition(".")[2] for key in keys]
    taken = {*_LEADING, *_FIGURES}
    return {key: key if last.count(name) > 1 or name in taken else name for key, name in zip(keys, last, strict=True)}


def text_blocks(columns: Mapping[str, Sequence[str]], right: Collection[str], width: int) -> list[str]:
    """Return the table as aligned text, in as many blocks as the width asks for, each with rank and trial.

    Where all in one do not fit with headings on one line, these are broken behind underscores first.

    Parameters
    ----------
    columns
        Cells by heading; overlong ones are shortened in the middle.
    right
        Headings of the columns that are aligned on the right.
    width
        Longest line, in columns of the terminal; a single column is never broken.
    """
    columns = {heading: [shortened(cell, _LONGEST_CELL) for cell in cells] for heading, cells in columns.items()}
    in_one = table_width([_widest([heading, *cells]) for heading, cells in columns.items()]) <= width
    headings = {heading: [heading] if in_one else _broken(heading, cells) for heading, cells in columns.items()}
    height = max(map(len, headings.values()))
    lines = {
        heading: [*[""] * (height - len(headings[heading])), *headings[heading], *cells]
        for heading, cells in columns.items()
    }
    blocks = [[*_LEADING]]
    for heading in [heading for heading in columns if heading not in _LEADING]:
        wanted = [*blocks[-1], heading]
        if len(blocks[-1]) > len(_LEADING) and table_width([_widest(lines[name]) for name in wanted]) > width:
            blocks.append([*_LEADING])
        blocks[-1].append(heading)
    tables = []
    for block in blocks:
        rows = list(zip(*(lines[heading] for heading in block), strict=True))
        tables.append(text_table(rows, "".join("r" if heading in right else "l" for heading in block)))
    return ["\n".join(table).strip("\n") for table in tables]


def _widest(lines: Iterable[str]) -> int:
    return max(map(display_width, lines))


def _broken(heading: str, cells: Sequence[str]) -> list[str]:
    width = max(_NARROWEST_HEADING, _widest(cells))
    lines = textwrap.wrap(heading.replace("_", "_ "), width, break_long_words=False)
    return [line.replace("_ ", "_") for line in lines]


def _range(values: Sequence[float], form: str) -> str:
    return f"{min(values):{form}}–{max(values):{form}}" if values else "–"


def _chosen(trial: Trial, *, in_full: bool) -> str:
    epochs = [fold.epoch for fold in trial.folds]
    if in_full or len(epochs) < 2:
        return ", ".join(map(str, epochs)) or "–"
    return _range(epochs, "d")
