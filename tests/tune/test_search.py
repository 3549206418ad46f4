"""Searches as real processes: killed and gone on with, and spread over a chief and its workers."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.runs.run import Run
from lightsernet_tf.tune.settings import SearchConfig, SearchSettings
from lightsernet_tf.tune.trial import Trial, read_trials

pytestmark = pytest.mark.slow

SPACE = {"train.loss": ["cross_entropy", "focal"], "train.learning_rate": {"min": 1e-4, "max": 1e-2, "scale": "log"}}
PATIENCE_SECONDS = 240


@pytest.fixture
def settings(tiny_config, tmp_path) -> SearchSettings:
    shared = {key: getattr(tiny_config, key) for key in tiny_config.to_dict()}
    shared["train"] = replace(tiny_config.train, epochs=15)
    search = SearchConfig(space=SPACE, strategy="random", trials=3)
    return SearchSettings(**{**shared, "runs_dir": str(tmp_path), "run_name": "search"}, search=search)


@contextmanager
def tune(tmp_path: Path, *options: str) -> Iterator[subprocess.Popen]:
    with (tmp_path / f"{len(list(tmp_path.glob('*.log')))}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lightsernet_tf.tune", *options], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until(happens: Callable[[], bool], *processes: subprocess.Popen) -> None:
    started = time.monotonic()
    while not happens():
        assert time.monotonic() - started < PATIENCE_SECONDS
        assert all(process.poll() is None for process in processes), "a process ended early"
        time.sleep(0.1)


def ends_well(process: subprocess.Popen, tmp_path: Path) -> None:
    said = "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert process.wait(PATIENCE_SECONDS) == 0, said


def trained_epochs(path: Path, trial: str) -> int:
    return sum(len(Run(run.parent).history()) for run in path.glob(f"trial_{trial}/*/run.json"))


def assert_each_done_once(path: Path, trials: int) -> list[Trial]:
    oracle = json.loads((path / "oracle.json").read_text())
    assert sorted(oracle["end_order"]) == sorted(oracle["start_order"]) == [str(number) for number in range(trials)]
    assert oracle["ongoing_trials"] == {}
    assert oracle["retry_queue"] == []
    found = read_trials(path)
    assert [trial.status for trial in found] == ["completed"] * trials
    assert [trial.epochs_done for trial in found] == [15] * trials
    for trial in found:
        recorded = json.loads((path / f"trial_{trial.name}" / "trial.json").read_text())
        assert (recorded["status"], recorded["score"]) == ("COMPLETED", trial.objective)
    return found


def test_a_killed_search_goes_on_and_repeats_no_finished_trial(settings, tmp_path):
    path = tmp_path / "search"
    (tmp_path / "tune.yaml").write_text(config_yaml(settings))
    with tune(tmp_path, "--config", str(tmp_path / "tune.yaml")) as process:
        until(lambda: trained_epochs(path, "1") >= 2, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    with Run(next(path.glob("trial_1/*/run.json")).parent).held(wait_seconds=5):  # nobody trains on
        epochs = trained_epochs(path, "1")
        assert 2 <= epochs < 15
    state = next(path.glob("trial_0/*/state.npz"))
    before = state.stat().st_mtime_ns

    shown = subprocess.run(
        [sys.executable, "-m", "lightsernet_tf.tune", "--results", str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "1 completed, 1 running, 0 failed" in shown.stdout
    assert f"epoch {epochs}/15" in shown.stdout

    seconds = [row["seconds"] for row in Run(next(path.glob("trial_1/*/run.json")).parent).history()]
    with tune(tmp_path, "--resume", str(path)) as process:
        ends_well(process, tmp_path)
    assert state.stat().st_mtime_ns == before
    found = assert_each_done_once(path, 3)
    history = Run(next(path.glob("trial_1/*/run.json")).parent).history()
    assert [row["seconds"] for row in history[:epochs]] == seconds
    assert len({trial.values["train.learning_rate"] for trial in found}) == 3


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_a_chief_and_two_workers_do_every_trial_once_though_one_of_them_and_the_chief_are_killed(settings, tmp_path):
    settings = replace(settings, search=replace(settings.search, trials=4))
    path, address = tmp_path / "search", free_address()
    (tmp_path / "tune.yaml").write_text(config_yaml(settings))
    config = ("--config", str(tmp_path / "tune.yaml"), "--threads", "1")
    with (
        tune(tmp_path, *config, "--chief", address, "--lost-after-seconds", "10") as chief,
        tune(tmp_path, *config, "--worker", address, "--name", "one") as one,
        tune(tmp_path, *config, "--worker", address, "--name", "two") as two,
    ):

        def of_worker_one() -> str | None:
            try:
                return json.loads((path / "oracle.json").read_text())["ongoing_trials"].get("one")
            except FileNotFoundError:
                return None

        until(lambda: (name := of_worker_one()) is not None and trained_epochs(path, name) >= 1, chief, one, two)
        lost = of_worker_one()
        one.send_signal(signal.SIGKILL)
        one.wait()
        seconds = [row["seconds"] for row in Run(next(path.glob(f"trial_{lost}/*/run.json")).parent).history()]
        until(lambda: "was silent" in (tmp_path / "0.log").read_text(), chief, two)
        until(lambda: trained_epochs(path, lost) > len(seconds), chief, two)
        chief.send_signal(signal.SIGKILL)
        chief.wait()
        with tune(tmp_path, "--resume", str(path), "--chief", address) as chief_again:
            ends_well(two, tmp_path)
            ends_well(chief_again, tmp_path)
    assert_each_done_once(path, 4)
    history = Run(next(path.glob(f"trial_{lost}/*/run.json")).parent).history()
    assert [row["seconds"] for row in history[: len(seconds)]] == seconds  # gone on with, not begun again
    said = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert f"worker one was silent for 10 s: trial {lost} goes to the next that asks" in said
    assert f"chief: worker two trains trial {lost}" in said
    assert "is completed, validation UA" in said
    assert "4 trials: 4 completed" in said
