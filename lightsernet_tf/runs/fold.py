"""The fold that a run was trained on: described as plain data, and found again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import Fold, choose_fold
from lightsernet_tf.errors import RunError
from lightsernet_tf.runs.run import Run


def same_fold(run: Run, experiment: Experiment) -> Fold:
    """Return the fold that a run was trained on.

    Raises
    ------
    RunError
        If the corpus has changed since.
    """
    fold = choose_fold(experiment.folds, run.config.split)
    if describe_split(experiment, fold) != run.split or experiment.labels != run.labels:
        raise RunError(
            f"{run.path}: expected the corpus that the run was trained on. Received: other files, contents or labels "
            f"(compare {run.path / 'split.json'})"
        )
    return fold


def describe_split(experiment: Experiment, fold: Fold) -> dict[str, Any]:
    """Return the fold as plain data: speakers and files of each part, and a digest of content, labels and speakers."""
    digest = hashlib.sha256()
    for positions in fold.parts().values():
        for position in positions:
            utterance = experiment.corpus.utterances[position]
            identity = (experiment.store.content[position], utterance.label, utterance.speaker)
            digest.update(json.dumps(identity).encode())
    parts = {
        side: {"speakers": experiment.speakers(positions), "utterances": experiment.names(positions)}
        for side, positions in fold.parts().items()
    }
    return {
        "protocol": experiment.config.split.protocol,
        "fold": fold.name,
        "content": digest.hexdigest(),
        **parts,
    }
