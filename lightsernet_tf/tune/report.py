"""What a search found, in words and tables: for a terminal, as Markdown and as CSV.

What this module does not do: read the trials (see `tune.trial`) or rank them (see `tune.ranking`).
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lightsernet_tf.evaluate.diagnosis import TWO_SIDED_95
from lightsernet_tf.reporting.markdown import figure, inline, markdown_table, percent, report
from lightsernet_tf.reporting.tables import shortened
from lightsernet_tf.tune.ranking import (
    are_numbers,
    best_trial,
    by_epochs,
    comparable,
    not_told_apart,
    rank_correlation,
    searched_keys,
    ua_of,
    with_status,
)
from lightsernet_tf.tune.space import value_text
from lightsernet_tf.tune.table import short_names, text_blocks, trial_columns, ua_text, with_ranks
from lightsernet_tf.tune.trial import Trial

OBJECTIVE_PNG, HYPERPARAMETERS_PNG = "objective.png", "hyperparameters.png"
_MOST_VALUES = 8  # of a number: with more, a table of them says less than a correlation
_CHANGE_THE_UTTERANCES = ("corpus.", "split.")
_CAUTION = (
    "A search does not try all values equally often, and each trial differs from the others in several settings at "
    "once: what is below goes together with a higher or lower UA, which does not say that it is the cause."
)
_NUMBERS = ("number", "completed trials", "lowest", "highest", "Spearman's rank correlation with UA", "by chance up to")
_CHOICES = ("choice", "value", "completed trials", "mean UA", "lowest", "highest")


def terminal_results(trials: Sequence[Trial], width: int = 140) -> str:
    """Return the ranked trials as an aligned table, and how sure one can be of it.

    Settings that all trials share stand once above it. Where the columns do not fit, the table goes on in further
    blocks below; overlong values are shortened in the middle. The Markdown and the CSV hold everything in full.

    Parameters
    ----------
    trials
        At least one, in the order of their numbers.
    width
        Longest line, in columns of the terminal.
    """
    keys, columns = searched_keys(trials), trial_columns(trials, in_full=False)
    headings = short_names(keys)
    shared = [name for name in ("epochs", *keys) if len(set(columns[name])) == 1]
    above = [f"{len(trials)} trial{'s' * (len(trials) != 1)}: {_counts(trials)}.", *_explanations(trials)]
    if shared:
        above.append(f"In all: {', '.join(f'{name} {columns[name][0]}' for name in shared)}.")
    if cut := [key for key in keys if key not in shared and headings[key] != key]:
        above.append(f"Keys in full: {', '.join(cut)}.")
    table = {headings.get(name, name): cells for name, cells in columns.items() if name not in shared}
    parts = [_filled(" ".join(above), width)]
    parts += text_blocks(table, set(table) - {headings[key] for key in _texts(trials)}, width)
    parts += [_filled(text, width) for text in [certainty(trials), *_running(trials)]]
    failed = [f"Failed: trial {trial.name}: {trial.reason or '–'}" for trial in with_status(trials, "failed")]
    parts += ["\n".join(shortened(inline(text), width) for text in failed)] if failed else []
    return "\n\n".join(parts)


def markdown_results(
    trials: Sequence[Trial], title: str, notes: Sequence[str] = (), facts: Mapping[str, Any] | None = None
) -> str:
    """Return a report with all trials, how sure one can be, and each hyperparameter alone.

    Parameters
    ----------
    trials
        At least one, in the order of their numbers.
    title
        First line.
    notes
        What must be known with the figures.
    facts
        What all trials share, by name.
    """
    keys, columns, texts = searched_keys(trials), trial_columns(trials, in_full=True), _texts(trials)
    align = "".join("l" if name in texts else "r" for name in columns)
    table = markdown_table(list(columns), list(zip(*columns.values(), strict=True)), align)
    sections = [certainty(trials), "## Trials", *_explanations(trials), table]
    sections += [figure("Validation UA over the trials", OBJECTIVE_PNG), *_running(trials)]
    if failed := with_status(trials, "failed"):
        reasons = [(trial.name, trial.reason or "–") for trial in failed]
        sections.append("## Failed trials\n\n" + markdown_table(("trial", "reason"), reasons, "rl"))
    only = f"Only trials of {comparable(trials)[0].epochs} epochs are in the tables." if _differ(trials) else ""
    sections += ["## Hyperparameters", f"{_CAUTION} {only}"]
    sections.append(figure("Validation UA against each hyperparameter", HYPERPARAMETERS_PNG))
    sections += _numbers_section(trials, keys) + _values_section(trials, keys)
    about = {"trials": _counts(trials), "searched": keys}
    return report(title, notes=notes, facts={**(facts or {}), **about}, sections=sections)


def results_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """Return a line of CSV for each trial, ranked: shares from 0 to 1, a column for each key and each fold's figure.

    A key whose condition does not hold stays empty; one that is set to nothing is ``none``.
    """
    keys = searched_keys(trials)
    folds = dict.fromkeys(fold.fold for trial in trials for fold in trial.folds)
    columns = ("status", "objective", "objective_half_width", "epochs", "epochs_done", "continues", "seconds", "reason")
    figures = ("epoch", "utterances", "ua", "ua_low", "ua_high", "wa", "macro_f1")
    rows = []
    for rank, trial in with_ranks(trials):
        judged = {outcome.fold: asdict(outcome) for outcome in trial.folds}
        row = {"rank": rank, "trial": trial.name, **{name: getattr(trial, name) for name in columns}}
        row |= {key: _csv_cell(trial.values[key]) if key in trial.values else None for key in keys}
        row |= {f"{fold}.{name}": judged.get(fold, {}).get(name) for fold in folds for name in figures}
        rows.append(row)
    return rows


def certainty(trials: Sequence[Trial]) -> str:
    """Say how sure one can be that the best trial is better than the others, and what its figure is worth."""
    best = best_trial(trials)
    if best is None:
        return "No trial is completed yet, so that nothing can be said of the settings."
    others = len(comparable(trials)) - 1
    as_long = f" of {best.epochs} epochs" if _differ(trials) else ""
    sentences = [
        f"The best is trial {best.name}, with a validation UA of {ua_text(best)} % (95 % interval over the utterances; "
        "other speakers and seeds are not in it)."
    ]
    if others:
        sentences.append(
            f"Of the other {others} completed{as_long}, {len(not_told_apart(trials))} cannot be told apart from it: "
            "their UA is lower by no more than the root of the sum of the two squared half widths."
        )
        changing = [key for key in searched_keys(trials) if key.startswith(_CHANGE_THE_UTTERANCES)]
        sentences.append(
            f"The trials differ in {', '.join(changing)}, and so in the utterances that they were measured on."
            if changing
            else "That is a cautious yardstick, as all trials were measured on the same utterances."
        )
    if degenerate := [trial for trial in comparable(trials) if trial.objective_half_width == 0]:
        sentences.append(
            f"For {len(degenerate)} of them the interval has no width, as where a network gives one class only, "
            "and says nothing."
        )
    tried = sum(not trial.continues for trial in with_status(trials, "completed"))
    out_of = f"the best of {tried} settings, each at its best epoch" if tried > 1 else "that of the best epoch"
    sentences.append(
        f"Its UA is optimistic: it is {out_of}, chosen on these same utterances. No test data was used; judge the best "
        "on it once, at the end."
    )
    return " ".join(sentences)


def _counts(trials: Sequence[Trial]) -> str:
    statuses = ("completed", "running", "failed")
    return ", ".join(f"{len(with_status(trials, status))} {status}" for status in statuses)


def _explanations(trials: Sequence[Trial]) -> list[str]:
    folds = max(len(trial.folds) for trial in trials)
    mean = f", the mean over {folds} folds" if folds > 1 else ""
    explanations = [f"UA: of the validation data at the chosen epoch{mean}, in %, ± half of its 95 % interval."]
    if _differ(trials):
        explanations.append(
            "Ranked by epochs first, as shorter trials are not comparable; one that continues another has its epochs."
        )
    return explanations


def _differ(trials: Sequence[Trial]) -> bool:
    return len(by_epochs(trials)) > 1


def _texts(trials: Sequence[Trial]) -> list[str]:
    """Return the searched keys whose values are no numbers."""
    return [key for key in searched_keys(trials) if not are_numbers(_values(trials, key))]


def _values(trials: Sequence[Trial], key: str) -> list[Any]:
    return [trial.values[key] for trial in trials if key in trial.values]


def _running(trials: Sequence[Trial]) -> list[str]:
    running = with_status(trials, "running")
    progress = [f"trial {trial.name}, epoch {trial.epochs_done}/{trial.epochs}" for trial in running]
    return [f"Running: {'; '.join(progress)}."] if progress else []


def _filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, break_on_hyphens=False)


def _csv_cell(value: Any) -> Any:
    return value if are_numbers([value]) else value_text(value)


def _numbers_section(trials: Sequence[Trial], keys: Sequence[str]) -> list[str]:
    rows = []
    for key in keys:
        compared = [trial for trial in comparable(trials) if trial.values.get(key) is not None]
        values = _values(compared, key)
        if are_numbers(values):
            correlation = rank_correlation(values, [ua_of(trial) for trial in compared])
            cells = ("–", "–") if correlation is None else (f"{correlation:+.2f}", f"±{_by_chance(len(values)):.2f}")
            rows.append((key, len(values), value_text(min(values)), value_text(max(values)), *cells))
    return [markdown_table(_NUMBERS, rows, "lrrrrr")] if rows else []


def _by_chance(pairs: int) -> float:
    """Return the magnitude that the rank correlation of unrelated values stays below in 95 % of cases, roughly."""
    return min(1.0, TWO_SIDED_95 / math.sqrt(pairs - 1))


def _values_section(trials: Sequence[Trial], keys: Sequence[str]) -> list[str]:
    rows: list[Sequence[Any]] = []
    for key in keys:
        compared = [trial for trial in comparable(trials) if key in trial.values]
        values = sorted(_values(compared, key), key=_by_size)
        groups: dict[str, list[float]] = {value_text(value): [] for value in values}
        for trial in compared:
            groups[value_text(trial.values[key])].append(ua_of(trial))
        if are_numbers(values) and len(groups) > min(_MOST_VALUES, len(values) / 2):
            continue
        for value, uas in groups.items():
            rows.append((key, value, len(uas), percent(sum(uas) / len(uas)), percent(min(uas)), percent(max(uas))))
    return [markdown_table(_CHOICES, rows, "llrrrr")] if rows else []


def _by_size(value: Any) -> tuple[bool, float, str]:
    number = are_numbers([value])
    return number, float(value) if number else 0.0, value_text(value)
