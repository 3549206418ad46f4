"""What a cross-validation says of new speakers, for the card of a file made of a run of the same training."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lightsernet_tf.config_identity import NOT_TRAINING, differing_keys
from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import PROTOCOLS
from lightsernet_tf.errors import RunError, one_line

_SPREAD = ("mean", "min", "max")


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
        found = {**_fields_of_sentences(found["facts"]), **found}
        settings = {section: dict(values) for section, values in dict(found["settings"]).items()}
        tested = {key: found[key] for key in ("corpus", "utterances")} | {"labels": list(found["pooled"]["labels"])}
        protocol = PROTOCOLS.get(found["protocol"])
        expected: dict[str, Any] = {
            "protocol": str(found["facts"]["protocol"]),
            "validation_speakers": int(found["validation_speakers"]),
            "pooled": dict(found["pooled"]),
            "intervals": dict(found["intervals"]),
            "spread": dict(found["speakers"]["spread"]),
            "speakers": len(found["speakers"]["groups"]),
        }
        for name in ("wa", "ua"):  # what a card shows
            low, high = map(float, expected["intervals"][name])
            figures = [
                float(expected["pooled"][name]),
                low,
                high,
                *(float(expected["spread"][name][key]) for key in _SPREAD),
            ]
            if not all(map(math.isfinite, figures)):
                raise ValueError(f"{name} that is NaN or infinite")
        if np.shape(expected["pooled"]["confusion"]) != (len(tested["labels"]),) * 2:
            raise ValueError("a confusion matrix of another size")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file}: expected the figures of a cross-validation. Received: {one_line(error)}") from error
    if protocol is None or not (protocol.speaker_independent and protocol.tests_somebody):
        raise RunError(f"{file}: expected a protocol that tests new speakers. Received: {found['protocol']}")
    ours = {"corpus": experiment.corpus.name, "utterances": experiment.num_used, "labels": list(experiment.labels)}
    differing = {key: (tested[key], ours[key]) for key in ours if tested[key] != ours[key]}
    differing |= differing_keys(settings, experiment.config, ignore=NOT_TRAINING)
    for key, (theirs, value) in differing.items():
        raise RunError(
            f"{file}: expected {key} as in the run, {value}. Received: {theirs}; name a cross-validation of the same "
            "training, or none"
        )
    return expected


def _fields_of_sentences(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what only the facts of a report held at first, as the fields that programs now compare."""
    corpus, _, utterances = str(facts["corpus"]).removesuffix(" utterances").rpartition(", ")
    protocol = str(facts["protocol"]).split(",")[0]
    return {"corpus": corpus, "utterances": int(utterances) if utterances.isdecimal() else None, "protocol": protocol}
