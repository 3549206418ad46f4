"""The results of a search so far: read at any time, shown, and written into its folder.

results.csv  results.md  objective.png  hyperparameters.png     the trials, ranked and drawn
best.yaml                                                       the best settings, as ``train`` takes them
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightsernet_tf.config_parser import config_yaml, with_values
from lightsernet_tf.corpora import READERS
from lightsernet_tf.files import write_csv, write_text
from lightsernet_tf.reporting.markdown import percent
from lightsernet_tf.runs.run import Run
from lightsernet_tf.tune.folder import Search
from lightsernet_tf.tune.ranking import best_trial, with_status
from lightsernet_tf.tune.report import (
    HYPERPARAMETERS_PNG,
    OBJECTIVE_PNG,
    markdown_results,
    results_rows,
    terminal_results,
)
from lightsernet_tf.tune.trial import PREFIX, Trial, read_trials


def report_search(path: Path, width: int = 140) -> str:
    """Write the results of a search into its folder, and return them as text for a terminal.

    Parameters
    ----------
    path
        The search's folder; it may be running.
    width
        Of the terminal.

    Raises
    ------
    RunError
        If there is no search, or one of its files is damaged.
    """
    search = Search.open(path)
    trials = read_trials(search.path)
    if not trials:
        return f"{search.path}: no trial has begun"
    notes, kind = _notes(search), f"{search.settings.search.strategy} search on {search.settings.corpus.name}"
    written = write_results(search.path, trials, f"{search.path.name}: {kind}", notes, _facts(search))
    lines = [f"{search.path}: {kind}", *(f"  {note}" for note in notes), terminal_results(trials, width), ""]
    if best_trial(trials):
        best = _write_best(search, trials)
        lines.append(f"Best:     {best}  (for train, or cross_validate --config '{best}')")
    return "\n".join([*lines, f"Written:  {', '.join(map(str, written))}"])


def write_results(
    path: Path,
    trials: Sequence[Trial],
    title: str,
    notes: Sequence[str] = (),
    facts: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write ``results.md``, ``results.csv`` and the pictures into a folder, each whole or not at all.

    Parameters
    ----------
    path
        The search's folder.
    trials
        At least one, in the order of their numbers.
    title
        Of ``results.md``.
    notes
        What must be known with the figures; in all but the CSV.
    facts
        What all trials share, by name; in ``results.md``.

    Returns
    -------
    list of Path
        What was written, the report first.
    """
    from lightsernet_tf.tune.figures import draw_hyperparameters, draw_objectives  # matplotlib takes a second

    names = ("results.md", "results.csv", OBJECTIVE_PNG, HYPERPARAMETERS_PNG)
    markdown, table, objective, hyperparameters = written = [path / name for name in names]
    draw_objectives(trials, objective, notes)
    draw_hyperparameters(trials, hyperparameters, notes)
    write_csv(table, results_rows(trials))
    write_text(markdown, markdown_results(trials, title, notes, facts))  # last: what it refers to is there
    return written


def _write_best(search: Search, trials: Sequence[Trial]) -> Path:
    """Write the settings of the best trial, free of the search, as an experiment of its own."""
    best, path = best_trial(trials), search.path / "best.yaml"
    assert best is not None
    config = with_values(search.settings.shared(), {**best.values, "run_name": None})
    about = (
        f"# Trial {best.name}, the best of {len(with_status(trials, 'completed'))} completed ones of "
        f"{search.path.name}: validation UA {percent(best.objective)}.\n"
        "# Chosen on validation data: judge it by a cross-validation, best with other seeds or other speakers.\n"
    )
    write_text(path, about + config_yaml(config))
    return path


def _notes(search: Search) -> list[str]:
    notice = READERS[search.settings.corpus.name].notice
    notes = [notice] if notice is not None else []
    differing = [key for key in search.settings.search.space if key.split(".")[0] in ("corpus", "split")]
    if differing:
        notes.append(
            f"trials differ in {', '.join(differing)}, and so in what they are judged on: their figures compare roughly"
        )
    return notes


def _facts(search: Search) -> dict[str, Any]:
    """Return what all trials share but for what is searched, by name."""
    settings = search.settings
    train, split, how = settings.train, settings.split, settings.search
    folds = f"its first {how.folds} folds" if how.folds > 1 else "its first fold"
    facts: dict[str, Any] = {
        "corpus": settings.corpus.name,
        "protocol": f"{split.protocol}, split seed {split.seed}, {folds}",
        "strategy": f"{how.strategy} of Keras Tuner {version('keras-tuner')}, seed {how.seed}",
        "training, where not searched": f"{train.epochs} epochs, batch {train.batch_size}, learning rate "
        f"{train.learning_rate:g} ({train.schedule}), {train.loss}, balance {train.balance}, "
        f"dropout {settings.model.dropout:g}, seed {train.seed}",
        "epoch chosen": f"by {train.choose_by} on validation data",
    }
    for path in sorted(search.path.glob(f"{PREFIX}*/[!.]*/run.json"))[: how.folds]:
        run = Run(path.parent)
        facts[f"validation speakers of {run.path.name}"] = run.split["validation"]["speakers"]
        facts["threads of a training"] = run.about.get("threads", "–")
        facts["versions"] = ", ".join(f"{name} {number}" for name, number in run.about["versions"].items())
    return facts
