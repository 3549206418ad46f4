"""What a search has come to so far: read at any moment, shown, and written into its folder.

results.csv  results.md  objective.png  hyperparameters.png     the trials, ranked and drawn
best.yaml                                                       the best settings, as ``train`` takes them
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightsernet_tf.config import Config
from lightsernet_tf.config_parser import config_yaml, with_values
from lightsernet_tf.corpora import READERS
from lightsernet_tf.files import write_text
from lightsernet_tf.reporting.markdown import percent
from lightsernet_tf.runs.run import Run
from lightsernet_tf.tune.folder import Search
from lightsernet_tf.tune.ranking import best_trial
from lightsernet_tf.tune.report import terminal_results, write_results
from lightsernet_tf.tune.trial import PREFIX, Trial, read_trials

BEST = "best.yaml"


def report_search(path: Path, width: int = 140) -> str:
    """Write what a search has come to into its folder, and return it for a terminal.

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
    notes = _notes(search)
    title = f"{search.path.name}: {search.settings.search.strategy} search on {search.settings.corpus.name}"
    written = write_results(search.path, trials, title, notes, _facts(search))
    lines = [f"{search.path}: {search.settings.search.strategy} search on {search.settings.corpus.name}"]
    lines += [*(f"  {note}" for note in notes), terminal_results(trials, width), ""]
    best = best_trial(trials)
    if best is not None:
        _write_best(search, best, sum(trial.status == "completed" for trial in trials))
        lines.append(f"Best:     {search.path / BEST}  (for train, or cross_validate --config '{search.path / BEST}')")
    lines += [f"Written:  {', '.join(str(file) for file in written)}"]
    return "\n".join(lines)


def best_settings(search: Search, best: Trial) -> Config:
    """Return the settings of a trial, free of the search, as an experiment of its own."""
    return with_values(search.settings.shared(), {**best.values, "run_name": None})


def _write_best(search: Search, best: Trial, trials: int) -> None:
    about = (
        f"# Trial {best.name}, the best of {trials} completed ones of {search.path.name}: "
        f"validation UA {percent(best.objective or 0)}.\n"
        "# Chosen on validation data: judge it by a cross-validation, best with other seeds or other speakers.\n"
    )
    write_text(search.path / BEST, about + config_yaml(best_settings(search, best)))


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
    runs = [Run(path.parent) for path in sorted(search.path.glob(f"{PREFIX}*/[!.]*/run.json"))[: how.folds]]
    for run in runs:
        facts[f"validation speakers of {run.path.name}"] = run.split["validation"]["speakers"]
        facts["threads of a training"] = run.about.get("threads", "–")
        facts["versions"] = ", ".join(f"{name} {number}" for name, number in run.about["versions"].items())
    return facts
