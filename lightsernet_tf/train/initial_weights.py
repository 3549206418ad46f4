"""Starting from weights that are already there, without letting them carry test data, or a wrong label order, along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras

from lightsernet_tf.config_identity import differing_keys
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import PROTOCOLS, Fold, inherited_notes
from lightsernet_tf.errors import RunError
from lightsernet_tf.runs.checkpoints import load_weights
from lightsernet_tf.runs.run import Run

KEY = "train.initial_weights"


@dataclass(frozen=True)
class InitialWeights:
    """A file of weights, and the notes of every run that starts from it."""

    path: Path
    notes: tuple[str, ...]


def load_initial_weights(network: keras.Model, experiment: Experiment, fold: Fold) -> tuple[str, ...]:
    """Set a network to the weights that ``train.initial_weights`` names, if any, and return the notes of the run.

    Raises
    ------
    RunError
        As `find_initial_weights`, or if the file is damaged or of another network.
    """
    if experiment.config.train.initial_weights is None:
        return ()
    start = find_initial_weights(experiment.config.train.initial_weights, experiment, fold)
    load_weights(network, start.path)
    return start.notes


def find_initial_weights(given: str, experiment: Experiment, fold: Fold) -> InitialWeights:
    """Return the weights that a run's folder (its chosen epoch) or a file's name means.

    Raises
    ------
    RunError
        If there is no such run or epoch, or the run that the weights come from has other labels or features, or was
        trained or its epoch chosen on what the fold tests.
    """
    path = Path(given).expanduser()
    if path.is_dir():
        run = Run.open(path)
        path = run.weights_path(run.resolve_epoch("best"))
    elif (path.absolute().parent.parent / "run.json").exists():
        run = Run.open(path.absolute().parent.parent)
    else:
        return InitialWeights(path, (f"started from the weights in {path.name}, whose training data is not known",))
    _check_fits(run, experiment)
    _check_unseen(run, experiment, fold)
    notes = inherited_notes(PROTOCOLS[run.config.split.protocol], run.notes)
    return InitialWeights(path, (*notes, f"started from {run.path.name}, {path.name.split('.')[0]}"))


def _check_fits(run: Run, experiment: Experiment) -> None:
    if run.labels != experiment.labels:
        raise RunError(
            f"{KEY}: expected a run of the labels {', '.join(experiment.labels)}, in this order. "
            f"Received: {run.path} with {', '.join(run.labels)}"
        )
    for key, (theirs, ours) in differing_keys(run.config, experiment.config, only=["features"]).items():
        raise RunError(f"{KEY}: expected a run with {key}={ours!r}. Received: {run.path} with {theirs!r}")


def _check_unseen(run: Run, experiment: Experiment, fold: Fold) -> None:
    if run.config.corpus.name != experiment.config.corpus.name:
        return  # names of another corpus say nothing about this one
    # Where the test data chooses the epoch, validation data is test data, in that run as in this one.
    parts = ["training"] if experiment.protocol.chooses_on_test else ["training", "validation"]
    seen = {name for part in parts for name in run.split[part]["utterances"]}
    speakers = {name for part in parts for name in run.split[part]["speakers"]}
    tested = [name for name in experiment.names(fold.test) if name in seen]
    if tested:
        raise RunError(
            f"{KEY}: expected weights that have not seen the test data of {fold.name}. "
            f"Received: {run.path}, which has seen {len(tested)} of its utterances, e.g. {tested[0]}"
        )
    known = sorted(speakers & set(experiment.speakers(fold.test)))
    if known and experiment.protocol.speaker_independent:
        raise RunError(
            f"{KEY}: expected weights that have not seen the test speakers of {fold.name}. "
            f"Received: {run.path}, which has seen {', '.join(known)}"
        )
