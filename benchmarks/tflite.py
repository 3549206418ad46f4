"""Sizes and latencies of exported graphs: both inputs, all precisions, one and two threads, and the front end alone.

The network has random weights: neither size nor speed depends on them. All graphs take turns, round after round, so
that whatever else the machine does falls on each of them alike; trust the ratios to the network alone in float32.

    python benchmarks/tflite.py
    python benchmarks/tflite.py --seconds 7 --classes 4
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version

# Before TensorFlow is imported, which otherwise tells what it finds on the machine.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from lightsernet_tf.cli import native_messages_hidden
from lightsernet_tf.config import FeatureConfig
from lightsernet_tf.export.files import ExportOptions
from lightsernet_tf.export.graph import float_graph, quantize
from lightsernet_tf.export.precisions import PRECISIONS
from lightsernet_tf.export.rounding import observe
from lightsernet_tf.features.front_end import FrontEnd, feature_shape
from lightsernet_tf.features.windows import normalize_padded
from lightsernet_tf.model.light_sernet import light_sernet
from lightsernet_tf.predict.model_file import InputKind

FEATURES = FeatureConfig()
CALIBRATION_WINDOWS = 20
THREADS = (1, 2)


@dataclass(frozen=True)
class Graph:
    """What is timed: its names, and its bytes without a description."""

    what: str
    precision: str
    model: bytes


def front_end_graph(num_samples: int, *, with_level: bool) -> bytes:
    """Return the front end alone, from a waveform at its level or at any level."""
    front_end = FrontEnd(FEATURES, "matrix")

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([1, num_samples], tf.float32)], autograph=False)
        def __call__(self, waveform: tf.Tensor) -> tf.Tensor:
            return front_end(normalize_padded(waveform) if with_level else waveform)

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(Module(), folder)
        return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def graphs(num_samples: int, num_classes: int) -> list[Graph]:
    """Return all graphs, the network alone in float32 first."""
    frames, bins = feature_shape(num_samples, FEATURES)
    network = light_sernet((frames, bins, 1), num_classes, seed=0)
    random = np.random.default_rng(0)
    network.set_weights([one + 0.01 * random.random(one.shape) for one in network.get_weights()])  # no bias of zero
    shapes: dict[InputKind, tuple[int, ...]] = {"features": (1, frames, bins, 1), "waveform": (1, num_samples)}
    found = []
    for kind, shape in shapes.items():
        model = float_graph(network, kind, num_samples, FEATURES)
        calibration = [random.standard_normal(shape).astype(np.float32) for _ in range(CALIBRATION_WINDOWS)]
        observed = observe(model, calibration)
        for precision in PRECISIONS:
            what = {"features": "network alone", "waveform": "fused"}[kind]
            io = ExportOptions(kind).io_of(precision)
            found.append(Graph(what, precision, quantize(observed, precision, kind, io)))
    found.append(Graph("front end alone", "float32", front_end_graph(num_samples, with_level=False)))
    found.append(Graph("level and front end", "float32", front_end_graph(num_samples, with_level=True)))
    return found


def prepared(model: bytes, threads: int) -> Interpreter:
    """Return an interpreter with an input set."""
    interpreter = Interpreter(model_content=model, num_threads=threads)
    interpreter.allocate_tensors()
    (given,) = interpreter.get_input_details()
    values = np.random.default_rng(1).standard_normal(given["shape"])
    interpreter.set_tensor(
        given["index"], (10 * values if given["dtype"] == np.int8 else values).astype(given["dtype"])
    )
    interpreter.invoke()  # the first one makes what the others reuse
    return interpreter


def milliseconds(interpreter: Interpreter, runs: int) -> float:
    """Return the median time of a run."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of the window (default: %(default)s)")
    parser.add_argument("--classes", type=int, default=7, help="outputs (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="turns of each graph (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=10, help="runs a turn (default: %(default)s)")
    options = parser.parse_args()
    with native_messages_hidden():
        timed = graphs(round(options.seconds * FEATURES.sample_rate_hz), options.classes)
        ready = [[prepared(graph.model, threads) for threads in THREADS] for graph in timed]
    rounds = np.array(
        [
            [[milliseconds(interpreter, options.runs) for interpreter in of_graph] for of_graph in ready]
            for _ in range(options.rounds)
        ]
    )  # [rounds, graphs, threads]
    medians = np.median(rounds, axis=0)  # [graphs, threads]
    ratios = np.median(rounds / rounds[:, :1, :], axis=0)  # to the network alone, round by round
    print(
        f"LiteRT {version('ai-edge-litert')}, {options.seconds:g} s of MFCC, {options.classes} classes, median of "
        f"{options.rounds} rounds of {options.runs} runs"
    )
    print("| graph | precision | KiB | 1 thread ms | ratio | 2 threads ms | ratio |")
    print("| :-- | :-- | --: | --: | --: | --: | --: |")
    for graph, times, ratio in zip(timed, medians, ratios, strict=True):
        cells = [f"{time:.2f} | {value:.2f}" for time, value in zip(times, ratio, strict=True)]
        print(f"| {graph.what} | {graph.precision} | {len(graph.model) / 1024:.0f} | {' | '.join(cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
