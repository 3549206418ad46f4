"""A run's folder: the one place that knows which file of a run lies where.

config.yaml        the resolved settings
run.json           format, labels, input shape, package versions, notes, skipped files
split.json         the fold: speakers and files of each part
epochs.csv         figures of every epoch
tensorboard/       the same for TensorBoard
checkpoints/       epoch_0001.weights.h5 ...
state.npz          everything that resuming needs, as of the last whole epoch
reports/           report.md, scores.json, predictions.csv and pictures, one folder per judged epoch
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lightsernet_tf.config import Config
from lightsernet_tf.config_identity import with_whole_paths
from lightsernet_tf.config_parser import config_yaml, load_config
from lightsernet_tf.errors import ConfigError, RunError, RunExistsError, one_line
from lightsernet_tf.files import write_csv, write_json, write_text
from lightsernet_tf.runs.folders import held, refuse_used_folder
from lightsernet_tf.versions import versions

RUN_FORMAT = 1
HISTORY_COLUMNS = (
    "epoch",
    "learning_rate",
    "seconds",
    "loss",
    "wa",
    "ua",
    "val_loss",
    "val_wa",
    "val_ua",
    "val_macro_f1",
    "val_weighted_f1",
)

HistoryRow = dict[str, float]


@dataclass(frozen=True)
class Run:
    """A run on disk. Reading something that is not there or not of this format raises ``RunError``."""

    path: Path

    @classmethod
    def open(cls, path: Path) -> Run:
        """Return the run in ``path``, after checking that it is one and of this format."""
        run = cls(Path(path).expanduser())
        found = run.about.get("format")
        if found != RUN_FORMAT:
            raise RunError(f"{run.path}: expected a run of format {RUN_FORMAT}. Received: format={found!r}")
        return run

    @classmethod
    @contextmanager
    def create(
        cls,
        path: Path,
        config: Config,
        split: dict[str, Any],
        about: dict[str, Any],
        write_state: Callable[[Path], None],
        wait_seconds: float = 0.0,
    ) -> Iterator[Run]:
        """Make a run, and hold its folder until the block ends.

        Its ``run.json`` is written last. A folder without it is no run, and may be made one again.

        Parameters
        ----------
        path
            The folder; a new one, or what a process left that was killed before there was a run.
        config
            The settings.
        split
            The fold, as `runs.fold.describe_split` returns it.
        about
            What ``run.json`` holds beside the format and the versions.
        write_state
            Writes the state before the first epoch to a path.
        wait_seconds
            As of `held`.

        Raises
        ------
        RunError
            If there is something else in the folder, or another process holds it.
        """
        run = cls(Path(path).expanduser())
        run._refuse_another()
        refuse_used_folder(run.path, ("config.yaml", "split.json", "state.npz"))
        with run.held(wait_seconds):
            run._refuse_another()  # again: the process that held the folder until now may have made a run of it
            write_text(run.path / "config.yaml", config_yaml(with_whole_paths(config)))
            write_json(run.path / "split.json", split)
            write_state(run.state_path)
            write_json(run.path / "run.json", {"format": RUN_FORMAT, **about, "versions": versions()})
            yield run

    def held(self, wait_seconds: float = 0.0) -> AbstractContextManager[None]:
        """Keep other processes from training in the folder.

        Parameters
        ----------
        wait_seconds
            How long to wait for one that does.

        Raises
        ------
        RunError
            If one does.
        """
        return held(self.path, "a run that nobody trains", wait_seconds)

    @cached_property
    def config(self) -> Config:
        """The resolved settings."""
        try:
            return load_config(self.path / "config.yaml")
        except ConfigError as error:
            raise RunError(str(error)) from error

    @cached_property
    def about(self) -> dict[str, Any]:
        """What ``run.json`` holds."""
        return self._read_json("run.json")

    @cached_property
    def split(self) -> dict[str, Any]:
        """What ``split.json`` holds."""
        return self._read_json("split.json")

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the network's outputs."""
        return tuple(self._about_list("labels"))

    @property
    def notes(self) -> list[str]:
        """What has to be known before any figure of this run; every report repeats it."""
        return self._about_list("notes")

    @property
    def state_path(self) -> Path:
        """Everything that resuming needs."""
        return self.path / "state.npz"

    @property
    def tensorboard_dir(self) -> Path:
        """Logs for TensorBoard."""
        return self.path / "tensorboard"

    def weights_path(self, epoch: int) -> Path:
        """Return where the weights of an epoch, counted from 1, are kept."""
        return self.path / "checkpoints" / f"epoch_{epoch:04d}.weights.h5"

    def kept_epochs(self) -> list[int]:
        """Return the whole epochs whose weights are kept, in order; a kill may leave weights of one more."""
        return [epoch for row in self.history() if self.weights_path(epoch := int(row["epoch"])).exists()]

    def history(self) -> list[HistoryRow]:
        """Return the figures of every whole epoch."""
        path = self.path / "epochs.csv"
        try:
            with path.open(newline="", encoding="utf-8") as stream:
                rows = [{key: float(row[key]) for key in HISTORY_COLUMNS} for row in csv.DictReader(stream)]
            if [row["epoch"] for row in rows] != list(range(1, len(rows) + 1)):
                raise RunError(f"{path}: expected the epochs 1 to {len(rows)}, each once. Received: others")
            return [{**row, "epoch": int(row["epoch"])} for row in rows]
        except FileNotFoundError:
            return []
        except KeyError as error:
            raise RunError(f"{path}: expected a column {error}. Received: none") from error
        except (OSError, ValueError, TypeError, csv.Error) as error:
            raise RunError(f"{path}: expected a table of figures. Received: {one_line(error)}") from error

    def write_history(self, history: Sequence[HistoryRow]) -> None:
        """Write the figures of every whole epoch, each with the notes of the run."""
        note = "; ".join(self.notes)
        write_csv(self.path / "epochs.csv", [{**row, "note": note} for row in history], (*HISTORY_COLUMNS, "note"))

    def report_dir(self, epoch: int) -> Path:
        """Return where the report of an epoch lies."""
        return self.path / "reports" / f"epoch_{epoch:04d}"

    def scores(self, epoch: int) -> dict[str, Any] | None:
        """Return what ``scores.json`` holds of an epoch; none where it is not judged."""
        name = f"{self.report_dir(epoch).relative_to(self.path).as_posix()}/scores.json"
        return self._read_json(name) if (self.path / name).exists() else None

    def resolve_epoch(self, wanted: str) -> int:
        """Return the kept epoch that ``best``, ``last`` or a number means.

        Raises
        ------
        RunError
            If no epoch is finished, or the one that is wanted is not kept.
        """
        history, kept = self.history(), self.kept_epochs()
        if not history:
            raise RunError(f"{self.path}: expected at least one finished epoch. Received: none")
        if wanted in ("best", "last"):
            epoch = (
                choose_epoch(history, self.config.train.choose_by) if wanted == "best" else int(history[-1]["epoch"])
            )
            if epoch not in kept:  # training always keeps both
                raise RunError(
                    f"{self.weights_path(epoch)}: expected the weights of the {wanted} epoch. Received: no such file"
                )
            return epoch
        if not wanted.isdecimal() or len(wanted) > 9 or int(wanted) not in kept:
            raise RunError(
                f"{self.path}: expected best, last or one of the kept epochs {_ranges(kept)}. Received: epoch={wanted}"
            )
        return int(wanted)

    def _refuse_another(self) -> None:
        if (self.path / "run.json").exists():
            raise RunExistsError(f"{self.path}: expected a new folder. Received: one with a run; --resume continues it")

    def _about_list(self, key: str) -> list[str]:
        found = self.about.get(key)
        if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
            raise RunError(f"{self.path / 'run.json'}: expected a list of {key}. Received: {key}={found!r}")
        return list(found)

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunError(f"{self.path}: expected a run's folder. Received: no {name} in it") from error
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{path}: expected JSON. Received: {one_line(error)}") from error
        if not isinstance(found, dict):
            raise RunError(f"{path}: expected a JSON object. Received: {type(found).__name__}")
        return found


def choose_epoch(history: Sequence[HistoryRow], choose_by: str) -> int:
    """Return the epoch with the best validation figure; of equals the one with the lowest loss, then the earliest."""

    def goodness(row: HistoryRow) -> tuple[float, float, float]:
        loss = math.inf if math.isnan(row["val_loss"]) else row["val_loss"]  # nan compares as neither more nor less
        figure = -loss if choose_by == "loss" else row[f"val_{choose_by}"]
        return -math.inf if math.isnan(figure) else figure, -loss, -row["epoch"]

    return int(max(history, key=goodness)["epoch"])


def _ranges(numbers: Sequence[int]) -> str:
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in spans) or "(none)"
