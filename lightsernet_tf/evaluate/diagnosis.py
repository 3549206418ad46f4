"""What a run's own numbers say about it, in plain words.

Each rule looks at the history and the judged utterances and returns a sentence, or none. What the rules call the
resolution is the half width of a 95 % interval: how far chance alone moves a figure of that many utterances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.evaluate.scores import Scores

NOTHING = "Nothing stands out."
TWO_SIDED_95 = 1.96  # standard errors
FEWEST_EPOCHS = 8  # below, a trend and chance look the same
FEWEST_PER_CLASS = 5  # below, one utterance moves the class's recall by more than 20 points
LARGE_LAG = 0.15  # UA, of the training data while trained above the same when judged
LARGE_GAP = 0.10  # UA, of training above validation
LARGE_RISE = 0.10  # of the validation loss, relative to its lowest
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What the rules look at; see `diagnose`."""

    history: Sequence[Mapping[str, Any]]
    chosen_epoch: int
    judged_epoch: int
    validation: Scores
    test: Scores | None = None
    validation_loss_standard_error: float | None = None
    training: Scores | None = None

    def column(self, key: str) -> FloatArray:
        """Return a figure over the epochs, float [epochs]."""
        return np.array([float(row[key]) for row in self.history])

    def epoch(self, position: int) -> int:
        """Return the number of the epoch at a position of a column."""
        return int(self.history[position]["epoch"])

    def judged(self) -> dict[str, Scores]:
        """Return the scores there are by the name of the set."""
        return {"validation": self.validation, **({"test": self.test} if self.test else {})}


def diagnose(
    history: Sequence[Mapping[str, Any]],
    chosen_epoch: int,
    validation: Scores,
    test: Scores | None = None,
    *,
    training: Scores | None = None,
    judged_epoch: int | None = None,
    validation_loss_standard_error: float | None = None,
) -> list[str]:
    """Return what stands out, one sentence or two each, and last how fine the validation data can tell.

    Parameters
    ----------
    history
        One row per epoch, in order: ``epoch``, ``loss``, ``ua`` (training, measured with dropout on), ``val_loss``
        and ``val_ua``.
    chosen_epoch
        The epoch that validation chose.
    validation, test
        Scores of the judged epoch; none where there is no test data.
    training
        Scores of the training data at the judged epoch, judged as the others are; none: not known.
    judged_epoch
        The epoch that is judged; none: the chosen one.
    validation_loss_standard_error
        Standard error of ``val_loss`` of the judged epoch, as a mean over utterances. None: that of the scores' cross
        entropy, where ``val_loss`` is cross entropy as well.
    """
    judged = chosen_epoch if judged_epoch is None else judged_epoch
    evidence = Evidence(history, chosen_epoch, judged, validation, test, validation_loss_standard_error, training)
    found = [sentence for rule in RULES if (sentence := rule(evidence)) is not None]
    return [*(found or [NOTHING]), _resolution_sentence(validation)]


def never_predicted(evidence: Evidence) -> str | None:
    """Name the classes that have utterances but are not predicted once."""
    sentences = []
    for name, scores in evidence.judged().items():
        predicted = scores.confusion.sum(axis=0)  # [classes]
        missed = [
            f"{label} ({support})"
            for label, support, times in zip(scores.labels, scores.support, predicted, strict=True)
            if support and not times
        ]
        if missed and np.count_nonzero(predicted) == 1:
            only = scores.labels[int(predicted.argmax())]
            sentences.append(f"Every {name} utterance is called {only}: the network has learnt nothing that tells.")
        elif missed:
            sentences.append(f"Never predicted on the {name} data (utterances of it): {', '.join(missed)}.")
    return " ".join(sentences) or None


def validation_loss_rises(evidence: Evidence) -> str | None:
    """Say since when the validation loss has been rising while the training loss goes on falling."""
    if len(evidence.history) < FEWEST_EPOCHS:
        return None
    raw = evidence.column("val_loss")
    validation, training = smooth(raw), smooth(evidence.column("loss"))
    lowest = int(validation.argmin())
    rise = validation[-1] - validation[lowest]
    noise = float(np.std(raw - validation))
    if not (rise > max(LARGE_RISE * validation[lowest], 2 * noise) and training[-1] < training[lowest]):
        return None
    return (
        f"Training and validation drift apart since epoch {evidence.epoch(lowest)}: the validation loss has risen from "
        f"{validation[lowest]:.2f} to {validation[-1]:.2f} while the training loss fell from {training[lowest]:.2f} to "
        f"{training[-1]:.2f} (smoothed): overfitting. More dropout, augmentation or data may help; more epochs do not."
    )


def is_unsettled(evidence: Evidence) -> bool:
    """Return whether the network judges its own training data far worse than it did while it was trained."""
    running = [row["ua"] for row in evidence.history if int(row["epoch"]) == evidence.judged_epoch]
    return evidence.training is not None and bool(running) and running[0] - evidence.training.ua > LARGE_LAG


def network_is_unsettled(evidence: Evidence) -> str | None:
    """Say that the moving statistics of batch normalisation lag behind the weights."""
    if evidence.training is None or not is_unsettled(evidence):
        return None
    (running,) = (row["ua"] for row in evidence.history if int(row["epoch"]) == evidence.judged_epoch)
    return (
        f"The network has not settled: in epoch {evidence.judged_epoch} it got {100 * running:.1f} % UA of the "
        f"training data while it was trained, and {100 * evidence.training.ua:.1f} % when it was judged on it. The "
        "moving statistics of its batch normalisation lag behind: train for more epochs, or with smaller batches."
    )


def validation_ua_falls_behind(evidence: Evidence) -> str | None:
    """Say since when training UA has stayed above validation UA by more than chance explains."""
    if len(evidence.history) < FEWEST_EPOCHS or is_unsettled(evidence):
        return None
    training, validation = smooth(evidence.column("ua")), smooth(evidence.column("val_ua"))
    threshold = max(LARGE_GAP, ua_resolution(evidence.validation))
    close = np.flatnonzero(training - validation <= threshold)
    since = int(close[-1]) + 1 if close.size else 0
    if since == len(training):
        return None
    when = f"since epoch {evidence.epoch(since)}" if since else "from the first epoch on"
    return (
        f"Training UA has stayed more than {100 * threshold:.0f} points above validation UA {when}, and ends at "
        f"{100 * training[-1]:.1f} % against {100 * validation[-1]:.1f} % (smoothed): what is learnt there carries "
        "over to new utterances only in part."
    )


def chosen_at_the_end(evidence: Evidence) -> str | None:
    """Say that the chosen epoch is one of the last five percent."""
    last = evidence.epoch(-1)
    if evidence.chosen_epoch <= last - max(1, round(0.05 * last)):
        return None
    return (
        f"The chosen epoch, {evidence.chosen_epoch} of {last}, is at the very end: validation may still be improving. "
        "Train longer (more train.epochs)."
    )


def ua_jitters(evidence: Evidence) -> str | None:
    """Compare the jumps of validation UA from epoch to epoch with what its utterances explain."""
    resolution = ua_resolution(evidence.validation)
    jitter = TWO_SIDED_95 * epoch_to_epoch_spread(evidence.column("val_ua"))
    if len(evidence.history) < FEWEST_EPOCHS or jitter <= resolution or is_unsettled(evidence):
        return None
    return (
        f"Validation UA jitters by ±{100 * jitter:.1f} points from epoch to epoch, more than the "
        f"±{100 * resolution:.1f} points that its {evidence.validation.utterances} utterances explain: the training "
        "itself is unsteady. Try a lower learning rate or a larger batch."
    )


def loss_jitters(evidence: Evidence) -> str | None:
    """Compare the jumps of the validation loss from epoch to epoch with its confidence interval."""
    error = evidence.validation_loss_standard_error
    if error is None:
        error = _cross_entropy_standard_error(evidence)
    if len(evidence.history) < FEWEST_EPOCHS or error is None or is_unsettled(evidence):
        return None
    jitter, resolution = TWO_SIDED_95 * epoch_to_epoch_spread(evidence.column("val_loss")), TWO_SIDED_95 * error
    if not jitter > resolution:
        return None
    return (
        f"The validation loss jitters by ±{jitter:.2f} from epoch to epoch, more than the ±{resolution:.2f} that its "
        f"{evidence.validation.utterances} utterances explain: the training itself is unsteady. Try a lower learning "
        "rate or a larger batch."
    )


def _cross_entropy_standard_error(evidence: Evidence) -> float | None:
    """Return the standard error of the judged cross entropy, or none where the history holds another loss (focal)."""
    loss = evidence.validation.loss
    in_history = [float(row["val_loss"]) for row in evidence.history if int(row["epoch"]) == evidence.judged_epoch]
    same_loss = loss is not None and bool(in_history) and math.isclose(in_history[0], loss, rel_tol=0.1)
    return evidence.validation.loss_standard_error if same_loss else None


def few_validation_utterances(evidence: Evidence) -> str | None:
    """Name the classes with too few validation utterances to choose an epoch by."""
    scores = evidence.validation
    few = [
        f"{label} ({support})"
        for label, support in zip(scores.labels, scores.support, strict=True)
        if support < FEWEST_PER_CLASS
    ]
    if not few:
        return None
    return (
        f"Fewer than {FEWEST_PER_CLASS} validation utterances of {', '.join(few)}: a single one moves such a class's "
        "recall by more than 20 points, and the choice of the epoch with it. Hold out more for validation."
    )


Rule = Callable[[Evidence], str | None]
RULES: tuple[Rule, ...] = (
    never_predicted,
    network_is_unsettled,
    validation_loss_rises,
    validation_ua_falls_behind,
    chosen_at_the_end,
    ua_jitters,
    loss_jitters,
    few_validation_utterances,
)


def smooth(values: FloatArray) -> FloatArray:
    """Return the centred moving mean over about a tenth of the epochs (at least 3), narrower at both ends."""
    half = max(1, len(values) // 20)
    padded = np.concatenate([[0.0], np.cumsum(values)])
    positions = np.arange(len(values))
    first, after = np.maximum(positions - half, 0), np.minimum(positions + half + 1, len(values))
    return (padded[after] - padded[first]) / (after - first)


def epoch_to_epoch_spread(values: FloatArray) -> float:
    """Return the standard deviation around the trend over the second half of the epochs.

    Differences between neighbours hold the trend's slope hardly at all and independent jitter twice: their mean square
    is halved (von Neumann 1941).
    """
    differences = np.diff(values[len(values) // 2 :])
    return float(np.sqrt(np.mean(differences**2) / 2)) if differences.size else 0.0


def ua_resolution(scores: Scores) -> float:
    """Return the half width of UA's 95 % interval: the recalls are binomial and independent, UA is their mean.

    One right and one wrong utterance are added to each class (Laplace's rule of succession), so that a recall of 0 or 1
    of a few utterances does not count as certain.
    """
    there = scores.support > 0
    trials = scores.support[there] + 2  # [classes]
    recall = (np.diagonal(scores.confusion)[there] + 1) / trials
    return TWO_SIDED_95 * float(np.sqrt((recall * (1 - recall) / trials).sum())) / len(trials)


def _resolution_sentence(validation: Scores) -> str:
    points = 100 * ua_resolution(validation)
    return (
        f"{validation.utterances} validation utterances tell UA to ±{points:.1f} points (95 %): "
        "smaller differences between epochs may be chance."
    )
