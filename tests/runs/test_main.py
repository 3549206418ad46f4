import csv
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from lightsernet_tf.config import Config, TrainConfig
from lightsernet_tf.errors import RunError
from lightsernet_tf.runs.__main__ import main
from lightsernet_tf.runs.run import HISTORY_COLUMNS, Run

pytestmark = pytest.mark.slow


@pytest.fixture
def runs(tmp_path):
    """Three runs whose validation UA and learning rate are in opposite order."""
    for name, ua, rate in (("low", 0.2, 1e-6), ("high", 0.9, 1e-3), ("cv/fold_00", 0.5, 1e-4)):
        config = Config(train=TrainConfig(epochs=1, learning_rate=rate))
        about = {"labels": ["a"], "notes": []}
        with Run.create(tmp_path / "runs 语" / name, config, {"fold": "hold_out"}, about, Path.touch) as run:
            run.write_history([dict.fromkeys(HISTORY_COLUMNS, 0.0) | {"epoch": 1, "val_ua": ua}])
    return tmp_path / "runs 语"


def listed(text):
    lines = text.splitlines()
    heading = next(place for place, line in enumerate(lines) if line.startswith("run "))
    return [line.split()[0] for line in lines[heading + 1 :]]


def test_the_best_on_validation_data_comes_first(runs, capsys):
    assert main([str(runs)]) == 0
    out = capsys.readouterr().out
    assert listed(out) == ["high", "cv/fold_00", "low"]
    assert "90.0" in out


def test_another_order(runs, capsys):
    assert main([str(runs), "--sort", "learning_rate"]) == 0
    assert listed(capsys.readouterr().out) == ["low", "cv/fold_00", "high"]


def test_csv_and_markdown_hold_the_same_runs_in_the_same_order(runs, tmp_path, capsys):
    files = tmp_path / "new" / "runs.csv", tmp_path / "new" / "runs.md"
    assert main([str(runs), "--sort", "name", "--csv", str(files[0]), "--markdown", str(files[1])]) == 0
    with files[0].open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["cv/fold_00", "high", "low"] == listed(capsys.readouterr().out)
    assert [float(row["validation_ua"]) for row in rows] == [0.5, 0.9, 0.2]
    assert [row["test_ua"] for row in rows] == ["", "", ""]
    lines = files[1].read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["cv/fold_00", "high", "low"]


def test_without_runs_nothing_is_written(tmp_path):
    with pytest.raises(RunError, match="expected at least one run in it or below"):
        main([str(tmp_path), "--csv", str(tmp_path / "runs.csv")])
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_does_not_exist_is_refused(runs, capsys):
    with pytest.raises(SystemExit) as left:
        main([str(runs), "--sort", "ua"])
    assert left.value.code == 2
    assert "--sort: invalid choice: 'ua'" in capsys.readouterr().err


def test_the_help_shows_an_example_and_the_keys(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    out = capsys.readouterr().out
    assert "python -m lightsernet_tf.runs runs --sort test_ua" in out
    assert "validation_macro_f1" in out


def test_a_damaged_run_is_a_warning(runs, capsys, caplog):
    (runs / "low" / "run.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert main([str(runs)]) == 0
    assert listed(capsys.readouterr().out) == ["high", "cv/fold_00"]
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["left out"]


def test_a_real_process_ends_with_one_line_and_status_2(tmp_path):
    command = [sys.executable, "-m", "lightsernet_tf.runs", str(tmp_path / "nowhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"error: {tmp_path / 'nowhere'}: expected a folder of runs. Received: nothing there\n"
