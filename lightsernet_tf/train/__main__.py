"""``python -m lightsernet_tf.train``: train one fold, judge it, and say where to look."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lightsernet_tf.cli import run_command
from lightsernet_tf.config_parser import config_parser, parse_config
from lightsernet_tf.errors import ConfigError

_EPILOG = """
With no arguments it trains on the bundled synthetic demo corpus. Examples:
  python -m lightsernet_tf.train --config configs/emodb.yaml --corpus.data_dir DIR --split.fold 3
  python -m lightsernet_tf.train --resume runs/NAME
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, train, print."""
    parser = config_parser("train", "Train Light-SERNet on one fold of a corpus.", _EPILOG)
    parser.add_argument("--resume", type=str, metavar="RUN", help="go on with a stopped run; takes no other option")
    config, options = parse_config(parser, arguments)
    if options.resume is not None and (others := _beside_resume(arguments)):
        raise ConfigError(f"--resume: expected no other option, the run has its settings. Received: {' '.join(others)}")

    from lightsernet_tf.data.experiment import prepare
    from lightsernet_tf.evaluate.run import evaluate_run
    from lightsernet_tf.runs.run import Run
    from lightsernet_tf.train.fold import resume, train

    if options.resume is not None:
        config = Run.open(Path(options.resume)).config
    experiment = prepare(config)
    run = train(config, experiment) if options.resume is None else resume(Path(options.resume), experiment)
    try:
        print(evaluate_run(run, "best", experiment).summary())
    except KeyboardInterrupt:
        print(f"trained, not judged: python -m lightsernet_tf.evaluate '{run.path}'", file=sys.stderr)
        raise
    return 0


def _beside_resume(arguments: Sequence[str]) -> list[str]:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume")
    return parser.parse_known_args(arguments)[1]


if __name__ == "__main__":
    run_command(main)
