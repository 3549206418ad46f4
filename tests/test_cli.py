import contextlib
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lightsernet_tf
from lightsernet_tf.cli import native_messages_hidden, run_command
from lightsernet_tf.errors import AudioError, ConfigError, CorpusError, InputError, RunError

pytestmark = pytest.mark.usefixtures("logging_as_before")


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


def test_tensorflow_does_not_log_its_internals(capsys):
    assert leave(lambda arguments: logging.getLogger("tensorflow").info("Reduce to CPU:0") or 0) == 0
    assert "Reduce" not in capsys.readouterr().err


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


def native(text):
    os.write(2, text.encode())


def fail_natively(error, text="the reason\n"):
    with native_messages_hidden():
        native(text)
        raise error


def test_what_native_libraries_write_is_hidden_and_standard_error_comes_back(capfd):
    print("before", file=sys.stderr)
    with native_messages_hidden():
        native("hidden\n")
    native("after\n")
    print("at the end", file=sys.stderr)
    assert capfd.readouterr().err == "before\nafter\nat the end\n"


def test_native_messages_are_shown_after_an_unexpected_error(capfd):
    with pytest.raises(RuntimeError, match="bug"):
        fail_natively(RuntimeError("bug"))
    native("after\n")
    assert capfd.readouterr().err == "the reason\nafter\n"


@pytest.mark.parametrize("error", [InputError, AudioError, KeyboardInterrupt])
def test_native_messages_stay_hidden_after_an_error_that_says_all(capfd, error):
    with pytest.raises(error):
        fail_natively(error("expected something else"))
    native("after\n")
    assert capfd.readouterr().err == "after\n"


def test_native_messages_may_be_hidden_inside_of_where_they_are(capfd):
    with native_messages_hidden():
        native("outside\n")
        with pytest.raises(RuntimeError):
            fail_natively(RuntimeError())
        native("outside again\n")
    assert capfd.readouterr().err == ""
    with pytest.raises(RuntimeError), native_messages_hidden():
        fail_natively(RuntimeError())
    assert capfd.readouterr().err == "the reason\n"


def test_hiding_native_messages_leaves_no_descriptor_behind(capfd):
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for _ in range(3):
        with contextlib.suppress(RuntimeError):
            fail_natively(RuntimeError())
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208


def test_more_than_a_pipe_holds_is_shown_whole(capfd):
    with pytest.raises(RuntimeError):
        fail_natively(RuntimeError(), "x" * 300_000)
    assert len(capfd.readouterr().err) == 300_000


def test_without_a_standard_error_nothing_is_hidden(monkeypatch, capfd):
    monkeypatch.setattr(sys, "stderr", None)
    with native_messages_hidden():
        native("shown\n")
    assert capfd.readouterr().err == "shown\n"


def test_a_name_that_is_no_text_is_printed_escaped():
    code = "from lightsernet_tf.cli import run_command\nrun_command(lambda arguments: print(arguments[0]) or 0)\n"
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-c", code, b"\xff \xc3\xbc.wav"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\\udcff \\xfc.wav\n", "")


def test_a_closed_standard_output_is_no_error():
    code = "from lightsernet_tf.cli import run_command\nrun_command(lambda arguments: print('lost') or 0)\n"
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


HEAVY = (
    *("tensorflow", "keras", "keras_tuner", "librosa", "sklearn", "scipy", "pandas", "matplotlib"),
    *("joblib", "dask", "distributed", "ai_edge_litert", "ai_edge_quantizer"),
)
HELP = f"""
import contextlib, importlib, io, sys
for command in sys.argv[1:]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        importlib.import_module(f"lightsernet_tf.{{command}}.__main__").main(["--help"])
    assert printed.getvalue().startswith(f"usage: python -m lightsernet_tf.{{command}} "), printed.getvalue()
    print(command, *(name for name in {HEAVY} if name in sys.modules))
"""


@pytest.mark.slow
def test_the_help_of_a_command_loads_no_heavy_library():
    commands = sorted(path.parent.name for path in Path(lightsernet_tf.__file__).parent.glob("*/__main__.py"))
    done = subprocess.run([sys.executable, "-c", HELP, *commands], capture_output=True, text=True, check=False)
    assert (done.stdout.splitlines(), done.stderr) == (commands, "")
    assert len(commands) >= 9
