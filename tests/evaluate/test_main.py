"""The command ``evaluate``."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.errors import RunError
from lightsernet_tf.evaluate.__main__ import main
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train.fold import train

pytestmark = [pytest.mark.usefixtures("small_network"), pytest.mark.slow]


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory) -> Run:
    folder = str(tmp_path_factory.mktemp("runs of the command"))
    return train(replace(tiny_config, runs_dir=folder, run_name="ein Lauf", train=replace(tiny_config.train, epochs=2)))


@pytest.mark.parametrize(("options", "epoch"), [(["--epoch", "last"], "last"), (["--epoch", "all"], "best")])
def test_it_says_what_was_reached_and_what_to_open(run, capsys, options, epoch):
    assert main([str(run.path), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    number = run.resolve_epoch(epoch)
    assert lines[0] == f"{run.path}, epoch {number} of 2"
    if "all" in options:
        assert lines.pop(1).startswith(f"  Of 2 kept epochs, epoch {number} was chosen, with a validation UA of ")
    for part, line in zip(("training", "validation", "test"), lines[1:4], strict=True):
        assert re.match(rf"  {part} +UA \d+\.\d % \[\d+\.\d, \d+\.\d\]  WA \d+\.\d %  macro F1 \d+\.\d %", line)
    report = Path(lines[4].removeprefix("Report:   "))
    assert report == run.report_dir(number) / "report.md"
    assert report.exists()
    assert lines[5].startswith("Pictures: ")
    assert all(Path(picture).exists() for picture in lines[5].removeprefix("Pictures: ").split(", "))
    assert lines[6] == f"Curves:   tensorboard --logdir {run.path / 'tensorboard'}"
    assert (report.parent / "sweep.png").exists() or "all" not in options


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "  python -m lightsernet_tf.evaluate runs/NAME --epoch all\n" in capsys.readouterr().out


def test_without_a_run_it_says_what_is_missing(capsys):
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 2
    assert "RUN" in capsys.readouterr().err


def test_a_wrong_folder_or_epoch_is_an_error_of_its_own(run, tmp_path):
    with pytest.raises(RunError, match="expected a run's folder"):
        main([str(tmp_path)])
    with pytest.raises(RunError, match="epoch=9"):
        main([str(run.path), "--epoch", "9"])
