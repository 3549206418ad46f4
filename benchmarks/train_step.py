"""Time one epoch of training: ours, the same network in PyTorch, and plain Keras layers without oneDNN.

Each contender lives in a process of its own; they take turns, epoch by epoch, so that a busy machine slows all alike.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from lightsernet_tf.cli import run_command
from lightsernet_tf.errors import InputError

CLIPS = 320
FRAMES, BINS, CLASSES = 184, 40, 7
BATCH_SIZE = 32
LEARNING_RATE = 1e-4
Epoch = Callable[[], object]
Pair = tuple[int, int]


def keras_epoch(*, plain: bool) -> Epoch:
    """Return a function that trains the network for one epoch; ``plain``: with Keras's own batch norm."""
    import keras
    import numpy as np
    import tensorflow as tf

    from lightsernet_tf.config import TrainConfig
    from lightsernet_tf.model.batch_norm import FusedBatchNormalization
    from lightsernet_tf.model.light_sernet import light_sernet
    from lightsernet_tf.model.losses import make_loss

    def plain_layer(layer: keras.Layer) -> keras.Layer:
        kind = keras.layers.BatchNormalization if isinstance(layer, FusedBatchNormalization) else type(layer)
        return kind.from_config(layer.get_config())

    network = light_sernet((FRAMES, BINS, 1), CLASSES, seed=0)
    if plain:
        network = keras.models.clone_model(network, clone_function=plain_layer)
    network.compile(
        keras.optimizers.Adam(LEARNING_RATE), make_loss(TrainConfig(loss="cross_entropy")), jit_compile=False
    )
    features = np.random.default_rng(0).standard_normal((CLIPS, FRAMES, BINS, 1), dtype=np.float32)
    data = tf.data.Dataset.from_tensor_slices((features, np.arange(CLIPS) % CLASSES)).batch(BATCH_SIZE)
    return lambda: network.fit(data, verbose=0, shuffle=False)


def torch_epoch() -> Epoch:
    """Return a function that trains the same network in PyTorch for one epoch, in its fastest layout."""
    try:
        import torch
    except ModuleNotFoundError:
        raise InputError(
            f"Expected PyTorch for the comparison. Received: {sys.executable}, which lacks it; "
            "pip install torch there, or name an interpreter that has it with --torch-python"
        ) from None
    from torch import nn

    torch.manual_seed(0)

    def block(channels: int, filters: int, kernel: Pair, pool: Pair | None, *, bias: bool = False) -> nn.Sequential:
        layers = [nn.Conv2d(channels, filters, kernel, padding="same", bias=bias)]
        layers += [nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01), nn.ReLU(inplace=True)]
        return nn.Sequential(*layers, *([] if pool is None else [nn.AvgPool2d(pool, ceil_mode=True)]))

    class LightSERNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            kernels = ((11, 1), (1, 9), (3, 3))
            self.paths = nn.ModuleList([block(1, 32, kernel, (2, 2), bias=True) for kernel in kernels])
            self.blocks = nn.Sequential(
                block(96, 64, (3, 3), (2, 2)),
                block(64, 96, (3, 3), (2, 2)),
                block(96, 128, (3, 3), (2, 1)),
                block(128, 160, (3, 3), (2, 1)),
                block(160, 320, (1, 1), None),
            )
            self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(320, CLASSES))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.blocks(torch.cat([path(x) for path in self.paths], 1))
            return self.head(x.mean((2, 3)))

    network = LightSERNet().to(memory_format=torch.channels_last)
    decayed = [parameter for parameter in network.blocks.parameters() if parameter.ndim == 4]
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE, eps=1e-7)
    features = torch.randn(CLIPS, 1, FRAMES, BINS).to(memory_format=torch.channels_last)
    labels = torch.arange(CLIPS) % CLASSES

    def epoch() -> None:
        for start in range(0, CLIPS, BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(network(features[batch]), labels[batch])
            loss = loss + 1e-6 * sum((kernel**2).sum() for kernel in decayed)
            loss.backward()
            optimizer.step()

    return epoch


CONTENDERS: dict[str, tuple[dict[str, str], Callable[[], Epoch]]] = {
    "ours": ({"TF_ENABLE_ONEDNN_OPTS": "1"}, partial(keras_epoch, plain=False)),
    "pytorch": ({}, torch_epoch),
    "plain": ({"TF_ENABLE_ONEDNN_OPTS": "0"}, partial(keras_epoch, plain=True)),
}

THREAD_SETTINGS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


def serve(contender: str) -> int:
    """Train one epoch for each line that comes in and answer with its wall and processor seconds."""
    epoch = CONTENDERS[contender][1]()
    epoch()  # The first one traces and allocates.
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        epoch()
        print(time.perf_counter() - wall, time.process_time() - processor, flush=True)
    return 0


class Contender:
    """A process that trains one epoch whenever it is asked to."""

    def __init__(self, name: str, python: str, threads: int | None) -> None:
        settings = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path(__file__).parents[1]), **CONTENDERS[name][0]}
        if threads is not None:
            settings |= dict.fromkeys(THREAD_SETTINGS, str(threads))
        self.name = name
        self.process = subprocess.Popen(
            [python, __file__, "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **settings},
        )
        self._answer()  # It is ready: the next starts on a quiet machine.

    def seconds(self) -> tuple[float, float]:
        """Return wall and processor seconds of one epoch."""
        assert self.process.stdin is not None
        self.process.stdin.write("epoch\n")
        self.process.stdin.flush()
        wall, processor = self._answer().split()
        return float(wall), float(processor)

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise InputError(f"Expected seconds of {self.name}. Received: exit status {self.process.wait()}")
        return line

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def compare(rounds: int, torch_python: str, threads: int | None) -> dict[str, list[tuple[float, float]]]:
    """Return wall and processor seconds of each contender's epochs, taken in turns."""
    contenders: list[Contender] = []
    try:
        for name in CONTENDERS:
            contenders.append(Contender(name, torch_python if name == "pytorch" else sys.executable, threads))
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTENDERS}
        for _ in range(rounds):
            for contender in contenders:
                taken[contender.name].append(contender.seconds())
        return taken
    finally:
        for contender in contenders:
            contender.close()


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python benchmarks/train_step.py --rounds 9 --torch-python ~/torch/bin/python",
    )
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each contender (default: 7)")
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter that has PyTorch (default: this)")
    parser.add_argument(
        "--threads",
        type=int,
        help="threads of each; 1 compares fairly where others use the processor too (default: all)",
    )
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        return serve(options.serve)
    if options.threads is not None and options.threads < 1:
        raise InputError(f"Expected at least 1 thread. Received: --threads {options.threads}")
    if options.rounds < 1:
        raise InputError(f"Expected at least 1 round. Received: --rounds {options.rounds}")

    taken = compare(options.rounds, options.torch_python, options.threads)
    medians = {name: [median(column) for column in zip(*seconds, strict=True)] for name, seconds in taken.items()}
    print(f"One epoch of {CLIPS} clips of [{FRAMES}, {BINS}, 1], batch {BATCH_SIZE}; medians of {options.rounds}.\n")
    print("| | wall s | CPU s | ours / it, wall | ours / it, CPU |\n|---|---|---|---|---|")
    for name, seconds in medians.items():
        ratios = [ours / theirs for ours, theirs in zip(medians["ours"], seconds, strict=True)]
        print(f"| {name} | {seconds[0]:.2f} | {seconds[1]:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return 0


if __name__ == "__main__":
    run_command(main)
