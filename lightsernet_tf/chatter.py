"""Keep TensorFlow's start-up chatter out of a command's terminal, and let real warnings and errors through.

Native code writes to file descriptor 2 itself, some of it before any logging is set up, and worker processes inherit
the descriptor. So a filter reads what is written there, line by line. It is a process of its own, this file run as a
script: were it a thread, the last words of a process that aborts would be lost with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
QUIET = "3"  # set where the package is imported: nothing below a fatal error
_WARNINGS = "1"
_DRAIN_SECONDS = 0.5

_CHATTER = re.compile(
    "|".join(
        (
            r"^\d{4}-\d\d-\d\d [\d:.]+: I ",  # what TensorFlow logs as information
            r"^I\d{4} [\d:.]+",  # and what absl does
            r"^INFO: ",  # and what LiteRT does, such as "Created TensorFlow Lite XNNPACK delegate for CPU."
            r"All log messages before absl::InitializeLog\(\)",
            r"Unable to register cu(FFT|DNN|BLAS) factory",
            r"computation placer already registered",
            r"^To enable the following instructions:",  # second line of one about the CPU's features
            r"TF-TRT Warning: Could not find TensorRT",
            r"Local rendezvous is aborting with status: OUT_OF_RANGE",  # the end of a data set
            r"failed call to cuInit: CUDA_ERROR_NO_DEVICE",  # a machine without a GPU
            r"op_level_cost_estimator\.cc",
            r"meta_optimizer\.cc.*layout failed",
            r"gpu_timer\.cc|Skipping the delay kernel",
            r"cpu_allocator_impl\.cc",
            r"fork_posix\.cc",  # gRPC beside the processes of joblib
            r"tf_tfl_flatbuffer_helpers\.cc",  # the converter, about options that are not ours
        )
    )
)


@contextmanager
def chatter_filtered() -> Iterator[None]:
    """Filter what this process and those that it starts write to file descriptor 2, except through ``sys.stderr``.

    Where ``TF_CPP_MIN_LOG_LEVEL`` is set by the user, everything is shown as asked.
    """
    if sys.stderr is None or os.environ.get(LEVEL) != QUIET:
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    command = [sys.executable, "-I", "-S", __file__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=terminal, start_new_session=True)
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # a stream without a descriptor, in a notebook or a test
        if sys.stderr.fileno() == 2:  # else progress bars would see no terminal, and wait for the end of their line
            sys.stderr = os.fdopen(os.dup(2), "w", 1, sys.stderr.encoding, sys.stderr.errors)
    os.dup2(process.stdin.fileno(), 2)
    process.stdin.close()
    os.environ[LEVEL] = _WARNINGS
    try:
        yield
    finally:
        os.environ[LEVEL] = QUIET
        os.dup2(terminal, 2)
        os.close(terminal)
        with contextlib.suppress(subprocess.TimeoutExpired):  # idle worker processes may hold their end for long
            process.wait(_DRAIN_SECONDS)


def _filter() -> None:
    for line in sys.stdin.buffer:
        if not _CHATTER.search(line.decode(errors="replace")):
            sys.stderr.buffer.write(line)
            sys.stderr.flush()


if __name__ == "__main__":
    _filter()
