"""``python -m lightsernet_tf.cross_validate``: train and judge all folds of a protocol."""

from __future__ import annotations

from collections.abc import Sequence

from lightsernet_tf.cli import run_command
from lightsernet_tf.config_parser import config_parser, parse_config
from lightsernet_tf.errors import ConfigError

_EPILOG = """
Finished folds are not trained again and a stopped one goes on: the same call continues a killed one. The last digits
of the figures depend on the number of threads. Each of several seeds is trained in a folder seed_N. Examples:
  python -m lightsernet_tf.cross_validate --config configs/emodb.yaml --corpus.data_dir DIR --jobs 2
  python -m lightsernet_tf.cross_validate --config configs/emodb.yaml --corpus.data_dir DIR --jobs 2 --seeds 42 43 44
On a Dask cluster of machines that share the corpus and runs_dir (a process for each training at once):
  dask scheduler --host HOST                                             on one machine
  dask worker tcp://HOST:8786 --nworkers CORES --nthreads 1              on each that trains
  python -m lightsernet_tf.cross_validate ... --scheduler tcp://HOST:8786
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, cross-validate, print."""
    parser = config_parser("cross_validate", "Train and judge all folds, and report on all test data.", _EPILOG)
    add = parser.add_argument
    add("--jobs", type=int, default=1, help="folds at once on this machine, each in a process")
    add("--threads", type=int, metavar="N", help="of each training (default: cores / --jobs, or 1 with --scheduler)")
    add("--scheduler", type=str, metavar="ADDRESS", help="train on the workers of this Dask scheduler, a fold each")
    add("--seeds", type=str, nargs="+", default=[], metavar="SEED", help="once with each train.seed, and compare them")
    config, options = parse_config(parser, arguments)
    try:
        seeds = [int(seed) for seed in options.seeds]
    except ValueError as error:
        raise ConfigError(f"--seeds: expected whole numbers. Received: {', '.join(options.seeds)}") from error

    from lightsernet_tf.cross_validate.folds import cross_validate

    done = cross_validate(config, jobs=options.jobs, threads=options.threads, scheduler=options.scheduler, seeds=seeds)
    print(done.summary())
    return 0


if __name__ == "__main__":
    run_command(main)
