"""Holding an exported file against Keras on the run's validation utterances: what differs, and whether that may be.

Two things are told apart. What the conversion changed is the difference to Keras on the very inputs that the file gets;
of it no more than rounding is allowed. What it costs in the end is counted against the run's own features: there a
waveform's level was taken before padding, in the file it is taken after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.evaluate.scores import score
from lightsernet_tf.export.precisions import Limit
from lightsernet_tf.reporting.markdown import markdown_table, percent

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Proof:
    """What came of it.

    Parameters
    ----------
    utterances
        How many were compared.
    largest_difference
        Of any probability, on the same inputs.
    agreement
        Share of the utterances with the decision that Keras takes on the run's own features.
    keras_wa, keras_ua, file_wa, file_ua
        Accuracy of both, shares from 0 to 1.
    expected
        What had to hold.
    passed
        Whether it did.
    """

    utterances: int
    largest_difference: float
    agreement: float
    keras_wa: float
    keras_ua: float
    file_wa: float
    file_ua: float
    expected: str
    passed: bool

    def sentence(self) -> str:
        """Say what was expected and what came."""
        return (
            f"expected {self.expected}. Received: a largest difference of {self.largest_difference:.1e}, UA "
            f"{100 * self.file_ua:.1f} % against {100 * self.keras_ua:.1f} %, the same decision for "
            f"{100 * self.agreement:.1f} % of {self.utterances} validation utterances"
        )


def prove(
    true: NDArray[np.int64],
    keras_probabilities: NDArray[Any],
    same_input_probabilities: NDArray[Any],
    file_probabilities: NDArray[Any],
    labels: Sequence[str],
    limit: Limit,
) -> Proof:
    """Compare what Keras and a file say of the same utterances.

    Parameters
    ----------
    true
        int [utterances], the class of each.
    keras_probabilities
        What Keras says of the run's own features: float [utterances, classes].
    same_input_probabilities, file_probabilities
        What Keras and the file say of the file's inputs: float [utterances, classes].
    labels
        The classes.
    limit
        What may differ, by how much.
    """
    keras_scores, file_scores = (score(true, one, labels) for one in (keras_probabilities, file_probabilities))
    largest = float(np.max(np.abs(same_input_probabilities - file_probabilities)))
    same = keras_probabilities.argmax(axis=1) == file_probabilities.argmax(axis=1)
    figures = {"largest_difference": largest, "ua_points_lost": 100 * (keras_scores.ua - file_scores.ua)}
    return Proof(
        utterances=len(true),
        largest_difference=largest,
        agreement=float(same.mean()),
        keras_wa=keras_scores.wa,
        keras_ua=keras_scores.ua,
        file_wa=file_scores.wa,
        file_ua=file_scores.ua,
        expected=str(limit),
        passed=bool(figures[limit.figure] <= limit.at_most + _ROUNDING),
    )


def proof_table(files: Sequence[tuple[str, int, Proof]]) -> str:
    """Return a line for each file's name, size in bytes and proof, as Markdown that also reads in a terminal."""
    rows = [
        (
            name,
            f"{size_bytes / 1024:.0f}",
            f"{proof.largest_difference:.1e}",
            percent(proof.agreement),
            f"{percent(proof.keras_wa)} / {percent(proof.file_wa)}",
            f"{percent(proof.keras_ua)} / {percent(proof.file_ua)}",
            "yes" if proof.passed else "NO",
        )
        for name, size_bytes, proof in files
    ]
    difference = "largest difference, same input"
    header = ("file", "KiB", difference, "same decision", "WA Keras / file", "UA Keras / file", "passed")
    return markdown_table(header, rows, "lrrrrrl")
