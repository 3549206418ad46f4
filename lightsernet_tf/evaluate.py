"""``python -m lightsernet_tf.evaluate``: judge an epoch of a run, or sweep them all."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from lightsernet_tf.cli import CommandParser, run_command

_EPILOG = """examples:
  python -m lightsernet_tf.evaluate runs/NAME
  python -m lightsernet_tf.evaluate runs/NAME --epoch all
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, judge, print."""
    parser = CommandParser(
        prog="python -m lightsernet_tf.evaluate",
        description="Judge a run on its training, validation and test data, apart, and write a report with pictures.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument(
        "--epoch",
        default="best",
        metavar="best|last|N|all",
        help="which kept epoch: the one chosen on validation data (default), the last, a number, or a sweep over all "
        "of them on validation data, after which the one chosen is judged",
    )
    options = parser.parse_args(arguments)

    from lightsernet_tf.evaluation import evaluate_run
    from lightsernet_tf.run_folder import Run

    print(evaluate_run(Run.open(options.run), options.epoch).summary())
    return 0


if __name__ == "__main__":
    run_command(main)
