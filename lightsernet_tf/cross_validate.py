"""``python -m lightsernet_tf.cross_validate``: train and judge all folds of a protocol."""

from __future__ import annotations

from collections.abc import Sequence

from lightsernet_tf.cli import run_command
from lightsernet_tf.config_parser import config_parser, parse_config
from lightsernet_tf.errors import ConfigError

_EPILOG = """
Finished folds are not trained again and a stopped one goes on: the same call continues a killed one. Example:
  python -m lightsernet_tf.cross_validate --config configs/emodb.yaml --corpus.data_dir DIR --jobs 2
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, cross-validate, print."""
    parser = config_parser("cross_validate", "Train and judge all folds, and report on all test data.", _EPILOG)
    parser.add_argument("--jobs", type=int, default=1, help="folds at once, each a process with its share of the cores")
    config, options = parse_config(parser, arguments)
    if options.jobs < 1:
        raise ConfigError(f"--jobs: expected at least 1. Received: {options.jobs}")

    from lightsernet_tf.cross_validation import cross_validate

    print(cross_validate(config, jobs=options.jobs).summary())
    return 0


if __name__ == "__main__":
    run_command(main)
