"""``python -m lightsernet_tf.evaluate``: judge an epoch of a run, sweep them all, or judge a .tflite file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lightsernet_tf.cli import CommandParser, run_command
from lightsernet_tf.errors import ConfigError

_EPILOG = """examples:
  python -m lightsernet_tf.evaluate runs/NAME
  python -m lightsernet_tf.evaluate runs/NAME --epoch all
  python -m lightsernet_tf.evaluate model.tflite --config configs/emodb.yaml --split.fold 3

The best epoch is the one chosen on validation data; all sweeps the kept epochs on validation data and judges the best.
A file takes --config and every option of lightsernet_tf.train that says which corpus and which fold to judge it on;
its window and features are its own.
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, judge, print."""
    description = (
        "Evaluate a run or a .tflite file on training, validation and test data, and write a report with figures."
    )
    parser = CommandParser("evaluate", description, _EPILOG, allow_abbrev=False)
    add = parser.add_argument
    add("target", type=Path, metavar="RUN|FILE.tflite", help="folder of a run, or an exported file")
    add("--epoch", metavar="best|last|N|all", help="of a run: which kept epoch (default: best)")
    add("--output", type=Path, metavar="DIR", help="of a file: folder of the report (default: beside the file)")
    options, settings = parser.parse_known_args(arguments)
    if options.target.suffix.lower() == ".tflite":
        return _evaluate_file(options, settings)
    if settings:
        parser.error(f"unrecognized arguments: {' '.join(settings)}")
    if options.output is not None:
        raise ConfigError("--output: expected with a .tflite file; a run's report lies in the run. Received: a run")

    from lightsernet_tf.evaluate.run import evaluate_run
    from lightsernet_tf.runs.run import Run

    print(evaluate_run(Run.open(options.target), options.epoch or "best").summary())
    return 0


def _evaluate_file(options: argparse.Namespace, settings: Sequence[str]) -> int:
    if options.epoch is not None:
        raise ConfigError(f"--epoch: expected with a run. Received: {options.target}, which holds one epoch")
    if not settings:
        raise ConfigError(
            f"{options.target}: expected --config or --corpus.name: what to judge it on. Received: neither"
        )

    from lightsernet_tf.config_parser import config_parser, parse_config

    config, _ = parse_config(config_parser("evaluate FILE.tflite", "Judge a file."), settings)

    from lightsernet_tf.evaluate.tflite_file import evaluate_file

    print(evaluate_file(options.target, config, options.output).summary())
    return 0


if __name__ == "__main__":
    run_command(main)
