"""What a cross-validation says of speakers that a network has not heard, for the card of a file made of one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from lightsernet_tf.config import Config
from lightsernet_tf.config_identity import differing_keys, without_keys
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import protocol_in
from lightsernet_tf.errors import RunError

# The corpus and the speakers trained on are compared by what they came to, and the rest changes no network:
# which epochs are kept, and on how many devices they are trained.
_NOT_TRAINING = ("corpus", "split", "runs_dir", "run_name", "cache_dir", "train.keep", "train.strategy")
_SPREAD = ("mean", "min", "max")


def settings_of_training(config: Config) -> dict[str, Any]:
    """Return what makes two trainings the same but for who is trained on, as plain data."""
    return without_keys(config, _NOT_TRAINING)


def read_cross_validation(path: Path, experiment: Experiment) -> dict[str, Any]:
    """Return what a cross-validation of the same training says of new speakers.

    Parameters
    ----------
    path
        Its folder, with ``scores.json``.
    experiment
        Of the run that is exported.

    Returns
    -------
    dict
        ``protocol``, ``validation_speakers``, the pooled scores, their intervals, the spread over speakers and the
        number of ``speakers``.

    Raises
    ------
    RunError
        If the folder holds none, or one of another corpus, other labels or another training, or of speakers that were
        trained on.
    """
    file = path / "scores.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        settings = {section: dict(values) for section, values in found["settings"].items()}
        corpus, labels = str(found["facts"]["corpus"]), list(found["pooled"]["labels"])
        told: dict[str, Any] = {
            "protocol": str(found["facts"]["protocol"]),
            "validation_speakers": int(found["validation_speakers"]),
            "pooled": dict(found["pooled"]),
            "intervals": dict(found["intervals"]),
            "spread": dict(found["speakers"]["spread"]),
            "speakers": len(found["speakers"]["groups"]),
        }
        for name in ("wa", "ua"):  # what a card shows
            low, high = map(float, told["intervals"][name])
            figures = [float(told["pooled"][name]), low, high, *(float(told["spread"][name][key]) for key in _SPREAD)]
            if not all(map(math.isfinite, figures)):
                raise ValueError(f"{name} that is no number")
        if np.shape(told["pooled"]["confusion"]) != (len(labels), len(labels)):
            raise ValueError("a confusion matrix of another size")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file}: expected the figures of a cross-validation. Received: {_reason(error)}") from error
    _compare(file, "corpus", corpus, f"{experiment.corpus.name}, {experiment.num_used} utterances")
    _compare(file, "labels", labels, list(experiment.labels))
    for key, (theirs, ours) in differing_keys(settings, experiment.config, ignore=_NOT_TRAINING).items():
        _compare(file, key, theirs, ours)
    protocol = protocol_in(told["protocol"])
    if protocol is None or not (protocol.speaker_independent and protocol.tests_somebody):
        raise RunError(f"{file}: expected a protocol that tests new speakers. Received: {told['protocol']}")
    return told


def _compare(file: Path, key: str, theirs: Any, ours: Any) -> None:
    if theirs != ours:
        raise RunError(
            f"{file}: expected {key} as in the run, {ours}. Received: {theirs}; name a cross-validation of the same "
            "training, or none"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"no {error}" if isinstance(error, KeyError) else str(error)
