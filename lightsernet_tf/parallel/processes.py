"""Independent trainings side by side, through joblib: on this machine's cores, or on the workers of a Dask cluster.

What this module does not do: know what is trained. A task is a callable that leaves what it comes to in a folder.
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
    """Refuse what `run_trainings` cannot do, before anything is read; for the parameters see there.

    Raises
    ------
    ConfigError
        If a number is less than 1, both ``jobs`` and ``scheduler`` say where to train, or that is no scheduler.
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
    """Return how many threads each of some processes gets, so that they do not fight for this machine's cores."""
    return max(1, joblib.cpu_count() // processes)


def set_threads(threads: int) -> None:
    """Let TensorFlow use this many threads for an operation, and run as many operations at once.

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
    """Ready a process that only trains, as its initializer; a second call changes nothing.

    It will end soon after the process that started it is gone: an orphan must not go on training in a folder that a
    resumed command wants. (POSIX only; elsewhere a process does not hear of it.)

    Parameters
    ----------
    threads
        TensorFlow's.
    parent_pid
        The process that started this one; none: the one that multiprocessing names, or the system.

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
    """Take of a GPU's memory what is needed, where TensorFlow would take all."""
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # a long-lived worker has it that way already
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)


def run_trainings(
    tasks: Mapping[str, Task], folder: Path, *, jobs: int = 1, threads: int | None = None, scheduler: str | None = None
) -> None:
    """Run independent trainings; where one fails, those that have not begun do not begin.

    Parameters
    ----------
    tasks
        Callables by the name that stands before their lines in the log. They are pickled where another process runs
        them. On a cluster a task whose worker is lost runs again on another, and has to go on with what is in its
        folder.
    folder
        Where they leave what they come to, for messages.
    jobs
        How many train at once, each in a process of its own; 1: one after the other, in this process.
    threads
        TensorFlow's in each; none: the machine's cores shared among the jobs, or 1 on a cluster. In this process they
        are for the caller to set, with `set_threads` before TensorFlow starts.
    scheduler
        Address of a Dask scheduler whose workers train instead, one at a time each.

    Raises
    ------
    ConfigError
        If the cluster cannot be reached or used.
    RunError
        If the processes that train do not live to do it.
    InputError
        Whatever a task raises.
    """
    if scheduler is not None and tasks:
        with _dask_cluster().cluster_backend(scheduler, folder) as backend:
            _run(tasks, threads or 1, backend=backend)
    elif jobs > 1 and tasks:
        threads = threads or share_of_cores(jobs)
        try:
            # Other arguments make joblib start other processes, so that none has TensorFlow with other threads.
            _run(tasks, None, n_jobs=jobs, backend="loky", initializer=set_up_process, initargs=(threads, os.getpid()))
        except BrokenProcessPool as error:
            raise RunError(
                f"{folder}: expected {jobs} processes that live to train the folds. Received: one that was killed, "
                "perhaps for want of memory; the same command goes on, with fewer --jobs if you like"
            ) from error
    else:
        for task in tasks.values():
            task()


def _run(tasks: Mapping[str, Task], threads_to_set: int | None, **where: Any) -> None:
    parallel = joblib.Parallel(batch_size=1, pre_dispatch="all", return_as="generator_unordered", **where)
    # The arguments are small: of those above 1 kB joblib keeps one copy on a single Dask worker, which may be lost.
    calls = [joblib.delayed(_train)(name, task, threads_to_set) for name, task in tasks.items()]
    for count, name in enumerate(parallel(calls), start=1):
        _logger.info("%s is done, %d of %d", name, count, len(tasks))


def _train(name: str, task: Task, threads_to_set: int | None) -> str:
    with _one_training:  # a worker of several threads may have joined the cluster after it was checked
        if threads_to_set is not None:
            set_threads(threads_to_set)
            _leave_gpu_memory_to_others()
        name_lines(name)
        task()
    return name


def name_lines(name: str) -> None:
    """Put a name before the package's lines in the log: a process trains one network after the other."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{name.replace('%', '%%')}: %(message)s"))
    logger = logging.getLogger("lightsernet_tf")  # the root logger of a Dask worker is not ours
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
