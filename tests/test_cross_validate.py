"""The command ``cross_validate``."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.cross_validate import main
from lightsernet_tf.errors import ConfigError, RunError


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
    with pytest.raises(RunError, match="with other settings"):
        main([*options, "--train.batch_size", "6"])


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "python -m lightsernet_tf.cross_validate --config configs/emodb.yaml --corpus.data_dir DIR --jobs 2" in out
    assert "--jobs" in out
