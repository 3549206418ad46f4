"""From a trained run to .tflite files, each held against Keras before it gets its name, and each with its card."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import logging
import os
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lightsernet_tf.checkpoints import load_weights
from lightsernet_tf.conversion import OUTPUT, Io, Precision, float_graph, observe_network, quantize
from lightsernet_tf.corpora.download import SOURCES
from lightsernet_tf.errors import ConfigError, ModelError, RunError
from lightsernet_tf.expectations import read_cross_validation
from lightsernet_tf.experiment import Experiment, prepare
from lightsernet_tf.features import FrontEnd
from lightsernet_tf.files import written_beside
from lightsernet_tf.flatbuffer import Graph
from lightsernet_tf.judgements import Judgement, fold_facts, judge
from lightsernet_tf.judging import (
    Hearing,
    Predictor,
    hear_features,
    hear_recordings,
    keras_predictor,
    recording_windows,
)
from lightsernet_tf.litert import LiteRTNetwork
from lightsernet_tf.model_card import model_card
from lightsernet_tf.model_file import InputKind, with_description
from lightsernet_tf.proof import Proof, prove
from lightsernet_tf.rounding import Observed
from lightsernet_tf.run_folder import Run, versions
from lightsernet_tf.scores import score
from lightsernet_tf.splits import Fold
from lightsernet_tf.training import build_network, same_fold
from lightsernet_tf.windows import normalize_padded, window_samples

LICENCE = "Apache-2.0"
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "dynamic_int8", "int8")
_CALIBRATION_UTTERANCES = 100
_LEVELLED_UTTERANCES = 1000
_TIMED_WINDOWS = 30
_UA_OF_ROUNDING = 0.03  # another machine may round an utterance or two the other way
LEAST_AGREEMENT = 0.99  # of decisions, between levels taken before padding and after it
_TOOLS = ("ai-edge-litert", "ai-edge-quantizer")

_NORMALIZATION: dict[InputKind, str] = {
    "waveform": "in the graph: the 99.9th percentile of the magnitude, between the first and the last sample that is "
    "not zero, becomes 1; what is above is clipped",
    "features": "before the features: see lightsernet_tf.windows.normalize",
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """A file that was written, or would have been.

    Parameters
    ----------
    path
        The .tflite file; its card lies beside it, ``.md``.
    precision
        What it computes in.
    size_bytes
        Of the file, its description included.
    proof
        How it compares with Keras.
    """

    path: Path
    precision: Precision
    size_bytes: int
    proof: Proof

    @property
    def card_path(self) -> Path:
        """The model card."""
        return self.path.with_suffix(".md")


class ExportError(ModelError):
    """Some files could not be exported; ``exported`` tells of those that were."""

    def __init__(self, message: str, exported: Sequence[Exported]) -> None:
        super().__init__(message)
        self.exported = list(exported)


@dataclass(frozen=True)
class _Source:
    """The network of a run's epoch, and what a file made of it is held against."""

    run: Run
    epoch: int
    experiment: Experiment
    fold: Fold
    network: keras.Model
    kind: InputKind
    graph: bytes

    @property
    def num_samples(self) -> int:
        return window_samples(self.experiment.config.audio, self.experiment.config.features.sample_rate_hz)

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (1, self.num_samples) if self.kind == "waveform" else (1, *self.experiment.store.input_shape)

    def hear(self, predict: Predictor) -> Hearing:
        """Return what a predictor of this kind of input says of utterances."""
        experiment = self.experiment
        if self.kind == "features":
            return hear_features(predict, experiment.store)
        paths = [utterance.path for utterance in experiment.corpus.utterances]
        return hear_recordings(predict, paths, experiment.config.audio, experiment.config.features)

    @cached_property
    def observed(self) -> Observed:
        """What the network takes in on the calibration utterances."""
        return observe_network(self.graph, list(self._inputs(self.calibration_positions)))

    @property
    def calibration_positions(self) -> list[int]:
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
class _Reference:
    """What Keras says of the validation utterances: of the run's own features, and of the file's own inputs.

    ``level`` tells how much the two differ on the corpus where the inputs are waveforms, whose level the graph takes
    after padding and training before it.
    """

    of_own_features: NDArray[Any]
    of_file_inputs: NDArray[Any]
    level: dict[str, Any] | None


def export(
    run: Run,
    epoch: str = "best",
    *,
    kind: InputKind = "waveform",
    precisions: Sequence[Precision] = PRECISIONS,
    io: Io | None = None,
    output: Path | None = None,
    name: str | None = None,
    cross_validation: Path | None = None,
    licence: str = LICENCE,
    force: bool = False,
    experiment: Experiment | None = None,
) -> list[Exported]:
    """Export an epoch of a run.

    Each file is held against Keras on the run's validation utterances before it appears under its name; see ``proof``
    for what may differ.

    Parameters
    ----------
    run
        The run.
    epoch
        ``best`` (chosen on validation data), ``last`` or the number of a kept epoch.
    kind
        ``waveform``: from samples at any level, front end included; ``features``: the network alone.
    precisions
        One file each; see ``conversion.quantize``.
    io
        Type of input and output; none: ``int8`` for the ``int8`` file of ``features``, else ``float32``.
    output
        Folder of the files; none: ``export`` in the run's.
    name
        How the files' names begin; none: the run's name.
    cross_validation
        Folder of a cross-validation of the same settings, whose figures say what to expect of new speakers.
    licence
        Of the model.
    force
        Keep a file that does not compare as it should, marked so.
    experiment
        ``prepare(run.config)`` where it is already there.

    Raises
    ------
    ExportError
        If a precision cannot be converted, or its file does not compare as it should; the others are exported.
    InputError
        If anything given cannot work.
    """
    if io == "int8" and (kind != "features" or set(precisions) != {"int8"}):
        raise ConfigError(
            f"io int8: expected input features and precision int8. Received: {kind}, {', '.join(precisions)}"
        )
    experiment = experiment.under(run.config) if experiment else prepare(run.config)
    fold = same_fold(run, experiment)
    number = run.resolve_epoch(epoch)
    _check_run(run, experiment)
    expected = None if cross_validation is None else read_cross_validation(cross_validation, experiment)
    folder = output or run.path / "export"
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)  # whatever forbids it, before the work
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    network = build_network(experiment)
    load_weights(network, run.weights_path(number))
    _logger.info("%s, epoch %d: converting, and asking Keras", run.path, number)
    graph = float_graph(
        network,
        kind,
        window_samples(experiment.config.audio, experiment.config.features.sample_rate_hz),
        experiment.config.features,
    )
    source = _Source(run, number, experiment, fold, network, kind, graph)
    reference = _reference(source, force=force)
    stem = (name or run.path.name) + ("" if kind == "waveform" else "_features")
    exported: list[Exported] = []
    failures: list[str] = []
    for precision in dict.fromkeys(precisions):
        path = folder / f"{stem}_{precision}.tflite"
        _logger.info("%s: making and checking it", path.name)
        try:
            exported.append(_export_one(source, precision, io, path, reference, expected, licence, force=force))
        except ModelError as error:
            failures.append(f"{path.name}: {error}")
        except OSError as error:  # a full disk: what is written stays, and the rest would fare no better
            failures.append(f"{path}: {error.strerror or error}")
            break
    if failures:
        if made and not exported:
            with contextlib.suppress(OSError):  # somebody else may have put something into it
                folder.rmdir()
        raise ExportError("; ".join(failures), exported)
    return exported


def _export_one(
    source: _Source,
    precision: Precision,
    io: Io | None,
    path: Path,
    reference: _Reference,
    expected: dict[str, Any] | None,
    licence: str,
    *,
    force: bool,
) -> Exported:
    as_integers: Io = io or ("int8" if source.kind == "features" and precision == "int8" else "float32")
    in_floats = precision == "float32"
    model = source.graph if in_floats else quantize(source.observed, precision, source.kind, as_integers)
    labels = source.experiment.labels
    network = LiteRTNetwork(model, source.input_shape, len(labels))
    hear = source.hear(lambda batch: _finite(network.predict_batch(batch)))
    measured = {
        part: judge(hear, source.experiment, positions)
        for part, positions in source.fold.parts().items()
        if positions and part != "training"
    }
    validation = measured["validation"]
    proof = prove(
        validation.true,
        reference.of_own_features,
        reference.of_file_inputs,
        validation.probabilities,
        labels,
        precision,
    )
    if not proof.passed and not force:
        raise ModelError(f"{proof.sentence()}; this file is not written (force keeps the file and marks it)")
    document = {
        **_description(source, expected, licence),
        "precision": precision,
        "calibration": "" if in_floats else _calibration_sentence(source, precision),
        "operators": sorted({operator.name for operator in Graph(model).operators()}),
        "model_bytes": len(model),
        "proof": proof.to_dict(),
        "level": reference.level,
        "measured": {part: _plain(judged) for part, judged in measured.items()},
        "latency": _latency(model, source, len(labels)),
    }
    document["input"] |= {"dtype": as_integers}
    document["output"] |= {"dtype": as_integers}
    content = with_description(model, document)
    exported = Exported(path, precision, len(content), proof)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    # The model takes its name first, and an older card goes before: no card ever lies beside another model.
    with written_beside(exported.card_path) as card_beside, written_beside(path) as model_beside:
        model_beside.write_bytes(content)
        card_beside.write_text(model_card(document, path.name, len(content)), encoding="utf-8")
        exported.card_path.unlink(missing_ok=True)
    return exported


def _check_run(run: Run, experiment: Experiment) -> None:
    if run.about.get("input_shape") != list(experiment.store.input_shape):
        raise RunError(
            f"{run.path}: expected features of the shape that was trained on, {run.about.get('input_shape')}. "
            f"Received: {list(experiment.store.input_shape)}; config.yaml was changed since"
        )
    if not isinstance(run.about.get("versions"), dict):
        raise RunError(f"{run.path / 'run.json'}: expected the versions of packages. Received: none")


def _check_weights(source: _Source, ua: float) -> None:
    """Refuse weights or settings under which the epoch is not what it was when it was trained."""
    (then,) = (row["val_ua"] for row in source.run.history() if row["epoch"] == source.epoch)
    if not abs(then - ua) <= _UA_OF_ROUNDING:
        raise RunError(
            f"{source.run.path}: expected the validation UA of epoch {source.epoch}, {100 * then:.1f} %. Received: "
            f"{100 * ua:.1f} %; weights or config.yaml were changed since"
        )


def _finite(probabilities: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(probabilities).all():
        raise ModelError("expected probabilities. Received: NaN or infinity from the file")
    return probabilities


def _calibration_sentence(source: _Source, precision: Precision) -> str:
    what = "rounded and calibrated on" if precision == "int8" else "weights rounded on"
    seed = source.experiment.config.train.seed
    return f"{what} {len(source.calibration_positions)} training utterances, seed {seed}"


def _reference(source: _Source, *, force: bool) -> _Reference:
    experiment, fold = source.experiment, source.fold
    own = hear_features(keras_predictor(source.network), experiment.store)
    if not np.isfinite(heard := own(fold.validation)).all():
        raise RunError(
            f"{source.run.path}: expected a network that gives probabilities. Received: NaN or infinity from epoch "
            f"{source.epoch}, whose training diverged; choose another --epoch"
        )
    true = experiment.class_ids[list(fold.validation)]
    _check_weights(source, score(true, heard, experiment.labels).ua)
    if source.kind == "features":
        return _Reference(heard, heard, None)
    front_end = FrontEnd(experiment.config.features)

    @tf.function(input_signature=[tf.TensorSpec([None, source.num_samples], tf.float32)], autograph=False)
    def fused(waveforms: tf.Tensor) -> tf.Tensor:
        return source.network(front_end(normalize_padded(waveforms)), training=False)

    held_out = list(dict.fromkeys([*fold.validation, *fold.test]))  # which may be the same
    random = np.random.default_rng(experiment.config.train.seed)
    more = random.permutation(fold.train)[: max(0, _LEVELLED_UTTERANCES - len(held_out))].tolist()
    before, after = own([*held_out, *more]), source.hear(lambda one: fused(one).numpy())([*held_out, *more])
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
    return _Reference(before[validation], after[validation], level)


def _description(source: _Source, expected: dict[str, Any] | None, licence: str) -> dict[str, Any]:
    config, experiment = source.experiment.config, source.experiment
    found = versions()
    return {
        "name": "Light-SERNet",
        "labels": list(experiment.labels),
        "notes": source.run.notes,
        "input": {
            "kind": source.kind,
            "name": source.kind,
            "shape": list(source.input_shape),
            "sample_rate_hz": config.features.sample_rate_hz,
            "duration_seconds": config.audio.duration_seconds,
            "window_samples": source.num_samples,
            "min_samples": config.features.frame_length_samples,
            "segments": config.audio.segments,
            "normalization": _NORMALIZATION[source.kind],
        },
        "output": {"name": OUTPUT, "shape": [1, len(experiment.labels)]},
        "features": dataclasses.asdict(config.features),
        "training": {
            **_lists(fold_facts(experiment, source.fold)),
            "epoch": f"{source.epoch} of {len(source.run.history())}",
        },
        "split_content": source.run.split["content"],
        "expected": expected,
        "licence": licence,
        "corpus_terms": _corpus_terms(config.corpus.name),
        "versions": {**source.run.about["versions"], **{name: found[name] for name in _TOOLS}},
    }


def _lists(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts as JSON would: tuples as lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}


def _corpus_terms(name: str) -> str:
    if name == "demo":
        return "synthetic, made by this package"
    return SOURCES[name].terms if name in SOURCES else "not known to this package; ask its publisher"


def _latency(model: bytes, source: _Source, num_outputs: int) -> dict[str, Any]:
    window = np.random.default_rng(0).standard_normal(source.input_shape).astype(np.float32)
    milliseconds = {}
    for threads in (1, 2):
        network = LiteRTNetwork(model, source.input_shape, num_outputs, threads)
        times = []
        for _ in range(_TIMED_WINDOWS + 1):
            start = time.perf_counter()
            network(window)
            times.append(1000 * (time.perf_counter() - start))
        milliseconds[str(threads)] = round(statistics.median(times[1:]), 2)  # the first one warms up
    machine = f"{os.cpu_count()} cores, {platform.machine()}"
    return {"milliseconds": milliseconds, "runs": _TIMED_WINDOWS, "machine": machine}


def _plain(judged: Judgement) -> dict[str, Any]:
    return {"scores": judged.scores.to_dict(), "intervals": judged.intervals}
