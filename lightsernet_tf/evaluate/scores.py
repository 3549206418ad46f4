"""Figures of judged utterances: weighted and unweighted accuracy, F1, confusion, by class and by speaker.

WA is the share of utterances that are right; UA is the mean of the class recalls. A class without an utterance has no
recall: UA and macro F1 are means over the classes present, and `Scores.absent` names the others.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix

from lightsernet_tf.errors import InputError

FIGURES = ("wa", "ua", "macro_f1", "weighted_f1")
SMALLEST_PROBABILITY = 1e-7  # what Keras clips at, so that the loss is the one that training shows
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scores:
    """Figures of a set of judged utterances.

    Parameters
    ----------
    wa, ua, macro_f1, weighted_f1
        Shares from 0 to 1; UA and macro F1 are means over the classes present.
    loss
        Mean cross entropy in nats; none where only the predicted classes are known.
    loss_standard_error
        Standard error of ``loss`` as a mean over utterances; none where there is no loss or a single utterance.
    labels
        Classes in the order of the network's outputs.
    absent
        Labels of the classes without an utterance.
    support
        Utterances of each class, int [classes].
    precision, recall, f1
        By class, float [classes]; NaN for a class without an utterance, precision 0 for a class never predicted.
    confusion
        Utterances, int [classes, classes]: rows are the true class, columns the predicted one.
    """

    wa: float
    ua: float
    macro_f1: float
    weighted_f1: float
    loss: float | None
    loss_standard_error: float | None
    labels: tuple[str, ...]
    absent: tuple[str, ...]
    support: NDArray[np.int64]
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    confusion: NDArray[np.int64]

    @property
    def utterances(self) -> int:
        """Number of utterances judged."""
        return int(self.support.sum())

    @property
    def confusion_percent(self) -> FloatArray:
        """The confusion in percent of the true class, float [classes, classes]; NaN rows for absent classes."""
        return 100 * _ratio(self.confusion, self.support[:, np.newaxis], where_none=math.nan)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; what is undefined for an absent class is ``None``."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"utterances": self.utterances, **{name: _plain(value) for name, value in values.items()}}


@dataclass(frozen=True)
class Spread:
    """How a figure differs between groups; ``std`` is the sample standard deviation, NaN for a single group."""

    mean: float
    std: float
    min: float
    max: float

    def to_dict(self) -> dict[str, float | None]:
        """Return plain data for JSON; an undefined ``std`` is ``None``."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}


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
        If probabilities are not finite.
    ValueError
        As `score_predictions`.
    """
    true, outputs = np.asarray(true), np.asarray(probabilities, dtype=np.float64)
    undefined = ~np.isfinite(outputs).all(axis=1)  # [utterances]
    if undefined.any():
        raise InputError(
            "probabilities: expected finite values. Received: NaN or infinity for "
            f"{undefined.sum()} of {len(outputs)} utterances (the training diverged: try a lower train.learning_rate)"
        )
    confusion = _confusion_of(true, outputs.argmax(axis=1), labels)
    of_true_class = outputs[np.arange(len(true)), true]  # [utterances]
    losses = -np.log(np.clip(of_true_class, SMALLEST_PROBABILITY, 1.0))  # [utterances]
    error = float(losses.std(ddof=1) / math.sqrt(len(losses))) if len(losses) > 1 else None
    return _scores(confusion, labels, float(losses.mean()), error)


def score_predictions(true: ArrayLike, predicted: ArrayLike, labels: Sequence[str]) -> Scores:
    """Judge predicted classes, int [utterances], against the true ones; as `score`, without a loss.

    Raises
    ------
    ValueError
        No utterances, different numbers of them, or a class index outside the labels.
    """
    return _scores(_confusion_of(true, predicted, labels), labels)


def scores_by_group(true: ArrayLike, predicted: ArrayLike, groups: Sequence[str], labels: Sequence[str]) -> GroupScores:
    """Judge each group's (speaker's) utterances apart, and the spread of the figures over the groups.

    Parameters
    ----------
    true, predicted
        Index of the class, int [utterances].
    groups
        Group of each utterance, [utterances].
    labels
        Classes in the order of the indices.
    """
    true, predicted, names = np.asarray(true), np.asarray(predicted), np.asarray(groups, dtype=str)
    by_group = {
        str(name): score_predictions(true[names == name], predicted[names == name], labels) for name in np.unique(names)
    }
    return GroupScores(by_group, spreads_of(list(by_group.values())))


def spreads_of(groups: Sequence[Scores]) -> dict[str, Spread]:
    """Return the spread of each figure over groups (speakers, seeds)."""
    spreads = {}
    for name in FIGURES:
        values = [getattr(scores, name) for scores in groups]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
        spreads[name] = Spread(float(np.mean(values)), std, min(values), max(values))
    return spreads


def figures_of(confusion: NDArray[np.int64]) -> dict[str, FloatArray]:
    """Return wa, ua, macro_f1 and weighted_f1, each float [...], of confusions, int [..., classes, classes]."""
    by_class = _by_class(confusion)  # each [..., classes]
    support = confusion.sum(axis=-1)  # [..., classes]
    utterances = support.sum(axis=-1)  # [...]
    return {
        "wa": np.trace(confusion, axis1=-2, axis2=-1) / utterances,
        "ua": np.nanmean(by_class["recall"], axis=-1),
        "macro_f1": np.nanmean(by_class["f1"], axis=-1),
        "weighted_f1": np.nansum(by_class["f1"] * support, axis=-1) / utterances,
    }


def _confusion_of(true: ArrayLike, predicted: ArrayLike, labels: Sequence[str]) -> NDArray[np.int64]:
    confusion = confusion_matrix(true, predicted, labels=np.arange(len(labels)))  # [classes, classes]
    if confusion.sum() != np.size(true):  # scikit-learn leaves out what is of no label
        raise ValueError(f"expected classes 0 to {len(labels) - 1} for {len(labels)} labels. Received: others")
    return confusion


def _scores(
    confusion: NDArray[np.int64], labels: Sequence[str], loss: float | None = None, error: float | None = None
) -> Scores:
    support = confusion.sum(axis=1)  # [classes]
    figures: dict[str, Any] = {name: float(figure) for name, figure in figures_of(confusion).items()}
    return Scores(
        labels=tuple(labels),
        confusion=confusion,
        **figures | _by_class(confusion),
        support=support,
        loss=loss,
        absent=tuple(label for label, utterances in zip(labels, support, strict=True) if not utterances),
        loss_standard_error=error,
    )


def _by_class(confusion: NDArray[np.int64]) -> dict[str, FloatArray]:
    # By hand and not by scikit-learn, which takes one confusion matrix at a time: the bootstrap draws thousands.
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)  # [..., classes]
    support, predicted = confusion.sum(axis=-1), confusion.sum(axis=-2)  # [..., classes]
    return {
        "precision": np.where(support > 0, _ratio(hits, predicted, where_none=0.0), math.nan),
        "recall": _ratio(hits, support, where_none=math.nan),
        "f1": np.where(support > 0, _ratio(2 * hits, support + predicted, where_none=0.0), math.nan),
    }


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any], *, where_none: float) -> FloatArray:
    return np.divide(numerator, denominator, out=np.full(numerator.shape, where_none), where=denominator > 0)


def _plain(value: Any) -> Any:
    """Return a value for JSON, where NaN is ``None``."""
    if isinstance(value, (float, np.ndarray)):
        return np.where(np.isnan(value), None, value).tolist()  # type: ignore[call-overload]
    return list(value) if isinstance(value, tuple) else value
