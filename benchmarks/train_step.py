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
from pathlib import Path
from statistics import median

from lightsernet_tf.cli import run_command
from lightsernet_tf.errors import InputError

CLIPS = 320
FRAMES, BINS, CLASSES = 184, 40, 7
BATCH_SIZE = 32
LEARNING_RATE = 1e-4
Epoch = Callable[[], object]


def keras_epoch(plain: bool) -> Epoch:
    """Return a function that trains ours for one epoch; ``plain``: with Keras's own layers only."""
    import keras
    import numpy as np
    import tensorflow as tf

    from lightsernet_tf import model

    network = model.light_sernet((FRAMES, BINS, 1), CLASSES, seed=0)
    if plain:
        network = plain_light_sernet()
    network.compile(
        keras.optimizers.Adam(LEARNING_RATE), keras.losses.SparseCategoricalCrossentropy(), jit_compile=False
    )
    random = np.random.default_rng(0)
    features = random.standard_normal((CLIPS, FRAMES, BINS, 1), dtype=np.float32)
    data = tf.data.Dataset.from_tensor_slices((features, np.arange(CLIPS) % CLASSES)).batch(BATCH_SIZE)
    return lambda: network.fit(data, verbose=0, shuffle=False)


def plain_light_sernet() -> object:
    """Return the network of Keras's own layers."""
    import keras
    from keras import layers

    from lightsernet_tf.model import BLOCKS, PATHS

    def apply(block: object, x: object, regularizer: object) -> object:
        convolution = layers.Conv2D(
            block.filters,
            block.kernel_size,
            padding="same",
            use_bias=regularizer is None,
            kernel_regularizer=regularizer,
        )
        x = layers.ReLU()(layers.BatchNormalization()(convolution(x)))
        return x if block.pool_size is None else layers.AveragePooling2D(block.pool_size, padding="same")(x)

    features = keras.Input((FRAMES, BINS, 1))
    x = layers.Concatenate()([apply(path, features, None) for path in PATHS])
    for block in BLOCKS:
        x = apply(block, x, keras.regularizers.L2(1e-6))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(features, layers.Dense(CLASSES, activation="softmax")(x))


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

    def block(channels: int, filters: int, kernel: tuple[int, int], pool: tuple[int, int] | None, bias: bool) -> object:
        layers = [nn.Conv2d(channels, filters, kernel, padding="same", bias=bias)]
        layers += [nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01), nn.ReLU(inplace=True)]
        if pool is not None:
            layers.append(nn.AvgPool2d(pool, ceil_mode=True))
        return nn.Sequential(*layers)

    class LightSERNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.paths = nn.ModuleList([block(1, 32, kernel, (2, 2), True) for kernel in ((11, 1), (1, 9), (3, 3))])
            self.blocks = nn.Sequential(
                block(96, 64, (3, 3), (2, 2), False),
                block(64, 96, (3, 3), (2, 2), False),
                block(96, 128, (3, 3), (2, 1), False),
                block(128, 160, (3, 3), (2, 1), False),
                block(160, 320, (1, 1), None, False),
            )
            self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(320, CLASSES))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.blocks(torch.cat([path(x) for path in self.paths], 1))
            return self.head(x.mean((2, 3)))

    network = LightSERNet().to(memory_format=torch.channels_last)
    decayed = [p for name, p in network.blocks.named_parameters() if p.ndim == 4]
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
    "ours": ({"TF_ENABLE_ONEDNN_OPTS": "1"}, lambda: keras_epoch(plain=False)),
    "pytorch": ({}, torch_epoch),
    "plain": ({"TF_ENABLE_ONEDNN_OPTS": "0"}, lambda: keras_epoch(plain=True)),
}


def serve(contender: str) -> int:
    """Train one epoch for each line that comes in and answer with its wall and processor seconds."""
    epoch = CONTENDERS[contender][1]()
    epoch()  # The first epoch traces, allocates and warms the caches.
    print("ready", flush=True)
    for _ in sys.stdin:
        wall, processor = time.perf_counter(), time.process_time()
        epoch()
        print(time.perf_counter() - wall, time.process_time() - processor, flush=True)
    return 0


def start(contender: str, python: str) -> subprocess.Popen[str]:
    """Return a process that serves the contender."""
    return subprocess.Popen(
        [python, __file__, "--serve", contender],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path(__file__).parents[1]), **CONTENDERS[contender][0]},
    )


def answer(process: subprocess.Popen[str]) -> list[str]:
    """Return the words of the process's next line."""
    line = process.stdout.readline()
    if not line:
        raise InputError(f"Expected an answer of {' '.join(process.args)}. Received: exit status {process.wait()}")
    return line.split()


def compare(rounds: int, torch_python: str) -> dict[str, list[tuple[float, float]]]:
    """Return wall and processor seconds of each contender's epochs, taken in turns."""
    processes = {name: start(name, torch_python if name == "pytorch" else sys.executable) for name in CONTENDERS}
    try:
        for process in processes.values():
            answer(process)
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
        for _ in range(rounds):
            for name, process in processes.items():
                process.stdin.write("epoch\n")
                process.stdin.flush()
                wall, processor = answer(process)
                seconds[name].append((float(wall), float(processor)))
        return seconds
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python benchmarks/train_step.py --rounds 9 --torch-python ~/torch/bin/python",
    )
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each contender (default: 7)")
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter that has PyTorch (default: this)")
    parser.add_argument("--serve", choices=CONTENDERS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        return serve(options.serve)

    seconds = compare(options.rounds, options.torch_python)
    medians = {name: tuple(median(column) for column in zip(*taken)) for name, taken in seconds.items()}
    print(f"one epoch of {CLIPS} clips of [{FRAMES}, {BINS}, 1], batch {BATCH_SIZE}, median of {options.rounds}\n")
    print("| | wall s | CPU s | ours / it, wall | ours / it, CPU |\n|---|---|---|---|---|")
    for name, (wall, processor) in medians.items():
        ratios = [ours / other for ours, other in zip(medians["ours"], (wall, processor))]
        print(f"| {name} | {wall:.2f} | {processor:.2f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    return 0


if __name__ == "__main__":
    run_command(main)
