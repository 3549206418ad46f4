"""The description that a file carries, made of its run; ``predict.model_file`` writes and reads it."""

from __future__ import annotations

import dataclasses
import os
import platform
import statistics
import time
from typing import Any

import numpy as np

from lightsernet_tf.corpora import READERS
from lightsernet_tf.evaluate.facts import experiment_facts
from lightsernet_tf.export.graph import OUTPUT
from lightsernet_tf.export.precisions import Io, Precision
from lightsernet_tf.export.source import ExportSource
from lightsernet_tf.predict.litert import LiteRTNetwork
from lightsernet_tf.predict.model_file import InputKind
from lightsernet_tf.versions import versions

_TIMED_WINDOWS = 30
_TOOLS = ("ai-edge-litert", "ai-edge-quantizer")

_NORMALIZATION: dict[InputKind, str] = {
    "waveform": "in the graph: the 99.9th percentile of the magnitude, between the first and the last sample that is "
    "not zero, becomes 1; what is above is clipped",
    "features": "before the features: see lightsernet_tf.features.windows.normalize",
}


def describe(source: ExportSource, io: Io, expected: dict[str, Any] | None, licence: str) -> dict[str, Any]:
    """Return the description of a file without what the model itself shows.

    Parameters
    ----------
    source
        What it is made of.
    io
        Type of its input and output.
    expected
        From ``expectations.read_cross_validation``, or none.
    licence
        Of the model.
    """
    config, experiment = source.experiment.config, source.experiment
    found = versions()
    return {
        "name": "Light-SERNet",
        "labels": list(experiment.labels),
        "notes": source.run.notes,
        "input": {
            "kind": source.kind,
            "name": source.kind,
            "dtype": io,
            "shape": list(source.input_shape),
            "sample_rate_hz": config.features.sample_rate_hz,
            "duration_seconds": config.audio.duration_seconds,
            "window_samples": source.num_samples,
            "min_samples": config.features.frame_length_samples,
            "segments": config.audio.segments,
            "normalization": _NORMALIZATION[source.kind],
        },
        "output": {"name": OUTPUT, "dtype": io, "shape": [1, len(experiment.labels)]},
        "features": dataclasses.asdict(config.features),
        "training": {
            **experiment_facts(experiment, source.fold),
            "epoch": f"{source.epoch} of {len(source.run.history())}",
        },
        "corpus": experiment.corpus.name,
        "split_content": source.run.split["content"],
        "expected": expected,
        "licence": licence,
        "corpus_terms": READERS[config.corpus.name].terms,
        "versions": {**source.run.about.get("versions", {}), **{name: found[name] for name in _TOOLS}},
    }


def latency(model: bytes, source: ExportSource, num_outputs: int) -> dict[str, Any]:
    """Return the median time that a graph takes here, by number of threads."""
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


def calibration_sentence(source: ExportSource, precision: Precision) -> str:
    """Say what the training utterances were used for in making a file; nothing where they were not."""
    if precision.recipe is None:
        return ""
    what = "rounded and calibrated on" if precision.calibrated else "weights rounded on"
    seed = source.experiment.config.train.seed
    return f"{what} {len(source.calibration_positions)} training utterances, seed {seed}"
