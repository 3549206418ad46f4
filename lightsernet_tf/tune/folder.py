"""The folder of a search, and what each file in it holds.

search.yaml        the settings that trials share, and what is searched
oracle.json        Keras Tuner's state
trial_NN/          one trial each, see `tune.trial`
results.csv ...    its results so far, see `tune.results`
"""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from lightsernet_tf.config_identity import PLACES, differing_keys, with_whole_paths
from lightsernet_tf.config_parser import config_yaml, load_config
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.files import write_text
from lightsernet_tf.runs.folders import held, refuse_used_folder
from lightsernet_tf.tune.settings import SearchSettings
from lightsernet_tf.tune.space import SearchSpace
from lightsernet_tf.tune.space_reader import make_space
from lightsernet_tf.tune.trial import PREFIX

SETTINGS = "search.yaml"
_FORBIDDEN = {
    "runs_dir": "the search's folder holds them",
    "run_name": "the search names them",
    "split.fold": "search.folds says how many are trained, from the first",
}
_HYPERBAND_FORBIDDEN = {"train.epochs": "Hyperband itself says how many epochs a trial trains"}
_SHARED_FOLDER_SECONDS = 30

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Search:
    """A search on disk.

    Parameters
    ----------
    path
        Its folder.
    settings
        What its trials share, and what is searched.
    """

    path: Path
    settings: SearchSettings

    @classmethod
    def begin(cls, settings: SearchSettings) -> Search:
        """Return a new search, once it is known that its space can be searched and that its folder is free.

        Raises
        ------
        ConfigError
            If a key of the space does not exist, or a value does not fit.
        RunError
            If there is something in the folder.
        """
        search = cls(search_path(settings), settings)
        _ = search.space  # raises what is wrong with it, whatever is in the folder
        if (search.path / SETTINGS).exists():
            raise RunError(
                f"{search.path}: expected a new folder. Received: one with a search; go on with it by --resume "
                f"'{search.path}', or choose another --run_name"
            )
        refuse_used_folder(search.path)
        for parameter in search.space.parameters:
            _logger.info("searching %s", parameter)
        return search

    def write(self) -> None:
        """Write the settings, which makes the folder one of a search."""
        write_text(self.path / SETTINGS, config_yaml(with_whole_paths(self.settings)))

    def has_begun(self) -> bool:
        """Return whether there is a trial."""
        return (self.path / SETTINGS).exists() and any(self.path.glob(f"{PREFIX}*/outcome.json"))

    @classmethod
    def open(cls, path: Path) -> Search:
        """Return the search in a folder.

        Raises
        ------
        RunError
            If there is none, or its settings are damaged.
        """
        path = Path(path).expanduser()
        if not (path / SETTINGS).is_file():
            raise RunError(f"{path}: expected the folder of a search. Received: no {SETTINGS} in it")
        try:
            settings = load_config(path / SETTINGS, SearchSettings)
        except ConfigError as error:
            raise RunError(str(error)) from error
        assert isinstance(settings, SearchSettings)
        if not settings.search.space:
            raise RunError(f"{path / SETTINGS}: expected the settings of a search. Received: none under search.space")
        return cls(path, settings)

    @classmethod
    def join(cls, settings: SearchSettings) -> Search:
        """Return the search of these settings that a chief began in a folder that it shares with this machine.

        Raises
        ------
        RunError
            If there is none after some time, or one of other settings.
        """
        path, until = search_path(settings), time.monotonic() + _SHARED_FOLDER_SECONDS
        while not (path / SETTINGS).exists():
            if time.monotonic() > until:
                raise RunError(
                    f"{path}: expected the folder of the chief's search, on a disk that both share. "
                    f"Received: no {SETTINGS} in it within {_SHARED_FOLDER_SECONDS} s"
                )
            time.sleep(0.5)
        found = cls.open(path)
        ignored = [*PLACES, "search.trials"]
        if found.settings.train.initial_weights and settings.train.initial_weights:
            ignored.append("train.initial_weights")  # its path may differ on this machine
        for key, (chief, worker) in differing_keys(found.settings, settings, ignore=ignored).items():
            raise RunError(
                f"{path / SETTINGS}: expected the chief's search to have this worker's {key}={worker!r}. "
                f"Received: {key}={chief!r}"
            )
        return cls(path, settings)

    def with_trials(self, trials: int | None) -> Search:
        """Return the search with another number of trials; none: with its own.

        Raises
        ------
        ConfigError
            If the strategy counts them itself.
        """
        if trials is None:
            return self
        return replace(self, settings=replace(self.settings, search=replace(self.settings.search, trials=trials)))

    @cached_property
    def space(self) -> SearchSpace:
        """What is searched; whatever is wrong with it is raised when it is first asked for."""
        hyperband = self.settings.search.strategy == "hyperband"
        forbidden = _FORBIDDEN | (_HYPERBAND_FORBIDDEN if hyperband else {})
        return make_space(self.settings.search.space, self.settings, forbidden)

    def held(self) -> AbstractContextManager[None]:
        """Keep other processes from choosing trials in the folder.

        Raises
        ------
        RunError
            If one does.
        """
        return held(self.path, "a search that nobody runs")


def search_path(settings: SearchSettings) -> Path:
    """Return the folder of a search, the same for the same settings."""
    name = settings.run_name or f"{settings.corpus.name}_{settings.search.strategy}_search"
    return Path(settings.runs_dir).expanduser().absolute() / name
