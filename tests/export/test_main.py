"""The command ``export``: what it prints and where, and its exit status."""

import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.cli import run_command
from lightsernet_tf.errors import ConfigError, InputError
from lightsernet_tf.export import files as exporting
from lightsernet_tf.export.__main__ import main
from lightsernet_tf.export.files import ExportError
from lightsernet_tf.export.precisions import PRECISIONS
from lightsernet_tf.predict.model_file import read_model_file
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train.fold import train

pytestmark = pytest.mark.slow

QUICK = ["--input", "features", "--precision"]


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory) -> Run:
    folder = str(tmp_path_factory.mktemp("runs of the command"))
    return train(replace(tiny_config, runs_dir=folder, run_name="ein Lauf", train=replace(tiny_config.train, epochs=1)))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def command(run, tmp_path_factory):
    """The command as anybody calls it, and its folder."""
    folder = tmp_path_factory.mktemp("ausgabe ü")
    options = ["--precision", "float32", "int8", "--output", str(folder), "--licence", "CC BY 4.0", "--force"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "PYTHONWARN"))}
    done = subprocess.run(
        [sys.executable, "-m", "lightsernet_tf.export", str(run.path), *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        cwd=Path(__file__).parents[2],
        timeout=300,
    )
    return done, folder


def test_it_prints_a_table_and_names_the_files(command):
    done, folder = command
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(
        "| file | KiB | largest difference, same input | same decision | WA Keras / file | UA Keras / file |"
    )
    for precision, row, line in zip(("float32", "int8"), lines[2:4], lines[4:], strict=True):
        path = folder / f"ein Lauf_{precision}.tflite"
        assert row.startswith(f"| {path.name} | {path.stat().st_size / 1024:.0f} | ")
        assert line == f"{path}, card {path.with_suffix('.md')}"
        assert read_model_file(path).description.document["licence"] == "CC BY 4.0"


def test_standard_error_tells_what_goes_on_and_nothing_else(command, run):
    done, _ = command
    lines = done.stderr.splitlines()
    assert lines[0].startswith("features of 36 files")
    assert lines[1:] == [
        f"{run.path}, epoch 1: converting, and asking Keras",
        "ein Lauf_float32.tflite: making and checking it",
        "ein Lauf_int8.tflite: making and checking it",
    ]


def test_what_failed_is_told_after_the_table_of_what_did_not(run, tmp_path, monkeypatch, capfd):
    prove = exporting.prove
    float16 = PRECISIONS["float16"].limit
    monkeypatch.setattr(
        exporting, "prove", lambda *given, **more: replace(prove(*given, **more), passed=more["limit"] is not float16)
    )
    with pytest.raises(SystemExit) as left:
        run_command(main, [str(run.path), *QUICK, "float16", "float32", "float32", "--output", str(tmp_path)])
    assert left.value.code == 2
    out, err = capfd.readouterr()
    assert [line.split(" | ")[0] for line in out.splitlines()[2:3]] == ["| ein Lauf_features_float32.tflite"]
    assert out.splitlines()[3:] == [
        f"{tmp_path / 'ein Lauf_features_float32'}.tflite, card {tmp_path / 'ein Lauf_features_float32'}.md"
    ]
    assert err.splitlines()[-1].startswith(
        "error: ein Lauf_features_float16.tflite: expected probabilities that differ"
    )
    assert names(tmp_path) == ["ein Lauf_features_float32.md", "ein Lauf_features_float32.tflite"]
    assert not logging.getLogger("lightsernet_tf").handlers


def test_where_nothing_passed_there_is_no_table(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(exporting, "export", lambda *given, **options: _fail())
    with pytest.raises(ExportError, match="nothing"):
        main([str(run.path), *QUICK, "float32"])
    assert capsys.readouterr().out == ""


def _fail():
    raise ExportError("nothing", [])


@pytest.mark.parametrize("name", ["a/b", "", " ", "../x", "/x"])
def test_a_name_that_is_none_is_refused(run, name):
    with pytest.raises(ConfigError, match="--name: expected the beginning of a file's name"):
        main([str(run.path), "--name", name])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--precision", "int4"], "argument --precision: invalid choice: 'int4'"),
        (["--input", "sound"], "argument --input: invalid choice: 'sound'"),
        (["--precision"], "argument --precision: expected at least one argument"),
    ],
)
def test_a_wrong_option_is_told_in_a_line(run, capsys, options, told):
    with pytest.raises(SystemExit) as left:
        main([str(run.path), *options])
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith(f"error: {told}")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--epoch", "77"], "expected best, last or one of the kept epochs 1. Received: epoch=77"),
        (
            ["--io", "int8"],
            "io int8: expected input features and precision int8. Received: waveform, float32,",
        ),
        (
            ["--cross-validation", "no such folder"],
            "scores.json: expected the figures of a cross-validation. Received: No",
        ),
        (["--data-dir", "no such folder"], "no such folder"),
        (["--output", __file__], "File exists"),
        (["--output", f"{__file__}/x"], "Not a directory"),
    ],
)
def test_what_cannot_work_leaves_with_2_and_a_line(run, capfd, options, told):
    with pytest.raises(SystemExit) as left:
        run_command(main, [str(run.path), *options])
    assert left.value.code == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")
    assert told in err.splitlines()[-1]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a run's folder"):
        main([str(tmp_path)])


def test_a_corpus_that_was_moved(run, tiny_corpus, tmp_path, capsys):
    moved = shutil.copytree(tiny_corpus, tmp_path / "moved")
    given = ["--data-dir", str(moved), "--output", str(tmp_path / "out"), "--name", "mine", "--epoch", "last"]
    assert main([str(run.path), *QUICK, "float32", *given]) == 0
    assert names(tmp_path / "out") == ["mine_features_float32.md", "mine_features_float32.tflite"]
    assert str(tmp_path).encode() not in (tmp_path / "out/mine_features_float32.tflite").read_bytes()


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "examples:\n  python -m lightsernet_tf.export runs/NAME\n" in out
    for option in (
        "--epoch",
        "--input",
        "--precision",
        "--io",
        "--output",
        "--name",
        "--cross-validation",
        "--licence",
        "--data-dir",
        "--force",
    ):
        assert option in out
