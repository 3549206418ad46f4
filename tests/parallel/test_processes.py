"""Independent tasks in processes of their own: their threads, their names, their errors, and orphans."""

import functools
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import joblib
import pytest

from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.parallel import processes as parallel
from lightsernet_tf.parallel.processes import check_spreading, run_trainings, set_threads, set_up_process
from tests.cluster import WITH_TESTS, dask_cluster, eventually, is_alive, started

pytestmark = [pytest.mark.usefixtures("logging_as_before"), pytest.mark.slow]


def tell(path: Path) -> None:
    """Stand in for a training: write down where it runs, and with how many threads."""
    import tensorflow as tf

    tf.constant(0)
    intra = tf.config.threading.get_intra_op_parallelism_threads()
    inter = tf.config.threading.get_inter_op_parallelism_threads()
    logging.getLogger("lightsernet_tf.x").info("100 %% of %s", path.name)
    path.write_text(f"{os.getpid()} {intra} {inter}")


def told(path: Path) -> list[int]:
    return [int(number) for number in path.read_text().split()]


def refuse(path: Path) -> None:
    raise RunError(f"{path.name}: expected a file of weights")


def die_after(path: Path) -> None:
    eventually(path.exists)
    os.kill(os.getpid(), signal.SIGKILL)


def tell_and_beat(folder: Path) -> None:
    """Write down how this process is set up, then show life until killed."""
    import tensorflow as tf

    tf.constant(0)
    set_up_process(3)
    try:
        set_threads(4)
    except RunError as error:
        (folder / "refused").write_text(str(error))
    (folder / "watchers").write_text(str([thread.name for thread in threading.enumerate()].count(parallel._WATCH)))
    tell(folder / "told")
    while True:
        (folder / "beat").touch()
        time.sleep(0.05)


WRONG = {
    "no jobs": ((0, None, None), r"--jobs: expected at least 1\. Received: 0"),
    "no threads": ((2, 0, None), r"--threads: expected at least 1\. Received: 0"),
    "both": ((2, None, "tcp://127.0.0.1:1"), r"--jobs: expected none beside --scheduler.*Received: 2"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_spread_is_refused(case):
    arguments, message = WRONG[case]
    with pytest.raises(ConfigError, match=message):
        check_spreading(*arguments)


def test_a_cluster_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.delitem(sys.modules, "lightsernet_tf.parallel.dask_cluster", raising=False)
    monkeypatch.delattr("lightsernet_tf.parallel.dask_cluster", raising=False)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"--scheduler: .*pip install 'lightsernet-tf\[cluster\]'\)\. Received: "):
        check_spreading(1, None, "tcp://127.0.0.1:1")


def test_threads_come_too_late_where_tensorflow_runs():
    import tensorflow as tf

    tf.constant(0)
    with pytest.raises(RunError, match=rf"--threads: .* to give it 13\. Received: process {os.getpid()} on .* anew"):
        set_threads(13)


def test_one_job_is_this_process_one_task_after_the_other(tmp_path):
    done = []
    run_trainings({name: functools.partial(done.append, name) for name in "cab"}, tmp_path)
    assert done == ["c", "a", "b"]


def test_two_jobs_are_two_processes_with_their_share_of_the_cores(tmp_path, capfd, caplog):
    paths = [tmp_path / name for name in ("a", "b c", "ü")]
    with caplog.at_level(logging.INFO):
        run_trainings({f"100%d {path.name}": functools.partial(tell, path) for path in paths}, tmp_path, jobs=2)
    threads = max(1, joblib.cpu_count() // 2)
    assert {tuple(told(path)[1:]) for path in paths} == {(threads, threads)}
    processes = {told(path)[0] for path in paths}
    assert os.getpid() not in processes
    assert len(processes) <= 2
    lines = capfd.readouterr().err.splitlines()
    for path in paths:
        assert f"100%d {path.name}: 100 % of {path.name}" in lines
    assert sorted(message.split(" is done, ")[1] for message in caplog.messages) == ["1 of 3", "2 of 3", "3 of 3"]

    tasks = {name: functools.partial(refuse, Path(f"{name}.weights.h5")) for name in ("nowhere", "gone")}
    with pytest.raises(RunError, match=r"^(nowhere|gone)\.weights\.h5: expected a file of weights$"):
        run_trainings(tasks, tmp_path, jobs=2)

    tasks = {"a": functools.partial(tell, tmp_path / "a"), "killed": functools.partial(die_after, tmp_path / "a")}
    (tmp_path / "a").unlink()
    message = r"^runs: expected 2 processes to train the folds\. Received: one that was killed.*--jobs"
    with pytest.raises(RunError, match=message):
        run_trainings(tasks, Path("runs"), jobs=2, threads=threads + 2)
    assert told(tmp_path / "a")[1:] == [threads + 2, threads + 2]
    assert told(tmp_path / "a")[0] not in processes  # where TensorFlow runs with the other number


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process does not hear of it")
def test_a_process_that_only_trains_is_set_up_once_and_ends_with_the_one_that_started_it(tmp_path):
    code = (
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from pathlib import Path\n"
        "from lightsernet_tf.parallel.processes import set_up_process\n"
        "from tests.parallel.test_processes import tell_and_beat\n"
        "if __name__ == '__main__':\n"
        "    pool = ProcessPoolExecutor(1, get_context('spawn'), initializer=set_up_process, initargs=(3,))\n"
        f"    pool.submit(tell_and_beat, Path({str(tmp_path)!r})).result()\n"
    )
    (tmp_path / "main.py").write_text(code)
    with started(tmp_path / "log", str(tmp_path / "main.py"), env=WITH_TESTS) as parent:
        eventually((tmp_path / "beat").exists)
        orphan, *threads = told(tmp_path / "told")
        assert threads == [3, 3]
        assert (tmp_path / "watchers").read_text() == "1"
        assert f"to give it 4. Received: process {orphan} on " in (tmp_path / "refused").read_text()
        time.sleep(2 * parallel._WATCH_SECONDS)
        assert is_alive(orphan)  # as long as its parent is
        parent.popen.kill()
        parent.popen.wait()
        try:
            eventually(lambda: not is_alive(orphan), 5)
        finally:
            if is_alive(orphan):
                os.kill(orphan, signal.SIGKILL)


def test_a_cluster_trains_with_one_thread_or_as_many_as_given(tmp_path):
    with dask_cluster(tmp_path, env=WITH_TESTS) as cluster:
        pid = cluster.workers[0].popen.pid
        tasks = {name: functools.partial(tell, tmp_path / name) for name in ("a", "b")}
        run_trainings(tasks, tmp_path, scheduler=cluster.address)
        assert [told(tmp_path / name) for name in "ab"] == [[pid, 1, 1]] * 2
        assert "b: 100 % of b" in cluster.workers[0].said()
        message = rf"--threads: .* to give it 2\. Received: process {pid} on .*, where it runs with 1; start"
        with pytest.raises(RunError, match=message):
            run_trainings(tasks, tmp_path, scheduler=cluster.address, threads=2)
