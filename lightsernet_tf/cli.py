"""What every command shares: one line for an error the user can mend, exit status 2, no traceback."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from lightsernet_tf.errors import InputError


class CommandParser(argparse.ArgumentParser):
    """Say what is wrong with the command line as any other error: in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        self.exit(2, f"error: {message}\n")


def run_command(main: Callable[[Sequence[str]], int], arguments: Sequence[str] | None = None) -> NoReturn:
    """Call ``main`` with the command line and exit with its status: 2 for input and file errors, 130 for Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        status = main(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 2
    except BrokenPipeError:  # who reads along, such as head, has seen enough; what is still buffered goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141  # as a shell says of a program that SIGPIPE ended
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"error: {error.filename2 or error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        status = 130
    sys.exit(status)
