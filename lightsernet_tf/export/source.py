"""What a file is made of and held against: a run's network, its data, and its probabilities in Keras.

What this module does not do: make files (see ``export.files``) or compare them (see ``export.proof``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lightsernet_tf.data.experiment import Experiment
from lightsernet_tf.data.splits import Fold
from lightsernet_tf.errors import ModelError, RunError
from lightsernet_tf.evaluate.predictors import (
    BatchPredictor,
    Predictor,
    keras_predictor,
    predictor_for,
    recording_windows,
)
from lightsernet_tf.evaluate.scores import score
from lightsernet_tf.export.graph import float_graph
from lightsernet_tf.export.rounding import Observed, observe
from lightsernet_tf.features.front_end import FrontEnd
from lightsernet_tf.features.windows import normalize_padded, window_samples
from lightsernet_tf.model.network import build_network
from lightsernet_tf.predict.model_file import InputKind
from lightsernet_tf.runs.checkpoints import load_weights
from lightsernet_tf.runs.run import Run

_CALIBRATION_UTTERANCES = 100
_LEVELLED_UTTERANCES = 1000
_UA_OF_ROUNDING = 0.03  # another machine may round an utterance or two the other way
LEAST_AGREEMENT = 0.99  # of decisions, between levels taken before padding and after it


@dataclass(frozen=True)
class ExportSource:
    """A run's epoch and the data that it was trained and validated on; and what is made of it, once.

    Parameters
    ----------
    run, epoch
        Which weights.
    experiment, fold
        The run's data.
    kind
        Input of the graph.
    """

    run: Run
    epoch: int
    experiment: Experiment
    fold: Fold
    kind: InputKind

    @cached_property
    def network(self) -> keras.Model:
        """The trained network."""
        network = build_network(self.experiment)
        load_weights(network, self.run.weights_path(self.epoch))
        return network

    @cached_property
    def graph(self) -> bytes:
        """Its float32 .tflite graph."""
        return float_graph(self.network, self.kind, self.num_samples, self.experiment.config.features)

    @property
    def num_samples(self) -> int:
        """Length of the network's window."""
        return window_samples(self.experiment.config.audio, self.experiment.config.features.sample_rate_hz)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of the graph, [1, ...]."""
        return (1, self.num_samples) if self.kind == "waveform" else (1, *self.experiment.store.input_shape)

    def predictor_for(self, predict: BatchPredictor) -> Predictor:
        """Return a function of utterances from a function of a batch of this kind of input."""
        return predictor_for(self.experiment, predict, self.kind)

    @cached_property
    def observed(self) -> Observed:
        """What the network takes in on the calibration utterances."""
        return observe(self.graph, list(self._inputs(self.calibration_positions)))

    @property
    def calibration_positions(self) -> list[int]:
        """Which training utterances steer rounding and calibration: a sample drawn with the run's seed."""
        random = np.random.default_rng(self.experiment.config.train.seed)
        count = min(_CALIBRATION_UTTERANCES, len(self.fold.train))
        return sorted(random.choice(self.fold.train, count, replace=False).tolist())

    def _inputs(self, positions: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """Yield the graph's inputs [1, ...] for utterances."""
        experiment = self.experiment
        if self.kind == "features":
            for row in experiment.store.segments_of(positions):
                yield experiment.store.features[row][np.newaxis, ..., np.newaxis]
            return
        paths = [experiment.corpus.utterances[position].path for position in positions]
        for windows in recording_windows(paths, experiment.config.audio, experiment.config.features):
            yield from windows[:, np.newaxis]


@dataclass(frozen=True)
class Reference:
    """What the validation utterances get from Keras, which a file is held against.

    Parameters
    ----------
    of_own_features
        Probabilities by the run's own features: float [utterances, classes].
    of_file_inputs
        Probabilities by the file's inputs, computed in Keras: float [utterances, classes].
    level
        Where the inputs are waveforms, how much the two differ on the corpus: the graph takes their level after
        padding, training takes it before.
    """

    of_own_features: NDArray[Any]
    of_file_inputs: NDArray[Any]
    level: dict[str, Any] | None


def reference_of(source: ExportSource, *, force: bool) -> Reference:
    """Compute the probabilities in Keras.

    Raises
    ------
    RunError
        If weights or settings are not those of the training, or the network gives NaN.
    ModelError
        If levels taken after padding change more than 1 % of the decisions, unless ``force``.
    """
    experiment, fold = source.experiment, source.fold
    own = predictor_for(experiment, keras_predictor(source.network))
    if not np.isfinite(probabilities := own(fold.validation)).all():
        raise RunError(
            f"{source.run.path}: expected a network that gives probabilities. Received: NaN or infinity from epoch "
            f"{source.epoch}, whose training diverged; choose another --epoch"
        )
    true = experiment.class_ids[list(fold.validation)]
    _check_weights(source, score(true, probabilities, experiment.labels).ua)
    if source.kind == "features":
        return Reference(probabilities, probabilities, None)
    front_end = FrontEnd(experiment.config.features)

    @tf.function(input_signature=[tf.TensorSpec([None, source.num_samples], tf.float32)], autograph=False)
    def fused(waveforms: tf.Tensor) -> tf.Tensor:
        return source.network(front_end(normalize_padded(waveforms)), training=False)  # [batch, classes]

    held_out = list(dict.fromkeys([*fold.validation, *fold.test]))  # which may be the same
    random = np.random.default_rng(experiment.config.train.seed)
    more = random.permutation(fold.train)[: max(0, _LEVELLED_UTTERANCES - len(held_out))].tolist()
    before, after = own([*held_out, *more]), source.predictor_for(lambda one: fused(one).numpy())([*held_out, *more])
    level: dict[str, Any] = {
        "utterances": len(before),
        "agreement": float(np.mean(before.argmax(axis=1) == after.argmax(axis=1))),
        "largest_difference": float(np.abs(before - after).max()),
    }
    if level["agreement"] < LEAST_AGREEMENT and not force:
        raise ModelError(
            f"expected the same decision for {100 * LEAST_AGREEMENT:g} % of the utterances, whether a clip's level is "
            f"taken before padding or after it. Received: {100 * level['agreement']:.1f} % of {len(before)}; clips "
            "that begin or end with zeros of their own differ (force exports all the same)"
        )
    validation = slice(len(fold.validation))
    return Reference(before[validation], after[validation], level)


def _check_weights(source: ExportSource, ua: float) -> None:
    """Refuse weights or settings under which the epoch is not what it was when it was trained."""
    (then,) = (row["val_ua"] for row in source.run.history() if row["epoch"] == source.epoch)
    if not abs(then - ua) <= _UA_OF_ROUNDING:
        raise RunError(
            f"{source.run.path}: expected the validation UA of epoch {source.epoch}, {100 * then:.1f} %. Received: "
            f"{100 * ua:.1f} %; weights or config.yaml were changed since"
        )
