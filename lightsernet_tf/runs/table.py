"""All runs below a folder, one row each: what was set and what was reached.

What this module does not do: load weights or judge. It reads what `train` and `evaluate` left in the folders.
"""

from __future__ import annotations

import logging
import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.errors import RunError
from lightsernet_tf.reporting.markdown import markdown_table, percent
from lightsernet_tf.reporting.tables import display_width, shortened, table_width, text_table
from lightsernet_tf.runs.run import Run, choose_epoch

_RUN_FILES = {"run.json", "split.json", "epochs.csv"}
_NARROWEST_CELL = 6

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRow:
    """One run; ``None`` stands for what is not there (yet).

    Parameters
    ----------
    name
        The run's folder, relative to the one that was searched.
    corpus, protocol, fold
        What was trained on, and how it was split.
    features
        Kind of features.
    batch_size, epochs_done, epochs_planned, learning_rate, balance, loss, dropout
        How it was trained; the focal loss with its gamma.
    chosen_epoch
        Of the kept epochs the best on validation data, counted from 1.
    validation_ua, validation_wa, validation_macro_f1
        Shares from 0 to 1 at the chosen epoch, as measured in training.
    test_ua, test_wa, test_macro_f1
        The same of the test data, where the chosen epoch was judged.
    notes
        What has to be known before any figure, e.g. that they are optimistic.
    """

    name: str
    corpus: str
    protocol: str
    fold: str
    features: str
    batch_size: int
    epochs_done: int
    epochs_planned: int
    learning_rate: float
    balance: str
    loss: str
    dropout: float
    chosen_epoch: int | None
    validation_ua: float | None
    validation_wa: float | None
    validation_macro_f1: float | None
    test_ua: float | None
    test_wa: float | None
    test_macro_f1: float | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a line of CSV holds it: shares from 0 to 1, notes in one string."""
        return {**{key.name: getattr(self, key.name) for key in fields(self)}, "notes": "; ".join(self.notes)}


SORT_KEYS = tuple(key.name for key in fields(RunRow))

_SETTINGS: Mapping[str, Callable[[RunRow], str]] = {
    "corpus": lambda row: row.corpus,
    "protocol": lambda row: row.protocol,
    "fold": lambda row: row.fold,
    "features": lambda row: row.features,
    "batch": lambda row: str(row.batch_size),
    "epochs": lambda row: f"{row.epochs_done}/{row.epochs_planned}",
    "rate": lambda row: f"{row.learning_rate:g}",
    "balance": lambda row: row.balance,
    "loss": lambda row: row.loss,
    "dropout": lambda row: f"{row.dropout:g}",
}
_FIGURES: Mapping[str, str] = {
    "val UA": "validation_ua",
    "val WA": "validation_wa",
    "val F1": "validation_macro_f1",
    "test UA": "test_ua",
    "test WA": "test_wa",
    "test F1": "test_macro_f1",
}
_TEXT = {"run", "corpus", "protocol", "fold", "features", "balance", "loss", "notes"}


def collect_runs(folder: Path) -> list[RunRow]:
    """Read all runs in and below a folder, the folds of cross-validations among them, in the order of their names.

    A damaged run, or one of another format, is left out with one warning that names it.

    Raises
    ------
    RunError
        If the folder is not there, or no run in it can be read.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing there"
        raise RunError(f"{folder}: expected a folder of runs. Received: {found}")
    rows = []
    for path in _run_folders(folder):
        try:
            rows.append(_read_run(path, folder))
        except RunError as error:
            message = str(error)
            _logger.warning("left out: %s", message if str(path) in message else f"{path}: {message}")
    if not rows:
        raise RunError(f"{folder}: expected at least one run in it or below. Received: none that can be read")
    return sorted(rows, key=lambda row: _natural(row.name))


def sort_runs(rows: Sequence[RunRow], key: str = "validation_ua") -> list[RunRow]:
    """Sort runs: figures from the best down, all else from small to large; what is not there comes last.

    Parameters
    ----------
    rows
        The runs; equal ones stay in order.
    key
        One of ``SORT_KEYS``.
    """
    if key not in SORT_KEYS:
        raise RunError(f"sort: expected one of {', '.join(SORT_KEYS)}. Received: {key}")
    there = [row for row in rows if getattr(row, key) is not None]
    if key in _FIGURES.values():
        there.sort(key=lambda row: -getattr(row, key))
    else:
        there.sort(key=lambda row: _natural(row.to_dict()[key]))
    return there + [row for row in rows if getattr(row, key) is None]


def terminal_table(rows: Sequence[RunRow], width: int = 140) -> str:
    """Return the runs as an aligned table.

    Settings that all runs share stand once above it, and the longest texts are shortened in the middle until a line
    fits ``width`` columns, as far as that goes; the Markdown and the CSV hold all of them in full. Notes are numbered
    and stand below it.
    """
    settings = {heading: [cell(row) for row in rows] for heading, cell in _SETTINGS.items()}
    shared = [f"{heading} {cells[0]}" for heading, cells in settings.items() if len(set(cells)) == 1]
    columns = {"run": [row.name for row in rows]}
    columns |= {heading: cells for heading, cells in settings.items() if len(set(cells)) > 1}
    if all(row.name.endswith(row.fold) for row in rows):
        columns.pop("fold", None)
    columns["chosen"] = [_chosen(row) for row in rows]
    columns |= {
        heading: [percent(getattr(row, key)).removesuffix(" %") for row in rows] for heading, key in _FIGURES.items()
    }
    notes = list(dict.fromkeys(note for row in rows for note in row.notes))
    if notes:
        columns["notes"] = [", ".join(str(1 + notes.index(note)) for note in row.notes) for row in rows]
    above, below = zip(*(heading.split() if " " in heading else ("", heading) for heading in columns), strict=True)
    widths = {heading: max(map(display_width, (*heading.split(), *cells))) for heading, cells in columns.items()}
    widths = _fitted(widths, width)
    lines = [above, below, *(map(shortened, line, widths.values()) for line in zip(*columns.values(), strict=True))]
    table = text_table([list(line) for line in lines], _align(columns))
    summary = f"{len(rows)} run{'s' * (len(rows) > 1)}, figures in %. "
    summary += f"In all: {', '.join(shared)}." * bool(shared)
    footnotes = ["", *(f"{number}: {note}" for number, note in enumerate(notes, start=1))] if notes else []
    return "\n".join([textwrap.fill(summary, width, break_on_hyphens=False), "", *table, *footnotes])


def markdown_runs(rows: Sequence[RunRow]) -> str:
    """Return the runs as a Markdown table with every column."""
    header = ["run", *_SETTINGS, "chosen", *_FIGURES, "notes"]
    lines = [
        [
            row.name,
            *(cell(row) for cell in _SETTINGS.values()),
            _chosen(row),
            *(percent(getattr(row, key)) for key in _FIGURES.values()),
            "; ".join(row.notes),
        ]
        for row in rows
    ]
    return markdown_table(header, lines, _align(header)) + "\n"


def _chosen(row: RunRow) -> str:
    return "–" if row.chosen_epoch is None else str(row.chosen_epoch)


def _run_folders(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        if _RUN_FILES & set(files):
            yield Path(parent)
            folders.clear()  # nothing in a run is another run
        folders[:] = [name for name in folders if not name.startswith(".")]


def _read_run(path: Path, folder: Path) -> RunRow:
    run = Run.open(path)
    config, history = run.config, run.history()
    kept = set(run.kept_epochs())
    # Where all weights were deleted to save space, the figures are still worth a row.
    candidates = [row for row in history if row["epoch"] in kept] or history
    chosen = choose_epoch(candidates, config.train.choose_by) if candidates else None
    validation = next((row for row in history if row["epoch"] == chosen), {})
    test = _test_scores(run, chosen) if chosen is not None else {}
    return RunRow(
        name=path.relative_to(folder).as_posix() if path != folder else path.resolve().name,
        corpus=config.corpus.name,
        protocol=config.split.protocol,
        fold=str(run.split.get("fold", "–")),
        features=config.features.kind,
        batch_size=config.train.batch_size,
        epochs_done=len(history),
        epochs_planned=config.train.epochs,
        learning_rate=config.train.learning_rate,
        balance=config.train.balance,
        loss=" ".join([config.train.loss, *(f"{value:g}" for value in config.train.loss_parameters().values())]),
        dropout=config.model.dropout,
        chosen_epoch=chosen,
        validation_ua=validation.get("val_ua"),
        validation_wa=validation.get("val_wa"),
        validation_macro_f1=validation.get("val_macro_f1"),
        test_ua=test.get("ua"),
        test_wa=test.get("wa"),
        test_macro_f1=test.get("macro_f1"),
        notes=tuple(run.notes),
    )


def _test_scores(run: Run, epoch: int) -> dict[str, float]:
    judged = run.scores(epoch)
    if judged is None or not PROTOCOLS[run.config.split.protocol].tests_somebody:
        return {}
    try:
        return {key: float(judged["test"][key]) for key in ("ua", "wa", "macro_f1")}
    except (KeyError, TypeError, ValueError) as error:
        path = run.report_dir(epoch) / "scores.json"
        raise RunError(f"{path}: expected ua, wa and macro_f1 of the test data. Received: {error!r}") from error


def _natural(value: Any) -> list[tuple[bool, float, str]]:
    # Numbers within a text count as numbers: fold_2 comes before fold_10.
    parts = re.split(r"(\d+)", value) if isinstance(value, str) else [value]
    return [
        (False, float(part), "") if not isinstance(part, str) or part.isdecimal() else (True, 0.0, part)
        for part in parts
        if part != ""
    ]


def _fitted(widths: dict[str, int], width: int) -> dict[str, int]:
    fitted = dict(widths)
    texts = [heading for heading in fitted if heading in _TEXT]
    while table_width([*fitted.values()]) > width:
        longest = max(texts, key=lambda heading: fitted[heading])
        if fitted[longest] <= max(_NARROWEST_CELL, len(longest)):
            break
        fitted[longest] -= 1
    return fitted


def _align(headings: Iterable[str]) -> str:
    return "".join("l" if heading in _TEXT else "r" for heading in headings)
