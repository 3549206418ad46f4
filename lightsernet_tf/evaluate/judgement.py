"""Judging a model on utterances: training, validation and test data apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import Fold
from lightsernet_tf.evaluate.bootstrap import Intervals, bootstrap_intervals
from lightsernet_tf.evaluate.predictors import Predictor
from lightsernet_tf.evaluate.scores import Scores, score


@dataclass(frozen=True)
class Judgement:
    """What a model predicts for some utterances, and how good that is.

    Parameters
    ----------
    positions
        Which utterances.
    true
        int [utterances], the class of each.
    probabilities
        float [utterances, classes].
    scores
        Figures of these predictions.
    intervals
        95 % bootstrap interval of each figure, over utterances.
    """

    positions: tuple[int, ...]
    true: np.ndarray
    probabilities: np.ndarray
    scores: Scores
    intervals: Intervals


def judge(predict: Predictor, experiment: Experiment, positions: Sequence[int]) -> Judgement:
    """Judge a model, of Keras or TFLite, on some utterances."""
    probabilities = predict(positions)  # [utterances, classes]
    true = experiment.class_ids[list(positions)]  # [utterances]
    scores = score(true, probabilities, experiment.labels)
    intervals = bootstrap_intervals(scores.confusion, seed=experiment.config.train.seed)
    return Judgement(tuple(positions), true, probabilities, scores, intervals)


def judge_parts(predict: Predictor, experiment: Experiment, fold: Fold) -> dict[str, Judgement]:
    """Judge training, validation and test data apart; a part without utterances is left out."""
    return {part: judge(predict, experiment, positions) for part, positions in fold.parts().items() if positions}
