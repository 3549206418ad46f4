"""The command ``train``."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import pytest

from lightsernet_tf.config_parser import config_yaml
from lightsernet_tf.errors import ConfigError, CorpusError, RunError
from lightsernet_tf.runs.run import Run
from lightsernet_tf.train.__main__ import main

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("trained by the command")


@pytest.fixture(scope="module")
def settings(tiny_config, folder) -> str:
    path = folder / "my settings.yaml"
    path.write_text(config_yaml(replace(tiny_config, runs_dir=str(folder))), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def printed(settings, folder) -> list[str]:
    """What the command printed; its run is ``folder / "ein Lauf"``."""
    options = ["--run_name", "ein Lauf", "--train.epochs", "2", "--train.learning_rate=5e-4", "--split.fold", "1"]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["--config", settings, *options]) == 0
    return out.getvalue().splitlines()


def test_the_last_lines_say_what_was_reached_and_what_to_open(printed, folder):
    run = Run.open(folder / "ein Lauf")
    assert printed[0] == f"{run.path}, epoch {run.resolve_epoch('best')} of 2"
    assert [line.split()[0] for line in printed[1:4]] == ["training", "validation", "test"]
    assert all(" UA " in line and " % " in line for line in printed[1:4])
    assert (
        Path(printed[-3].removeprefix("Report:   ")).read_text(encoding="utf-8").startswith("# Light-SERNet on folders")
    )
    for name in printed[-2].removeprefix("Pictures: ").split(", "):
        assert Path(name).exists()
    assert list(Path(printed[-1].removeprefix("Curves:   tensorboard --logdir ")).rglob("events*"))


def test_options_override_the_file(printed, folder):
    config = Run.open(folder / "ein Lauf").config
    assert (config.train.epochs, config.train.learning_rate, config.split.fold) == (2, 5e-4, 1)
    assert (config.train.batch_size, config.audio.duration_seconds) == (5, 0.3)


def test_resuming_a_finished_run_says_the_same(printed, folder, capsys):
    state = Run.open(folder / "ein Lauf").state_path
    before = state.stat().st_mtime_ns
    assert main(["--resume", str(folder / "ein Lauf")]) == 0
    assert capsys.readouterr().out.splitlines() == printed
    assert state.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        (["--resume", "RUN", "--train.epochs", "9"], "--train.epochs 9"),
        (["--resume=RUN", "--train.epochs=9"], "--train.epochs=9"),
        (["--train.seed", "1", "--resume", "RUN"], "--train.seed 1"),
    ],
)
def test_resume_takes_no_other_option(printed, folder, arguments, others):
    arguments = [argument.replace("RUN", str(folder / "ein Lauf")) for argument in arguments]
    with pytest.raises(ConfigError) as caught:
        main(arguments)
    assert str(caught.value).endswith(f"the run has its settings. Received: {others}")


def test_the_same_name_is_not_trained_over(printed, settings, folder):
    before = Run.open(folder / "ein Lauf").history()
    with pytest.raises(RunError, match=r"ein Lauf: expected a new folder\. Received: one with a run; --resume"):
        main(["--config", settings, "--run_name", "ein Lauf"])
    assert Run.open(folder / "ein Lauf").history() == before


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "python -m lightsernet_tf.train --resume runs/NAME" in " ".join(out.split())
    assert "--train.learning_rate" in out


def test_bad_input_makes_no_folder(settings, folder, tmp_path):
    with pytest.raises(CorpusError, match="nowhere"):
        main(["--config", settings, "--corpus.data_dir", str(tmp_path / "nowhere"), "--run_name", "nothing"])
    with pytest.raises(ConfigError, match=r"train\.epochs"):
        main(["--config", settings, "--train.epochs", "0", "--run_name", "nothing"])
    with pytest.raises(ConfigError, match=r"split\.fold: expected 0 to 2"):
        main(["--config", settings, "--split.fold", "3", "--run_name", "nothing"])
    with pytest.raises(RunError, match="expected a run's folder"):
        main(["--resume", str(tmp_path)])
    assert not (folder / "nothing").exists()
    assert not list(tmp_path.iterdir())
