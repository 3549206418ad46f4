"""From a trained run to .tflite files, each held against Keras before it gets its name, and each with its card."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lightsernet_tf.data.experiment import Experiment, prepare
from lightsernet_tf.errors import ConfigError, ModelError, RunError, one_line
from lightsernet_tf.evaluate.judgement import judge
from lightsernet_tf.export.card import model_card
from lightsernet_tf.export.description import calibration_sentence, describe, latency
from lightsernet_tf.export.expectations import read_cross_validation
from lightsernet_tf.export.flatbuffer import Graph
from lightsernet_tf.export.graph import quantize
from lightsernet_tf.export.precisions import PRECISIONS, Io
from lightsernet_tf.export.proof import Proof, prove
from lightsernet_tf.export.source import ExportSource, Reference, reference_of
from lightsernet_tf.files import written_beside
from lightsernet_tf.predict.litert import LiteRTNetwork
from lightsernet_tf.predict.model_file import InputKind, with_description
from lightsernet_tf.runs.fold import same_fold
from lightsernet_tf.runs.run import Run

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportOptions:
    """Which files are made.

    Parameters
    ----------
    kind
        ``waveform``: from samples at any level, front end included; ``features``: the network alone.
    precisions
        One file each; names in ``export.precisions.PRECISIONS``.
    io
        Type of input and output; none: ``int8`` where a precision of ``features`` can, else ``float32``.
    licence
        Of the model.
    force
        Keep a file that does not compare as it should, marked so.
    """

    kind: InputKind = "waveform"
    precisions: Sequence[str] = tuple(PRECISIONS)
    io: Io | None = None
    licence: str = "Apache-2.0"
    force: bool = False

    def __post_init__(self) -> None:
        for name in self.precisions:
            if name not in PRECISIONS:
                raise ConfigError(f"precision: expected one of {', '.join(PRECISIONS)}. Received: {name}")
        integers = [name for name, precision in PRECISIONS.items() if precision.integers]
        if self.io == "int8" and not (self.kind == "features" and set(self.precisions) <= set(integers)):
            raise ConfigError(
                f"io int8: expected input features and precision {' or '.join(integers)}. "
                f"Received: {self.kind}, {', '.join(self.precisions)}"
            )

    def io_of(self, precision: str) -> Io:
        """Return the type of input and output of the file of a precision."""
        return self.io or ("int8" if self.kind == "features" and PRECISIONS[precision].integers else "float32")


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
    precision: str
    size_bytes: int
    proof: Proof

    @property
    def card_path(self) -> Path:
        """The model card."""
        return self.path.with_suffix(".md")


class ExportError(ModelError):
    """Some files could not be exported; ``exported`` lists those that were."""

    def __init__(self, message: str, exported: Sequence[Exported]) -> None:
        super().__init__(message)
        self.exported = list(exported)


def export(
    run: Run,
    epoch: str = "best",
    options: ExportOptions | None = None,
    *,
    output: Path | None = None,
    name: str | None = None,
    cross_validation: Path | None = None,
    experiment: Experiment | None = None,
) -> list[Exported]:
    """Export an epoch of a run.

    Each file is held against Keras on the run's validation utterances before it appears under its name; see
    ``export.proof``.

    Parameters
    ----------
    run
        The run.
    epoch
        ``best`` (chosen on validation data), ``last`` or the number of a kept epoch.
    options
        Which files are made; none: a waveform file of each precision.
    output
        Folder of the files; none: ``export`` in the run's.
    name
        How the files' names begin; none: the run's name.
    cross_validation
        Folder of a cross-validation of the same settings, whose figures say what to expect of new speakers.
    experiment
        ``prepare(run.config)`` where it is already there.

    Raises
    ------
    ExportError
        If a precision cannot be converted, or its file does not compare as it should; the others are exported.
    InputError
        If anything given cannot work.
    """
    options = options or ExportOptions()
    experiment = experiment.under(run.config) if experiment else prepare(run.config)
    source = ExportSource(run, run.resolve_epoch(epoch), experiment, same_fold(run, experiment), options.kind)
    if run.about.get("input_shape") != list(experiment.store.input_shape):
        raise RunError(
            f"{run.path}: expected features of the shape that was trained on, {run.about.get('input_shape')}. "
            f"Received: {list(experiment.store.input_shape)}; config.yaml was changed since"
        )
    expected = None if cross_validation is None else read_cross_validation(cross_validation, experiment)
    folder = output or run.path / "export"
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)  # whatever forbids it, before the work
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    _logger.info("%s, epoch %d: converting, and asking Keras", run.path, source.epoch)
    reference = reference_of(source, force=options.force)
    stem = (name or run.path.name) + ("" if options.kind == "waveform" else "_features")
    exported: list[Exported] = []
    failures: list[str] = []
    for precision in dict.fromkeys(options.precisions):
        path = folder / f"{stem}_{precision}.tflite"
        _logger.info("%s: making and checking it", path.name)
        try:
            exported.append(_export_one(source, precision, options, path, reference, expected))
        except ModelError as error:
            failures.append(f"{path.name}: {error}")
        except OSError as error:  # a full disk: what is written stays, and the rest would fare no better
            failures.append(f"{path}: {one_line(error)}")
            break
    if failures:
        if made and not exported:
            with contextlib.suppress(OSError):  # somebody else may have put something into it
                folder.rmdir()
        raise ExportError("; ".join(failures), exported)
    return exported


def _export_one(
    source: ExportSource,
    precision: str,
    options: ExportOptions,
    path: Path,
    reference: Reference,
    expected: dict[str, Any] | None,
) -> Exported:
    chosen, io, labels = PRECISIONS[precision], options.io_of(precision), source.experiment.labels
    model = source.graph if chosen.recipe is None else quantize(source.observed, precision, source.kind, io)
    network = LiteRTNetwork(model, source.input_shape, len(labels))
    predict = source.predictor_for(lambda batch: _finite(network.predict_batch(batch)))
    measured = {
        part: judge(predict, source.experiment, positions)
        for part, positions in source.fold.parts().items()
        if positions and part != "training"
    }
    true, probabilities = measured["validation"].true, measured["validation"].probabilities
    proof = prove(
        true, reference.of_own_features, reference.of_file_inputs, probabilities, labels=labels, limit=chosen.limit
    )
    if not proof.passed and not options.force:
        raise ModelError(f"{proof.sentence()}; this file is not written (force keeps the file and marks it)")
    document = {
        **describe(source, io, expected, options.licence),
        "precision": precision,
        "calibration": calibration_sentence(source, chosen),
        "operators": sorted({operator.name for operator in Graph(model).operators()}),
        "model_bytes": len(model),
        "proof": asdict(proof),
        "level": reference.level,
        "measured": {
            part: {"scores": one.scores.to_dict(), "intervals": one.intervals} for part, one in measured.items()
        },
        "latency": latency(model, source, len(labels)),
    }
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


def _finite(probabilities: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(probabilities).all():
        raise ModelError("expected probabilities. Received: NaN or infinity from the file")
    return probabilities
