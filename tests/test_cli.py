import logging
import subprocess
import sys

import pytest

from lightsernet_tf.cli import run_command
from lightsernet_tf.errors import AudioError, ConfigError, CorpusError, InputError, RunError


def leave(main, arguments=()):
    with pytest.raises(SystemExit) as left:
        run_command(main, arguments)
    return left.value.code


@pytest.mark.parametrize("status", [0, 3])
def test_the_commands_status_is_the_exit_status(status):
    assert leave(lambda arguments: status) == status


def test_arguments_reach_the_command():
    seen = []
    assert leave(lambda arguments: seen.extend(arguments) or 0, ["--epoch", "3"]) == 0
    assert seen == ["--epoch", "3"]


def test_without_arguments_those_of_the_process_are_taken(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "--resume", "x"])
    seen = []
    with pytest.raises(SystemExit):
        run_command(lambda arguments: seen.extend(arguments) or 0)
    assert seen == ["--resume", "x"]


@pytest.mark.parametrize("kind", [InputError, ConfigError, CorpusError, AudioError, RunError])
def test_an_input_error_is_one_line_and_status_2(kind, capsys):
    def main(arguments):
        raise kind("train.epochs: expected at least 1. Received: epochs=0")

    assert leave(main) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: train.epochs: expected at least 1. Received: epochs=0\n"


def test_a_file_error_is_one_line_and_status_2(tmp_path, capsys):
    def main(arguments):
        (tmp_path / "missing" / "x.csv").write_text("")
        return 0

    assert leave(main) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'missing' / 'x.csv'}: No such file or directory\n"


def test_ctrl_c_is_status_130(capsys):
    def main(arguments):
        raise KeyboardInterrupt

    assert leave(main) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_bug_keeps_its_traceback():
    def main(arguments):
        raise ValueError("not the user's")

    with pytest.raises(ValueError, match="not the user's"):
        run_command(main, [])


def test_a_real_process_ends_with_one_line():
    code = (
        "from lightsernet_tf.cli import run_command\n"
        "from lightsernet_tf.errors import RunError\n"
        "import logging\n"
        "def main(arguments):\n"
        "    logging.getLogger('lightsernet_tf.x').info('reading %s', arguments[0])\n"
        "    raise RunError('runs/x: expected a run')\n"
        "run_command(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "runs/x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "reading runs/x\nerror: runs/x: expected a run\n"


@pytest.fixture(autouse=True)
def _logging_as_before():
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
