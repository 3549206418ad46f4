"""``python -m lightsernet_tf.tune``: search settings, here or with many machines, and show what was found."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightsernet_tf.cli import run_command
from lightsernet_tf.config_parser import config_parser, parse_config
from lightsernet_tf.errors import ConfigError
from lightsernet_tf.tune.address import Address, check_address, check_name, default_name, wait_for_chief
from lightsernet_tf.tune.settings import SearchSettings

if TYPE_CHECKING:
    import jsonargparse

_CHIEF_SECONDS = 600.0  # that a worker waits for it to begin
_RUNNING = ("--jobs", "--threads", "--chief", "--beyond-loopback", "--lost-after-seconds", "--worker", "--name")
_EPILOG = """
The section search of the configuration says what is tried and how; each trial is trained as by train, and its objective
is the validation UA, never test data. Examples:
  python -m lightsernet_tf.tune --config configs/tune_emodb.yaml --corpus.data_dir DIR
  python -m lightsernet_tf.tune --results runs/NAME        at any time, also while it runs
  python -m lightsernet_tf.tune --resume runs/NAME         after a kill; --search.trials 40 with it: up to 40 trials
On many machines that share the folder runs_dir, one chief, which trains nothing, and any number of workers:
  python -m lightsernet_tf.tune --config FILE --chief 127.0.0.1:8765
  python -m lightsernet_tf.tune --config FILE --worker 127.0.0.1:8765
"""


def main(arguments: Sequence[str]) -> int:
    """Parse, search, print."""
    settings, options = parse_config(_parser(), arguments, SearchSettings)
    assert isinstance(settings, SearchSettings)
    _check_options(options, arguments)

    from lightsernet_tf.tune.folder import Search
    from lightsernet_tf.tune.results import report_search

    if options.results is not None:
        print(report_search(Path(options.results), _width()))
        return 0
    if options.worker is not None:
        _work(options, settings)
        return 0
    if options.resume is None:
        search = Search.begin(settings)
    else:
        search = Search.open(Path(options.resume)).with_trials(settings.search.trials)

    from lightsernet_tf.tune.search import lead_search, run_search

    with search.held():
        try:
            if options.chief is None:
                run_search(search, jobs=options.jobs, threads=options.threads)
            else:
                address = Address.parse(options.chief, "--chief")
                lead_search(search, address, lost_after_seconds=options.lost_after_seconds)
        finally:
            if search.has_begun():
                print(report_search(search.path, _width()))
    return 0


def _work(options: Any, settings: SearchSettings) -> None:
    address, name = Address.parse(options.worker, "--worker"), options.name
    name = default_name() if name is None else name
    check_name(name)
    wait_for_chief(address, _CHIEF_SECONDS)

    from lightsernet_tf.tune.folder import Search
    from lightsernet_tf.tune.search import work

    search = Search.join(settings) if options.resume is None else Search.open(Path(options.resume))
    work(search, address, name, jobs=options.jobs, threads=options.threads)


def _check_options(options: Any, arguments: Sequence[str]) -> None:
    from lightsernet_tf.parallel.processes import check_spreading

    if options.results is not None and (others := _beside(arguments, "--results")):
        raise ConfigError(f"--results: expected no other option. Received: {' '.join(others)}")
    if options.resume is not None and (others := _beside(arguments, "--resume", "--search.trials", *_RUNNING)):
        raise ConfigError(
            f"--resume: expected no settings but --search.trials, the search has its own. Received: {' '.join(others)}"
        )
    if options.chief is not None:
        check_address(Address.parse(options.chief, "--chief"), beyond_loopback=options.beyond_loopback)
        if options.worker is not None:
            raise ConfigError(f"--worker: expected none beside --chief. Received: {options.worker}")
    elif options.beyond_loopback:
        raise ConfigError("--beyond-loopback: expected --chief beside it. Received: none")
    if options.name is not None and options.worker is None:
        raise ConfigError("--name: expected --worker beside it. Received: none")
    check_spreading(options.jobs, options.threads)
    if not 10 <= options.lost_after_seconds <= 86400:
        raise ConfigError(f"--lost-after-seconds: expected 10 to 86400. Received: {options.lost_after_seconds:g}")


def _beside(arguments: Sequence[str], *known: str) -> list[str]:
    """Return the arguments that are not among the known options and their values."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for option in known:
        parser.add_argument(option, action="store_true" if option == "--beyond-loopback" else "store")
    return parser.parse_known_args(arguments)[1]


def _parser() -> jsonargparse.ArgumentParser:
    parser = config_parser("tune", "Search settings with Keras Tuner.", _EPILOG, SearchSettings)
    add = parser.add_argument
    add("--results", metavar="DIR", help="show and write what a search has come to so far")
    add("--resume", metavar="DIR", help="go on with a stopped search, with its settings")
    add("--jobs", type=int, default=1, help="folds of a trial trained at once, each in a process of its own")
    add("--threads", type=int, help="threads of each of them (default: this machine's cores shared among them)")
    add("--chief", metavar="HOST:PORT", help="give trials to workers, listening at this address")
    add(
        "--beyond-loopback", action="store_true", help="let the chief listen where other machines reach it, all trusted"
    )
    add("--lost-after-seconds", type=float, default=60.0, help="of silence, a worker's trial goes to another")
    add("--worker", metavar="HOST:PORT", help="train trials for the chief at this address")
    add("--name", help="of this worker, one of its own (default: host and process)")
    return parser


def _width() -> int:
    return max(80, shutil.get_terminal_size((140, 24)).columns)


if __name__ == "__main__":
    run_command(main)
