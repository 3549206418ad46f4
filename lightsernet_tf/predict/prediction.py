"""A recogniser's output: a label, all probabilities, and in a stream the time span that they cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SILENCE = "silence"


@dataclass(frozen=True)
class Prediction:
    """The recognised emotion.

    Parameters
    ----------
    label
        The most probable label, or ``silence``.
    probabilities
        By label, in the model's order; empty for silence.
    """

    label: str
    probabilities: Mapping[str, float] = field(default_factory=dict)

    def ranked(self) -> list[tuple[str, float]]:
        """Return labels and probabilities, the most probable first."""
        return sorted(self.probabilities.items(), key=lambda item: -item[1])


@dataclass(frozen=True)
class Decision(Prediction):
    """The recognised emotion of up to one window of a stream, from its first sample to the end of its last."""

    start_seconds: float = field(default=0.0, kw_only=True)
    end_seconds: float = field(default=0.0, kw_only=True)


def most_probable(labels: Sequence[str], probabilities: NDArray[Any]) -> Prediction:
    """Return the prediction for probabilities [classes]."""
    values = [float(value) for value in probabilities]
    return Prediction(labels[int(np.argmax(values))], dict(zip(labels, values, strict=True)))
