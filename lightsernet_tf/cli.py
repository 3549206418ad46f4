"""What every command shares: one line for an error the user can mend, exit status 2, no traceback."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, NoReturn

from lightsernet_tf.chatter import chatter_filtered
from lightsernet_tf.errors import InputError, one_line


class CommandParser(argparse.ArgumentParser):
    """The parser of a command; it reports a wrong command line in one line, without the usage."""

    def __init__(self, command: str, description: str, epilog: str = "", **kwargs: Any) -> None:
        kwargs = {"formatter_class": argparse.RawDescriptionHelpFormatter} | kwargs
        prog = f"python -m lightsernet_tf.{command}"
        super().__init__(prog=prog, description=description, epilog=epilog, **kwargs)

    def error(self, message: str) -> NoReturn:
        """Exit with status 2."""
        self.exit(2, f"error: {message}\n")


def run_command(
    main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None, *, tensorflow: bool = True
) -> NoReturn:
    """Call ``main`` with the command line and exit with its status: 2 for input and file errors, 130 for Ctrl-C.

    Parameters
    ----------
    main
        What returns the status.
    arguments
        The command line; none: that of the process.
    tensorflow
        Whether the command uses TensorFlow, whose start-up chatter is then kept out of the terminal.
    """
    with chatter_filtered() if tensorflow else nullcontext():
        status = _status(main, sys.argv[1:] if arguments is None else arguments)
    sys.exit(status)


def _status(main: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("tensorflow").setLevel(logging.WARNING)  # it logs each sum over several devices
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may be no text, or none that the terminal has
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = main(arguments)
        if sys.stdout is not None:  # closed by the calling process
            sys.stdout.flush()
        return status
    except InputError as error:
        _print_error(f"error: {error}")
        return 2
    except BrokenPipeError:  # the reader, such as head, has seen enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # the status that a shell gives a program ended by SIGPIPE
    except OSError as error:  # a full disk, a folder without write permission
        _print_error(f"error: {error.filename2 or error.filename or 'output'}: {one_line(error)}")
        return 2
    except KeyboardInterrupt:
        _print_error("interrupted")
        return 130


def _print_error(message: str) -> None:
    if sys.stderr is not None:  # else it would be printed among the results
        print(message, file=sys.stderr)


def _somewhere_to_write() -> IO[bytes]:
    try:
        return tempfile.TemporaryFile()
    except OSError:  # a device may have nothing that can be written to
        return Path(os.devnull).open("w+b")


@contextmanager
def native_messages_hidden() -> Iterator[None]:
    """Keep what native libraries write to standard error out of the terminal; after an error they are shown.

    For commands only: a process has one standard error, whatever its threads do.
    """
    if sys.stderr is None:  # closed by the calling process
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with _somewhere_to_write() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except InputError:
            raise
        except Exception:  # whatever it is, the messages of the libraries help to understand it
            os.dup2(kept, 2)
            hidden.seek(0)
            os.write(2, hidden.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
