"""The command ``cross_validate``."""

import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from lightsernet_tf.config import SplitConfig
from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.cross_validate import folds as cross_validation
from lightsernet_tf.cross_validate.__main__ import main
from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.parallel import dask_cluster as dask_cluster_module
from lightsernet_tf.runs.run import Run
from tests.cluster import Process, dask_cluster, eventually, is_alive, started

pytestmark = pytest.mark.slow

EPOCHS = 8  # long enough to be killed in the middle


@pytest.mark.usefixtures("small_network")
def test_it_says_what_was_reached_and_what_to_open(tiny_config, tmp_path, capsys):
    settings = tmp_path / "my settings.yaml"
    settings.write_text(config_yaml(replace(tiny_config, runs_dir=str(tmp_path))), encoding="utf-8")
    options = ["--config", str(settings), "--split.protocol", "stratified_hold_out", "--run_name", "alle Folds"]
    options += ["--train.epochs", "1"]
    with pytest.raises(ConfigError, match=r"--jobs: expected at least 1\. Received: 0"):
        main([*options, "--jobs", "0"])
    assert not (tmp_path / "alle Folds").exists()

    assert main(options) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == f"{tmp_path / 'alle Folds'}: 8 test utterances of 3 speakers"
    assert lines[1].startswith("  speaker-dependent: 3 of the 3 test speakers")
    for name, line in zip(("WA", "UA", "macro F1", "weighted F1"), lines[2:6], strict=True):
        assert re.fullmatch(rf"  {name} +\d+\.\d % \[\d+\.\d, \d+\.\d\]", line)
    assert lines[6].startswith("  UA by speaker: ")
    assert Path(lines[7].removeprefix("Report:   ")).read_text(encoding="utf-8").startswith("# Light-SERNet on folders")
    assert Path(lines[8].removeprefix("Picture:  ")).exists()

    assert main([*options, "--jobs", "1"]) == 0  # the same call goes on; here nothing is left to do
    assert capsys.readouterr().out == printed
    with pytest.raises(
        RunError, match=r"expected .* a cross-validation with train\.batch_size=6\. Received: one with "
    ):
        main([*options, "--train.batch_size", "6"])


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "python -m lightsernet_tf.cross_validate --config configs/emodb.yaml --corpus.data_dir DIR --jobs 2" in out
    assert "--jobs" in out
    for option in ("--threads", "--scheduler", "--seeds", "--nthreads 1"):
        assert option in out


def test_options_say_how_the_folds_are_spread(monkeypatch, capsys):
    given = []

    class Done:
        def summary(self) -> str:
            return "what was reached"

    monkeypatch.setattr(cross_validation, "cross_validate", lambda config, **how: given.append(how) or Done())
    assert main([]) == 0
    assert main(["--jobs", "3", "--threads", "2", "--seeds", "3", "4"]) == 0
    assert main(["--scheduler", "tcp://HOST:8786", "--seeds", "5"]) == 0
    assert capsys.readouterr().out.splitlines() == ["what was reached"] * 3
    assert given == [
        {"jobs": 1, "threads": None, "scheduler": None, "seeds": []},
        {"jobs": 3, "threads": 2, "scheduler": None, "seeds": [3, 4]},
        {"jobs": 1, "threads": None, "scheduler": "tcp://HOST:8786", "seeds": [5]},
    ]
    with pytest.raises(ConfigError, match=r"--seeds: expected whole numbers\. Received: 3, x"):
        main(["--seeds", "3", "x"])


@pytest.fixture(scope="module")
def command(tiny_config, tmp_path_factory) -> list[str]:
    """The command, but for where it leaves its folder and how it spreads the folds."""
    settings = tmp_path_factory.mktemp("settings") / "my settings.yaml"
    train = replace(tiny_config.train, epochs=EPOCHS)
    split = SplitConfig(protocol="random_hold_outs", folds=2, test_fraction=0.4)
    config = replace(tiny_config, train=train, split=split, run_name="Läufe")
    settings.write_text(config_yaml(config), encoding="utf-8")
    return ["-m", "lightsernet_tf.cross_validate", "--config", str(settings)]


@pytest.fixture(scope="module")
def one_by_one(command, tmp_path_factory) -> Path:
    """The cross-validation in a single process, with one thread."""
    runs_dir = tmp_path_factory.mktemp("one by one")
    subprocess.run([sys.executable, *command, "--runs_dir", str(runs_dir), "--threads", "1"], check=True)
    return runs_dir / "Läufe"


def fold_in_the_middle(log: str) -> str | None:
    """Return a fold whose second epoch is logged; the state of the first is kept by then."""
    found = re.search(rf"^(hold_out_.*): epoch +2/{EPOCHS} ", log, re.MULTILINE)
    return found and found[1]


def logged_epochs(log: str, fold: str) -> list[int]:
    return [int(epoch) for epoch in re.findall(rf"^{re.escape(fold)}: epoch +(\d+)/{EPOCHS} ", log, re.MULTILINE)]


def assert_the_same_to_the_last_digit(ours: Path, theirs: Path) -> None:
    for name in ("report.md", "scores.json", "predictions.csv", "confusion.png"):
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    folds = sorted(path.parent.name for path in theirs.glob("*/run.json"))
    assert len(folds) == 2
    for fold in folds:
        histories = [Run.open(path / fold).history() for path in (ours, theirs)]
        assert len(histories[0]) == EPOCHS
        for row, other in zip(*histories, strict=True):
            assert {**row, "seconds": 0} == {**other, "seconds": 0}
        assert Run.open(ours / fold).about == Run.open(theirs / fold).about


@pytest.mark.usefixtures("logging_as_before")
def test_a_cluster_that_loses_a_worker_gives_the_report_of_one_machine(one_by_one, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster").mkdir()
    with dask_cluster(tmp_path / "cluster", 2) as cluster, ThreadPoolExecutor(1) as beside:

        def kill_a_worker() -> tuple[Process, str]:
            victim, fold = eventually(
                lambda: next(((one, fold) for one in cluster.workers if (fold := fold_in_the_middle(one.said()))), None)
            )
            victim.popen.send_signal(signal.SIGKILL)
            victim.popen.wait()
            return victim, fold

        killed = beside.submit(kill_a_worker)
        assert main([*command[2:], "--runs_dir", "relative", "--scheduler", cluster.address]) == 0
        victim, fold = killed.result()
        trained = logged_epochs(victim.said(), fold)
        assert trained[-1] < EPOCHS
        survivor = next(one for one in cluster.workers if one is not victim)
        assert survivor.popen.poll() is None
        went_on = logged_epochs(survivor.said(), fold)
        assert went_on == list(range(went_on[0], EPOCHS + 1))
        assert went_on[0] in (trained[-1], trained[-1] + 1)  # whether its line was written before it was killed
    assert_the_same_to_the_last_digit(tmp_path / "relative" / "Läufe", one_by_one)


def test_a_killed_command_leaves_nobody_training_and_goes_on(one_by_one, command, tmp_path):
    arguments = [*command, "--runs_dir", str(tmp_path), "--jobs", "2", "--threads", "1"]
    with started(tmp_path / "log", *arguments) as killed:
        fold = eventually(lambda: fold_in_the_middle(killed.said()))
        children = [child.pid for child in psutil.Process(killed.popen.pid).children(recursive=True)]
        assert len(children) >= 2
        killed.popen.send_signal(signal.SIGKILL)
        killed.popen.wait()
    eventually(lambda: not any(is_alive(child) for child in children), 5)
    trained = logged_epochs(killed.said(), fold)
    assert trained[-1] < EPOCHS
    assert len(Run.open(tmp_path / "Läufe" / fold).history()) < EPOCHS
    with started(tmp_path / "again.log", *arguments) as again:
        assert again.popen.wait(240) == 0, again.said()
    assert logged_epochs(again.said(), fold)[0] > 1
    assert_the_same_to_the_last_digit(tmp_path / "Läufe", one_by_one)


def test_a_scheduler_that_is_not_there_is_told_before_anything_is_read(command, tmp_path, monkeypatch):
    monkeypatch.setattr(dask_cluster_module, "_CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(cross_validation, "prepare", lambda config: pytest.fail("the corpus was read"))
    message = r"--scheduler: expected .* Received: 'tcp://127\.0\.0\.1:1' \(Timed out"
    with pytest.raises(ConfigError, match=message):
        main([*command[2:], "--runs_dir", str(tmp_path), "--scheduler", "tcp://127.0.0.1:1"])
    assert list(tmp_path.iterdir()) == []
