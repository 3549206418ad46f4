import csv
import errno
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from lightsernet_tf.files import PARTIAL_PREFIX, locked, write_bytes, write_csv, write_json, write_text, written_beside


def test_text_lands_whole_in_a_new_folder_with_a_name_of_any_script(tmp_path):
    path = tmp_path / "läufe 1" / "报告.md"
    write_text(path, "Ärger 愤怒\n")
    assert path.read_bytes() == "Ärger 愤怒\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_json_is_what_was_given(tmp_path):
    value = {"ua": 0.1 + 0.2, "labels": ["愤怒", None], "epoch": 7}
    write_json(tmp_path / "scores.json", value)
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8")) == value
    assert "愤怒" in (tmp_path / "scores.json").read_text(encoding="utf-8")


def test_csv_takes_its_columns_from_the_rows_and_leaves_gaps_empty(tmp_path):
    write_csv(tmp_path / "a.csv", [{"epoch": 1, "loss": 0.1}, {"epoch": 2, "note": 'a "b", c', "loss": None}])
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [{"epoch": "1", "loss": "0.1", "note": ""}, {"epoch": "2", "loss": "", "note": 'a "b", c'}]


def test_csv_without_rows_has_the_columns_that_are_named(tmp_path):
    write_csv(tmp_path / "a.csv", [], ["epoch", "loss"])
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").split() == ["epoch,loss"]


def test_csv_refuses_a_column_that_was_not_named(tmp_path):
    with pytest.raises(ValueError, match="note"):
        write_csv(tmp_path / "a.csv", [{"epoch": 1, "note": 2}], ["epoch"])
    assert not list(tmp_path.iterdir())


def test_the_path_beside_is_in_the_same_folder_and_ends_alike(tmp_path):
    with written_beside(tmp_path / "epoch_0001.weights.h5") as beside:
        assert beside.parent == tmp_path
        assert beside.name.endswith("epoch_0001.weights.h5")
        assert beside.name.startswith(PARTIAL_PREFIX)
        beside.write_bytes(b"x")


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "state.json"
    write_text(path, "old")

    def write_half():
        with written_beside(path) as beside:
            beside.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_the_error_that_the_system_gives(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "with_name", lambda path, name: Path("/dev/full"))
    monkeypatch.setattr(Path, "unlink", lambda path, missing_ok: None)
    with pytest.raises(OSError, match="No space left") as caught:
        write_bytes(tmp_path / "a", b"x" * 10)
    assert caught.value.errno == errno.ENOSPC


def test_a_process_killed_while_it_writes_leaves_the_old_file(tmp_path):
    path = tmp_path / "state.json"
    write_text(path, "old")
    code = (
        "import os, pathlib, signal, sys\n"
        "from lightsernet_tf.files import written_beside\n"
        "with written_beside(pathlib.Path(sys.argv[1])) as beside:\n"
        "    beside.write_text('ne')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert all(left == path or left.name.startswith(PARTIAL_PREFIX) for left in tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")
def test_a_lock_is_waited_for_as_long_as_wanted(tmp_path):
    held, free = threading.Event(), threading.Event()

    def hold():
        with locked(tmp_path / "lock"):
            held.set()
            free.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    for wait_seconds in (0.0, 0.4):
        began = time.monotonic()
        with pytest.raises(BlockingIOError), locked(tmp_path / "lock", wait_seconds):
            pass
        assert time.monotonic() - began >= wait_seconds
    threading.Timer(0.3, free.set).start()
    with locked(tmp_path / "lock", 60):
        assert free.is_set()
    holder.join()
