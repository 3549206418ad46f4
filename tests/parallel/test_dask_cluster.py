"""A real Dask cluster: reached and checked, or refused in one line; and the tasks of workers that die."""

import importlib.metadata
import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest

from lightsernet_tf.errors import ConfigError, CorpusError, RunError
from lightsernet_tf.parallel import dask_cluster as ours
from lightsernet_tf.parallel.dask_cluster import check_scheduler, cluster_backend
from tests.cluster import WITH_TESTS, dask_cluster, eventually, started

pytestmark = pytest.mark.slow


def process_id() -> int:
    return os.getpid()


def fail() -> None:
    raise CorpusError("expected something else")


def die(path: Path) -> None:
    with path.open("a") as stream:
        stream.write("x")
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(path: Path) -> int:
    if not path.exists():
        die(path)
    return os.getpid()


def wait(path: Path) -> None:
    path.touch()
    signal.pause()


def run(address: str, *calls: tuple[Callable, ...]) -> list:
    with cluster_backend(address, Path("runs")) as backend:
        return joblib.Parallel(backend=backend, batch_size=1)(joblib.delayed(call)(*given) for call, *given in calls)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One worker only: joblib takes a single core for a reason to stay in the calling process."""
    with dask_cluster(tmp_path_factory.mktemp("cluster"), env=WITH_TESTS) as running:
        yield running


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("", "missing port"),
        ("nonsense", "missing port"),
        ("tcp://127.0.0.1:port", "invalid literal"),
        ("foo://127.0.0.1:8786", "unknown address scheme 'foo'"),
        ("tls://127.0.0.1:8786", "ssl_context"),
        ("tcp://127.0.0.1:1", "Timed out"),
    ],
)
def test_an_address_that_is_none_is_refused(address, reason, monkeypatch):
    monkeypatch.setattr(ours, "_CONNECT_SECONDS", 0.5)
    message = rf"--scheduler: expected the address of a Dask scheduler .*Received: '{address}' \(.*{reason}"
    with pytest.raises(ConfigError, match=message):
        check_scheduler(address)


def test_somebody_else_who_answers_is_refused(monkeypatch):
    monkeypatch.setattr(ours, "_CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ConfigError, match=r"does not speak Dask's protocol"):
            check_scheduler(address)


def test_tasks_run_on_the_worker_and_it_stays(cluster, caplog):
    check_scheduler(cluster.address)
    with caplog.at_level(logging.INFO):
        assert run(cluster.address, (process_id,), (process_id,)) == [cluster.workers[0].popen.pid] * 2
    assert caplog.messages == [f"training on 1 worker of {cluster.address}"]
    assert cluster.workers[0].popen.poll() is None


def test_an_error_on_a_worker_keeps_its_words(cluster):
    with pytest.raises(CorpusError, match=r"^expected something else$"):
        run(cluster.address, (process_id,), (fail,))


def test_a_worker_of_other_versions_is_refused(cluster, monkeypatch):
    found = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.15.1" if name == "tensorflow" else found(name))
    message = rf"Received: tcp://127\.0\.0\.1:\d+ with tensorflow {found('tensorflow')} \(2\.15\.1 here\)$"
    with pytest.raises(ConfigError, match=message):
        run(cluster.address, (process_id,))


def test_a_worker_without_the_package_is_refused(tmp_path):
    (tmp_path / "lightsernet_tf.py").touch()  # stands before the package, and has no modules in it
    with (
        dask_cluster(tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}) as running,
        pytest.raises(ConfigError, match=r"workers that have lightsernet-tf\. Received: tcp://.*No module named"),
    ):
        run(running.address, (process_id,))


def test_a_worker_of_several_threads_is_refused(tmp_path):
    with (
        dask_cluster(tmp_path, nthreads=2) as running,
        pytest.raises(ConfigError, match=r"workers of one thread.*--nthreads 1\)\. Received: tcp://.* with 2 threads"),
    ):
        run(running.address, (process_id,))


def test_workers_are_waited_for(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(ours, "_WORKERS_SECONDS", 1)
    with (
        dask_cluster(tmp_path, 0) as running,
        caplog.at_level(logging.INFO),
        pytest.raises(ConfigError, match=r"--scheduler: expected workers \(dask worker tcp.*Received: none within 1 s"),
    ):
        run(running.address, (process_id,))
    assert caplog.messages == [f"waiting up to 1 s for workers of {running.address}"]


def test_the_task_of_a_killed_worker_runs_on_another_until_dask_gives_it_up(tmp_path):
    environment = WITH_TESTS | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with dask_cluster(tmp_path, 3, env=environment) as running:
        ids = run(running.address, (die_once, tmp_path / "a"), (process_id,))
        alive = {worker.popen.pid for worker in running.workers if worker.popen.poll() is None}
        assert len(alive) == 2
        assert ids[0] in alive
        message = r"^runs: expected workers that stay alive\. Received: 2 lost during the same training"
        with pytest.raises(RunError, match=message):
            run(running.address, (die, tmp_path / "b"))
        assert (tmp_path / "b").read_text() == "xx"


def test_a_lost_scheduler_is_told(tmp_path):
    code = (
        "import pathlib, sys\n"
        "from lightsernet_tf.cli import run_command\n"
        "from tests.parallel.test_dask_cluster import run, wait\n"
        "run_command(lambda given: run(given[0], (wait, pathlib.Path(given[1]))) and 0)\n"
    )
    environment = WITH_TESTS | {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    with dask_cluster(tmp_path, env=environment) as running:
        arguments = ["-c", code, running.address, str(tmp_path / "a")]
        with started(tmp_path / "log", *arguments, env=environment) as command:
            eventually((tmp_path / "a").exists)
            running.scheduler.popen.kill()
            assert command.popen.wait(60) == 2
            assert command.said().splitlines()[1:] == [
                "error: runs: expected a Dask scheduler that stays alive until the end. "
                f"Received: {running.address}, which was lost; the same command continues"
            ]
