"""A real Dask cluster for a test: scheduler and workers as processes on the loopback address, gone when it ends."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

WITH_TESTS = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}  # for tasks that a test defines


@dataclass
class Process:
    """A process and the file that its lines go to."""

    popen: subprocess.Popen
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@dataclass
class Cluster:
    address: str
    scheduler: Process
    workers: list[Process]


def eventually(found, seconds: float = 240.0):
    """Return what ``found()`` comes to when it is no longer false; fail where that takes too long."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.02)
    return value


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended but that nobody asked after does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def started(log: Path, *command: str, env: dict[str, str] | None = None) -> Iterator[Process]:
    """Start a Python process in the folder of the file that takes its lines; afterwards it is gone, however it went."""
    with log.open("wb") as stream:
        popen = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=log.parent,
        )
        try:
            yield Process(popen, log)
        finally:
            popen.kill()
            popen.wait()


@contextmanager
def dask_cluster(
    folder: Path, workers: int = 1, *, nthreads: int = 1, env: dict[str, str] | None = None
) -> Iterator[Cluster]:
    """Start a scheduler and workers without nannies, so that a worker that is killed stays so."""
    where = folder / "scheduler.json"
    common = ("--host", "127.0.0.1", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")
    worker = ("-m", "distributed.cli.dask_worker", "--scheduler-file", str(where), *common[:2], "--no-dashboard")
    worker = (*worker, "--no-nanny", "--nthreads", str(nthreads), "--local-directory", str(folder / "scratch"))
    with ExitStack() as processes:
        scheduler = started(
            folder / "scheduler.log",
            *("-m", "distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(where), *common),
            env=env,
        )
        cluster = Cluster("", processes.enter_context(scheduler), [])
        eventually(lambda: where.exists() or cluster.scheduler.popen.poll() is not None)
        assert where.exists(), cluster.scheduler.said()
        cluster.address = json.loads(where.read_text())["address"]
        for number in range(workers):
            cluster.workers.append(processes.enter_context(started(folder / f"worker_{number}.log", *worker, env=env)))
        for process in cluster.workers:
            eventually(lambda said=process.said: "Registered to" in said())
        yield cluster
