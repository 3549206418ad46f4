"""What a recogniser says: a label, the probability of each, and in a stream the span of time that it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

SILENCE = "silence"


@dataclass(frozen=True)
class Prediction:
    """What is heard.

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
    """What is heard in a span of a stream: up to one window, from its first to behind its last sample."""

    start_seconds: float = field(default=0.0, kw_only=True)
    end_seconds: float = field(default=0.0, kw_only=True)


def most_probable(labels: Sequence[str], probabilities: NDArray[Any]) -> Prediction:
    """Return the prediction that probabilities [classes] amount to."""
    values = [float(value) for value in probabilities]
    return Prediction(labels[int(np.argmax(values))], dict(zip(labels, values, strict=True)))
