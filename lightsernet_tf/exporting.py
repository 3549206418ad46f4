"""From a trained run to .tflite files, each held against Keras before it gets its name, and each with its card."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from lightsernet_tf.checkpoints import load_weights
from lightsernet_tf.conversion import Io, Precision, float_graph, observe_network, quantize
from lightsernet_tf.corpora.download import SOURCES
from lightsernet_tf.errors import ModelError, RunError
from lightsernet_tf.experiment import Experiment, prepare
from lightsernet_tf.features import FrontEnd
from lightsernet_tf.files import written_beside
from lightsernet_tf.flatbuffer import Graph
from lightsernet_tf.judgements import Judgement, experiment_facts, fold_facts, judge
from lightsernet_tf.judging import (
    Hearing,
    Predictor,
    hear_features,
    hear_recordings,
    keras_predictor,
    litert_predictor,
)
from lightsernet_tf.litert import LiteRTNetwork
from lightsernet_tf.model_card import model_card, normalization
from lightsernet_tf.model_file import InputKind, with_description
from lightsernet_tf.proof import Proof, prove
from lightsernet_tf.reports import markdown_table, percent
from lightsernet_tf.rounding import Observed
from lightsernet_tf.run_folder import Run, versions
from lightsernet_tf.splits import SPEAKER_INDEPENDENT, Fold
from lightsernet_tf.training import build_network, same_fold
from lightsernet_tf.windows import normalize_padded, window_samples

LICENCE = "Apache-2.0"
PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "dynamic_int8", "int8")
_CALIBRATION_UTTERANCES = 100
_LEVELLED_UTTERANCES = 1000
_TIMED_WINDOWS = 30
_SAME_TRAINING = ("corpus", "labels", "features", "loss", "balance", "training", "epoch chosen", "augmentation")
_TOOLS = ("ai-edge-litert", "ai-edge-quantizer")

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
        inputs: list[NDArray[np.float32]] = []

        def collect(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            inputs.extend(one[np.newaxis] for one in batch)
            return np.zeros((len(batch), len(self.experiment.labels)), np.float32)

        self.hear(collect)(self.calibration_positions)
        return observe_network(self.graph, inputs)

    @property
    def calibration_positions(self) -> list[int]:
        random = np.random.default_rng(self.experiment.config.train.seed)
        count = min(_CALIBRATION_UTTERANCES, len(self.fold.train))
        return sorted(random.choice(self.fold.train, count, replace=False).tolist())


@dataclass(frozen=True)
class _Reference:
    """What Keras says of the validation utterances: from the run's own features, and from the file's own inputs.

    ``level`` tells how much the two differ on the corpus where the inputs are waveforms, whose level the graph takes
    after padding and training before it.
    """

    own_features: NDArray[Any]
    same_input: NDArray[Any]
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
        raise ModelError(
            f"--io int8: expected --input features and --precision int8. Received: {kind} and {', '.join(precisions)}"
        )
    experiment = experiment.under(run.config) if experiment else prepare(run.config)
    fold = same_fold(run, experiment)
    number = run.resolve_epoch(epoch)
    expected = None if cross_validation is None else read_cross_validation(cross_validation, experiment)
    folder = output or run.path / "export"
    folder.mkdir(parents=True, exist_ok=True)  # whatever forbids it, before the work
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
    reference = _reference(source)
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
    if failures:
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
    predict = litert_predictor(LiteRTNetwork(model, source.input_shape, len(labels)))
    hear = source.hear(lambda batch: _finite(predict(batch)))
    measured = {
        part: judge(hear, source.experiment, positions)
        for part, positions in source.fold.parts().items()
        if positions and part != "training"
    }
    validation = measured["validation"]
    proof = prove(
        validation.true, reference.own_features, reference.same_input, validation.probabilities, labels, precision
    )
    if not proof.passed and not force:
        raise ModelError(f"{proof.sentence()}; nothing is written (--force keeps the file and marks it)")
    document = {
        **_description(source, expected, licence),
        "precision": precision,
        "calibration": "" if in_floats else _calibration_sentence(source),
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
    with written_beside(path) as model_beside, written_beside(exported.card_path) as card_beside:  # both or neither
        model_beside.write_bytes(content)
        card_beside.write_text(model_card(document, path.name, len(content)), encoding="utf-8")
    return exported


def _finite(probabilities: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(probabilities).all():
        raise ModelError("expected probabilities. Received: NaN or infinity from the file")
    return probabilities


def _calibration_sentence(source: _Source) -> str:
    seed = source.experiment.config.train.seed
    return f"calibrated on {len(source.calibration_positions)} training utterances, seed {seed}"


def _reference(source: _Source) -> _Reference:
    experiment, fold = source.experiment, source.fold
    own = hear_features(keras_predictor(source.network), experiment.store)
    if not np.isfinite(heard := own(fold.validation)).all():
        raise RunError(
            f"{source.run.path}: expected a network that gives probabilities. Received: NaN or infinity from epoch "
            f"{source.epoch}, whose training diverged; choose another --epoch"
        )
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
    level = {
        "utterances": len(before),
        "agreement": float(np.mean(before.argmax(axis=1) == after.argmax(axis=1))),
        "largest_difference": float(np.abs(before - after).max()),
    }
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
            "normalization": normalization(source.kind),
        },
        "output": {"name": "probabilities", "shape": [1, len(experiment.labels)]},
        "features": dataclasses.asdict(config.features),
        "training": {
            **json.loads(json.dumps(fold_facts(experiment, source.fold))),
            "epoch": f"{source.epoch} of {len(source.run.history())}",
        },
        "split_content": source.run.split["content"],
        "expected": expected,
        "licence": licence,
        "corpus_terms": _corpus_terms(config.corpus.name),
        "versions": {**source.run.about["versions"], **{name: found[name] for name in _TOOLS}},
    }


def _corpus_terms(name: str) -> str:
    if name == "demo":
        return "synthetic, made by this package"
    return SOURCES[name].terms if name in SOURCES else "not known to this package; ask its publisher"


def read_cross_validation(path: Path, experiment: Experiment) -> dict[str, Any]:
    """Return what a cross-validation of the same settings says of new speakers.

    Raises
    ------
    RunError
        If the folder holds none, or one of another corpus, other labels, features or training, or of speakers that
        were trained on.
    """
    file = path / "scores.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        facts: dict[str, Any] = dict(found["facts"])
        told: dict[str, Any] = {
            "protocol": str(facts["protocol"]),
            "pooled": dict(found["pooled"]),
            "intervals": dict(found["intervals"]),
            "spread": dict(found["speakers"]["spread"]),
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file}: expected the figures of a cross-validation. Received: {_reason(error)}") from error
    ours = json.loads(json.dumps(experiment_facts(experiment)))
    for key in _SAME_TRAINING:
        if facts.get(key) != ours.get(key):
            raise RunError(f"{file}: expected {key} as trained, {ours.get(key)}. Received: {facts.get(key)}")
    if told["protocol"].split(",")[0] not in SPEAKER_INDEPENDENT:
        raise RunError(f"{file}: expected a protocol that tests new speakers. Received: {told['protocol']}")
    return told


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def proof_table(exported: Sequence[Exported]) -> str:
    """Return a line for each file, as Markdown that also reads in a terminal."""
    rows = [
        (
            one.path.name,
            f"{one.size_bytes / 1024:.0f}",
            f"{one.proof.largest_difference:.1e}",
            percent(one.proof.agreement),
            f"{percent(one.proof.keras_wa)} / {percent(one.proof.file_wa)}",
            f"{percent(one.proof.keras_ua)} / {percent(one.proof.file_ua)}",
            "yes" if one.proof.passed else "NO",
        )
        for one in exported
    ]
    header = ("file", "KiB", "largest difference", "same decision", "WA Keras / file", "UA Keras / file", "passed")
    return markdown_table(header, rows, "lrrrrrl")


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
