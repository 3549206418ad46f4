"""What the figures of a run say about its training, in plain sentences.

Each rule looks at the history and the judged utterances and returns a sentence, or none. The resolution that the rules
compare with is the half width of a 95 % interval: how far chance alone moves a figure of that many utterances.
"""

from __future__ import annotations

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
    """What the rules look at.

    Parameters
    ----------
    history
        One row per epoch, from the first: ``loss``, ``ua`` (training, measured with dropout on), ``val_loss``
        and ``val_ua``.
    chosen_epoch
        The epoch that validation chose.
    judged_epoch
        The epoch that is judged.
    parts
        Scores of the judged epoch on ``training``, ``validation`` and, if there is any, ``test`` data.
    validation_loss_standard_error
        Standard error of ``val_loss`` of the judged epoch, as a mean over utterances; None: not known.
    """

    history: Sequence[Mapping[str, Any]]
    chosen_epoch: int
    judged_epoch: int
    parts: Mapping[str, Scores]
    validation_loss_standard_error: float | None = None

    @property
    def validation(self) -> Scores:
        """Scores of the validation data."""
        return self.parts["validation"]

    @property
    def unsettled(self) -> bool:
        """Whether the network judges its own training data far worse than it did while it was trained."""
        return self.ua_while_trained - self.parts["training"].ua > LARGE_LAG

    @property
    def ua_while_trained(self) -> float:
        """UA of the training data over the judged epoch, while its weights were still changing."""
        return float(self.history[self.judged_epoch - 1]["ua"])

    @property
    def shows_trends(self) -> bool:
        """Whether there are enough epochs, of a network that has settled, to compare the curves."""
        return len(self.history) >= FEWEST_EPOCHS and not self.unsettled

    def column(self, key: str) -> FloatArray:
        """Return a figure over the epochs, float [epochs]."""
        return np.array([float(row[key]) for row in self.history])


def diagnose(evidence: Evidence) -> list[str]:
    """Return what stands out, one sentence or two each, and last the resolution of the validation data."""
    found = [sentence for rule in RULES if (sentence := rule(evidence)) is not None]
    points = 100 * ua_resolution(evidence.validation)
    resolution = (
        f"{evidence.validation.utterances} validation utterances determine UA to ±{points:.1f} points (95 %): "
        "smaller differences between epochs may be chance."
    )
    return [*(found or [NOTHING]), resolution]


def never_predicted(evidence: Evidence) -> str | None:
    """Name the classes that have validation or test utterances but are not predicted once."""
    sentences = []
    for name, scores in evidence.parts.items():
        predicted = scores.confusion.sum(axis=0)  # [classes]
        missed = _classes(scores, (scores.support > 0) & (predicted == 0))
        if not missed or name == "training":
            continue
        if np.count_nonzero(predicted) == 1:
            only = scores.labels[int(predicted.argmax())]
            sentences.append(f"Every {name} utterance is called {only}: the network has learnt nothing of use.")
        else:
            sentences.append(f"Never predicted on the {name} data (utterances of it): {missed}.")
    return " ".join(sentences) or None


def network_is_unsettled(evidence: Evidence) -> str | None:
    """Report moving statistics of batch normalisation that lag behind the weights."""
    if not evidence.unsettled:
        return None
    return (
        f"The network has not settled: in epoch {evidence.judged_epoch} it got {100 * evidence.ua_while_trained:.1f} % "
        f"UA of the training data while it was trained, and {100 * evidence.parts['training'].ua:.1f} % when it was "
        "judged on it. The moving statistics of its batch normalisation lag behind: train for more epochs, or with "
        "smaller batches."
    )


def validation_loss_rises(evidence: Evidence) -> str | None:
    """Name the epoch since which the validation loss rises while the training loss falls."""
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
        f"Training and validation drift apart since epoch {lowest + 1}: the validation loss has risen from "
        f"{validation[lowest]:.2f} to {validation[-1]:.2f} while the training loss fell from {training[lowest]:.2f} to "
        f"{training[-1]:.2f} (smoothed): overfitting. More dropout, augmentation or data may help; more epochs do not."
    )


def validation_ua_falls_behind(evidence: Evidence) -> str | None:
    """Name the epoch since which training UA stays above validation UA by more than chance explains."""
    if not evidence.shows_trends:
        return None
    training, validation = smooth(evidence.column("ua")), smooth(evidence.column("val_ua"))
    threshold = max(LARGE_GAP, ua_resolution(evidence.validation))
    close = np.flatnonzero(training - validation <= threshold)
    since = int(close[-1]) + 1 if close.size else 0
    if since == len(training):
        return None
    when = f"since epoch {since + 1}" if since else "from the first epoch on"
    return (
        f"Training UA has stayed more than {100 * threshold:.0f} points above validation UA {when}, and ends at "
        f"{100 * training[-1]:.1f} % against {100 * validation[-1]:.1f} % (smoothed): what is learnt there carries "
        "over to new utterances only in part."
    )


def chosen_at_the_end(evidence: Evidence) -> str | None:
    """Report a chosen epoch among the last five percent."""
    last = len(evidence.history)
    if evidence.chosen_epoch <= last - max(1, round(0.05 * last)):
        return None
    return (
        f"The chosen epoch, {evidence.chosen_epoch} of {last}, is at the very end: validation may still be improving. "
        "Train longer (more train.epochs)."
    )


def ua_jitters(evidence: Evidence) -> str | None:
    """Compare the jumps of validation UA from epoch to epoch with what its utterances explain."""
    resolution = 100 * ua_resolution(evidence.validation)
    return _unsteady(evidence, "UA", 100 * evidence.column("val_ua"), resolution, ".1f", " points")


def loss_jitters(evidence: Evidence) -> str | None:
    """Compare the jumps of the validation loss from epoch to epoch with its confidence interval."""
    if evidence.validation_loss_standard_error is None:
        return None
    resolution = TWO_SIDED_95 * evidence.validation_loss_standard_error
    return _unsteady(evidence, "loss", evidence.column("val_loss"), resolution, ".2f", "")


def _unsteady(
    evidence: Evidence, figure: str, values: FloatArray, resolution: float, digits: str, unit: str
) -> str | None:
    jitter = TWO_SIDED_95 * epoch_to_epoch_spread(values)
    if not (evidence.shows_trends and jitter > resolution):
        return None
    return (
        f"Validation {figure} jitters by ±{jitter:{digits}}{unit} from epoch to epoch, more than the "
        f"±{resolution:{digits}}{unit} that its {evidence.validation.utterances} utterances explain: the training "
        "itself is unsteady. Try a lower learning rate or a larger batch."
    )


def few_validation_utterances(evidence: Evidence) -> str | None:
    """Name the classes with too few validation utterances to choose an epoch by."""
    few = _classes(evidence.validation, evidence.validation.support < FEWEST_PER_CLASS)
    if not few:
        return None
    return (
        f"Fewer than {FEWEST_PER_CLASS} validation utterances of {few}: a single one moves such a class's recall by "
        "more than 20 points, and the choice of the epoch with it. Hold out more for validation."
    )


RULES: tuple[Callable[[Evidence], str | None], ...] = (
    never_predicted,
    network_is_unsettled,
    validation_loss_rises,
    validation_ua_falls_behind,
    chosen_at_the_end,
    ua_jitters,
    loss_jitters,
    few_validation_utterances,
)


def _classes(scores: Scores, which: NDArray[np.bool_]) -> str:
    """Return the names of some classes with their numbers of utterances, in one string."""
    return ", ".join(f"{scores.labels[index]} ({scores.support[index]})" for index in np.flatnonzero(which))


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
