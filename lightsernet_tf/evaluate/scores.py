"""What judged utterances amount to: weighted and unweighted accuracy, F1, confusion, by class and by speaker.

WA is the share of utterances that are right; UA is the mean of the class recalls. A class without an utterance has no
recall: UA and macro F1 are means over the classes that are there, and `Scores.absent` names the others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightsernet_tf.errors import InputError

FIGURES = ("wa", "ua", "macro_f1", "weighted_f1")
SMALLEST_PROBABILITY = 1e-7  # what Keras clips at, so that the loss is the one that training shows
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """What a set of judged utterances amounts to.

    Parameters
    ----------
    labels
        Classes in the order of the network's outputs.
    confusion
        Utterances, int [classes, classes]: rows are the true class, columns the predicted one.
    wa, ua, macro_f1, weighted_f1
        Shares from 0 to 1; UA and macro F1 are means over the classes that are there.
    precision, recall, f1
        By class, float [classes]; NaN for a class without an utterance, precision 0 for a class never predicted.
    support
        Utterances of each class, int [classes].
    loss
        Mean cross entropy in nats; none where only the predicted classes are known.
    absent
        Labels of the classes without an utterance.
    loss_standard_error
        Standard error of ``loss`` as a mean over utterances; none where there is no loss or a single utterance.
    """

    labels: tuple[str, ...]
    confusion: NDArray[np.int64]
    wa: float
    ua: float
    macro_f1: float
    weighted_f1: float
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: NDArray[np.int64]
    loss: float | None
    absent: tuple[str, ...]
    loss_standard_error: float | None = None

    @property
    def utterances(self) -> int:
        """Number of utterances judged."""
        return int(self.support.sum())

    @property
    def confusion_percent(self) -> FloatArray:
        """The confusion in percent of the true class, float [classes, classes]; NaN rows for absent classes."""
        return 100 * _ratio(self.confusion, self.support[:, None], where_none=math.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; what is undefined for an absent class is ``None``."""
        by_class = {name: _numbers_or_none(getattr(self, name)) for name in ("precision", "recall", "f1")}
        return {
            "utterances": self.utterances,
            **{name: getattr(self, name) for name in FIGURES},
            "loss": self.loss,
            "loss_standard_error": self.loss_standard_error,
            "labels": list(self.labels),
            "absent": list(self.absent),
            "support": self.support.tolist(),
            **by_class,
            "confusion": self.confusion.tolist(),
        }


@dataclass(frozen=True)
class Spread:
    """How a figure differs between groups; ``std`` is the sample standard deviation, NaN for a single group."""

    mean: float
    std: float
    min: float
    max: float

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data for JSON; an undefined ``std`` is ``None``."""
        return dict(zip(("mean", "std", "min", "max"), _numbers_or_none(self._values()), strict=True))

    def _values(self) -> FloatArray:
        return np.array([self.mean, self.std, self.min, self.max])


@dataclass(frozen=True)
class GroupScores:
    """`Scores` by group (speaker), and the `Spread` over the groups of wa, ua, macro_f1 and weighted_f1."""

    groups: dict[str, Scores]
    spread: dict[str, Spread]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "groups": {group: scores.to_dict() for group, scores in self.groups.items()},
            "spread": {name: spread.to_dict() for name, spread in self.spread.items()},
        }


def score(true: ArrayLike, probabilities: ArrayLike, labels: Sequence[str]) -> Scores:
    """Judge the network's outputs.

    Parameters
    ----------
    true
        Index of the true class, int [utterances].
    probabilities
        The network's outputs, float [utterances, classes].
    labels
        Classes in the order of the outputs.

    Raises
    ------
    InputError
        No utterances, shapes that do not fit, a class index outside the labels, or probabilities that are not finite.
    """
    outputs = np.asarray(probabilities, dtype=np.float64)
    if outputs.ndim != 2 or outputs.shape[1] != len(labels):
        raise InputError(f"probabilities: expected shape [utterances, {len(labels)}]. Received: shape {outputs.shape}")
    undefined = ~np.isfinite(outputs).all(axis=1)
    if undefined.any():
        raise InputError(
            "probabilities: expected finite values. Received: NaN or infinity for "
            f"{undefined.sum()} of {len(outputs)} utterances (the training diverged: try a lower train.learning_rate)"
        )
    indices = _class_indices("true", true, labels)
    confusion = confusion_of(indices, outputs.argmax(axis=1), labels)
    of_true_class = outputs[np.arange(len(indices)), indices]  # [utterances]
    losses = -np.log(np.clip(of_true_class, SMALLEST_PROBABILITY, 1.0))  # [utterances]
    error = float(losses.std(ddof=1) / math.sqrt(len(losses))) if len(losses) > 1 else None
    return _scores(confusion, labels, float(losses.mean()), error)


def score_predictions(true: ArrayLike, predicted: ArrayLike, labels: Sequence[str]) -> Scores:
    """Judge predicted classes, int [utterances], against the true ones; as `score`, without a loss.

    Raises
    ------
    InputError
        No utterances, different numbers of them, or a class index outside the labels.
    """
    return _scores(confusion_of(true, predicted, labels), labels)


def scores_by_group(true: ArrayLike, predicted: ArrayLike, groups: Sequence[str], labels: Sequence[str]) -> GroupScores:
    """Judge each group's (speaker's) utterances apart, and how the figures spread over the groups.

    Parameters
    ----------
    true, predicted
        Index of the class, int [utterances].
    groups
        Group of each utterance, [utterances].
    labels
        Classes in the order of the indices.

    Raises
    ------
    InputError
        As `score_predictions`, or groups of another number than utterances.
    """
    names = np.asarray(groups, dtype=str)
    true_indices = _class_indices("true", true, labels)
    predicted_indices = _class_indices("predicted", predicted, labels)
    if names.shape != true_indices.shape:
        raise InputError(f"groups: expected {len(true_indices)}, one per utterance. Received: {names.size}")
    by_group = {
        str(name): score_predictions(true_indices[names == name], predicted_indices[names == name], labels)
        for name in np.unique(names)
    }
    return GroupScores(by_group, {name: _spread([getattr(s, name) for s in by_group.values()]) for name in FIGURES})


def confusion_of(true: ArrayLike, predicted: ArrayLike, labels: Sequence[str]) -> NDArray[np.int64]:
    """Count utterances, int [classes, classes], by true (rows) and predicted class, each int [utterances].

    Raises
    ------
    InputError
        As `score_predictions`.
    """
    rows, columns = _class_indices("true", true, labels), _class_indices("predicted", predicted, labels)
    if len(rows) != len(columns):
        raise InputError(f"predicted: expected {len(rows)}, one per true class. Received: {len(columns)}")
    if not len(rows):
        raise InputError("utterances: expected at least one to judge. Received: none")
    classes = len(labels)
    return np.bincount(rows * classes + columns, minlength=classes**2).reshape(classes, classes)


def _class_indices(name: str, values: ArrayLike, labels: Sequence[str]) -> NDArray[np.int64]:
    indices = np.asarray(values)
    if indices.ndim != 1 or (indices.size and not np.issubdtype(indices.dtype, np.integer)):
        raise InputError(f"{name}: expected int [utterances]. Received: {indices.dtype} {list(indices.shape)}")
    outside = np.unique(indices[(indices < 0) | (indices >= len(labels))]).tolist()
    if outside:
        raise InputError(f"{name}: expected 0 to {len(labels) - 1} for {len(labels)} labels. Received: {outside}")
    return indices.astype(np.int64)


def _scores(
    confusion: NDArray[np.int64],
    labels: Sequence[str],
    loss: float | None = None,
    loss_standard_error: float | None = None,
) -> Scores:
    precision, recall, f1 = _by_class(confusion)
    support = confusion.sum(axis=1)
    figures = {name: float(figure) for name, figure in figures_of(confusion).items()}
    absent = tuple(label for label, utterances in zip(labels, support, strict=True) if not utterances)
    return Scores(
        labels=tuple(labels),
        confusion=confusion,
        **figures,
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        loss=loss,
        absent=absent,
        loss_standard_error=loss_standard_error,
    )


def _by_class(confusion: NDArray[np.int64]) -> tuple[FloatArray, FloatArray, FloatArray]:
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # [..., classes]
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)  # [..., classes]
    precision = np.where(support > 0, _ratio(hits, predicted, where_none=0.0), math.nan)
    recall = _ratio(hits, support, where_none=math.nan)
    f1 = np.where(support > 0, _ratio(2 * hits, support + predicted, where_none=0.0), math.nan)
    return precision, recall, f1


def figures_of(confusion: NDArray[np.int64]) -> dict[str, FloatArray]:
    """Return wa, ua, macro_f1 and weighted_f1, each float [...], of confusions, int [..., classes, classes]."""
    _, recall, f1 = _by_class(confusion)  # [..., classes]
    support = confusion.sum(axis=-1)
    utterances = support.sum(axis=-1)
    return {
        "wa": np.trace(confusion, axis1=-2, axis2=-1) / utterances,
        "ua": np.nanmean(recall, axis=-1),
        "macro_f1": np.nanmean(f1, axis=-1),
        "weighted_f1": np.nansum(f1 * support, axis=-1) / utterances,
    }


def _ratio(numerator: ArrayLike, denominator: ArrayLike, *, where_none: float) -> FloatArray:
    above, below = np.broadcast_arrays(np.asarray(numerator, dtype=np.float64), np.asarray(denominator))
    return np.divide(above, below, out=np.full(above.shape, where_none), where=below > 0)


def _spread(values: Sequence[float]) -> Spread:
    std = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(float(np.mean(values)), std, min(values), max(values))


def _numbers_or_none(values: FloatArray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]
