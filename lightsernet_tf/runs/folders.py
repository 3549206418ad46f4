"""Folders in which one process at a time makes or continues something: a run or a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lightsernet_tf.errors import RunError, one_line
from lightsernet_tf.files import PARTIAL_PREFIX, locked

LOCK = ".lock"


def refuse_used_folder(path: Path, harmless: Sequence[str] = ()) -> None:
    """Refuse a folder for something new, unless all in it is harmless or what a killed process left half-written.

    Raises
    ------
    RunError
        If there is anything else in it; the message names it.
    """
    for name in sorted(inner.name for inner in path.iterdir()) if path.is_dir() else []:
        if name not in (LOCK, *harmless) and not name.startswith(PARTIAL_PREFIX):
            raise RunError(f"{path}: expected a new folder. Received: one with {name}; choose another --run_name")


@contextmanager
def held(path: Path, expected: str, wait_seconds: float = 0.0) -> Iterator[None]:
    """Keep other processes from a folder, which is made if need be.

    Parameters
    ----------
    path
        The folder.
    expected
        What an error says was expected, e.g. ``"a run that nobody trains"``.
    wait_seconds
        How long to wait for a process that holds it.

    Raises
    ------
    RunError
        If another process holds the folder, or it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        raise RunError(
            f"{path}: expected a folder that can be made (runs_dir, run_name). Received: {one_line(error)}"
        ) from error
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path / LOCK, wait_seconds))
        except BlockingIOError as error:
            raise RunError(f"{path}: expected {expected}. Received: another process does") from error
        yield
