"""Runs independent trainings in parallel with joblib: on this machine's cores or on the workers of a Dask cluster.

A task is a callable that leaves its results in a folder; this module does not know what is trained.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib

from lightsernet_tf.errors import ConfigError, RunError

Task = Callable[[], object]

_WATCH_SECONDS = 0.5
_WATCH = "ends with the process that started it"
_one_training = threading.Lock()

_logger = logging.getLogger(__name__)


def check_spreading(jobs: int, threads: int | None, scheduler: str | None = None) -> None:
    """Refuse options that `run_trainings` cannot fulfil, before anything is read; it documents the parameters.

    Raises
    ------
    ConfigError
        If a number is less than 1, both ``jobs`` and ``scheduler`` are given, or no scheduler answers.
    """
    if jobs < 1:
        raise ConfigError(f"--jobs: expected at least 1. Received: {jobs}")
    if threads is not None and threads < 1:
        raise ConfigError(f"--threads: expected at least 1. Received: {threads}")
    if scheduler is not None:
        if jobs > 1:
            raise ConfigError(
                f"--jobs: expected none beside --scheduler, whose workers train one at a time each. Received: {jobs}"
            )
        _dask_cluster().check_scheduler(scheduler)


def share_of_cores(processes: int) -> int:
    """Return how many threads each of several processes may use without competing for this machine's cores."""
    return max(1, joblib.cpu_count() // processes)


def set_threads(threads: int) -> None:
    """Let TensorFlow use this many threads within an operation, and run as many operations at once.

    Raises
    ------
    RunError
        If TensorFlow already runs in this process with another number.
    """
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError as error:
        found = tf.config.threading.get_intra_op_parallelism_threads() or "one for each core"
        raise RunError(
            f"--threads: expected a process in which TensorFlow does not run yet, to give it {threads}. Received: "
            f"process {os.getpid()} on {socket.gethostname()}, where it runs with {found}; start that process anew"
        ) from error


def set_up_process(threads: int, parent_pid: int | None = None) -> None:
    """Initialise a process that only trains; a second call changes nothing.

    The process exits soon after its parent: an orphan must not continue to train in a folder that a resumed command
    wants (POSIX only).

    Parameters
    ----------
    threads
        Number of TensorFlow's threads.
    parent_pid
        The process that started this one; none: as reported by multiprocessing or the system.

    Raises
    ------
    RunError
        If TensorFlow already runs in this process with another number of threads.
    """
    if parent_pid is None:
        parent = multiprocessing.parent_process()
        parent_pid = os.getppid() if parent is None or parent.pid is None else parent.pid
    if os.name == "posix" and not any(thread.name == _WATCH for thread in threading.enumerate()):
        threading.Thread(target=_end_with, args=(parent_pid,), name=_WATCH, daemon=True).start()
    set_threads(threads)
    _leave_gpu_memory_to_others()


def _leave_gpu_memory_to_others() -> None:
    """Allocate GPU memory as needed, where TensorFlow would take all of it."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # a long-lived worker is set up already
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)


def run_trainings(
    tasks: Mapping[str, Task], folder: Path, *, jobs: int = 1, threads: int | None = None, scheduler: str | None = None
) -> None:
    """Run independent trainings; after a failure no further one is started.

    Parameters
    ----------
    tasks
        Callables by the name that precedes their log lines. They are pickled if another process runs them. On a cluster
        a task whose worker is lost runs again on another one, and has to continue from what is in its folder.
    folder
        Where they leave their results, for messages.
    jobs
        How many run at once, each in its own process; 1: one after the other, in this process.
    threads
        TensorFlow's threads in each; none: the machine's cores divided among the jobs, or 1 on a cluster. For trainings
        in this process the caller sets them with `set_threads` before TensorFlow starts.
    scheduler
        Address of a Dask scheduler whose workers train instead, one training at a time each.

    Raises
    ------
    ConfigError
        If the cluster cannot be reached or used.
    RunError
        If a training process dies.
    InputError
        Whatever a task raises.
    """
    if scheduler is not None and tasks:
        with _dask_cluster().cluster_backend(scheduler, folder) as backend:
            _run(tasks, threads or 1, backend=backend)
    elif jobs > 1 and tasks:
        threads = threads or share_of_cores(jobs)
        try:
            # joblib starts new processes for new arguments, so none keeps TensorFlow with another number of threads.
            _run(tasks, None, n_jobs=jobs, backend="loky", initializer=set_up_process, initargs=(threads, os.getpid()))
        except BrokenProcessPool as error:
            raise RunError(
                f"{folder}: expected {jobs} processes to train the folds. Received: one that was killed, perhaps for "
                "lack of memory; the same command continues, with fewer --jobs if you like"
            ) from error
    else:
        for task in tasks.values():
            task()


def _run(tasks: Mapping[str, Task], threads_to_set: int | None, **where: Any) -> None:
    parallel = joblib.Parallel(batch_size=1, pre_dispatch="all", return_as="generator_unordered", **where)
    # Small arguments: joblib keeps a single copy of those above 1 kB on one Dask worker, which may be lost.
    calls = [joblib.delayed(_train)(name, task, threads_to_set) for name, task in tasks.items()]
    for count, name in enumerate(parallel(calls), start=1):
        _logger.info("%s is done, %d of %d", name, count, len(tasks))


def _train(name: str, task: Task, threads_to_set: int | None) -> str:
    with _one_training:  # a multi-threaded worker may have joined the cluster after the check
        if threads_to_set is not None:
            set_threads(threads_to_set)
            _leave_gpu_memory_to_others()
        name_lines(name)
        task()
    return name


def name_lines(name: str) -> None:
    """Prefix the package's log lines with a name: a process runs one training after the other."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{name.replace('%', '%%')}: %(message)s"))
    logger = logging.getLogger("lightsernet_tf")  # the root logger of a Dask worker belongs to Dask
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _end_with(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _dask_cluster() -> ModuleType:
    try:
        from lightsernet_tf.parallel import dask_cluster
    except ImportError as error:
        raise ConfigError(
            "--scheduler: expected the package distributed to be installed (pip install 'lightsernet-tf[cluster]'). "
            f"Received: {error}"
        ) from error
    return dask_cluster
