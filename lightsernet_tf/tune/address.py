"""Where a chief listens, and how a worker reaches it."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lightsernet_tf.errors import ConfigError, RunError, one_line

_CHIEF = "chief"  # Keras Tuner recognises its chief by this word in its name
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where a chief listens.

    Parameters
    ----------
    host
        Name or IP address.
    port
        Number of the port.
    """

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, option: str) -> Address:
        """Read ``host:port`` or ``[IPv6]:port``.

        Raises
        ------
        ConfigError
            If the text is neither.
        """
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:\[\]/]+):(\d{1,5})", text)
        if found is None or not 1 <= int(found[2]) <= 65535:
            raise ConfigError(f"{option}: expected HOST:PORT, such as 127.0.0.1:8765. Received: {text}")
        return cls(found[1], int(found[2]))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def is_loopback(self) -> bool:
        """Return whether only this machine can reach it."""
        try:
            found = socket.getaddrinfo(self.host.strip("[]"), self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(f"{self}: expected a host that can be found. Received: {one_line(error)}") from error
        return all(ipaddress.ip_address(str(entry[4][0]).split("%")[0]).is_loopback for entry in found)

    def is_open(self) -> bool:
        """Return whether something listens there."""
        try:
            with socket.create_connection((self.host.strip("[]"), self.port), timeout=2):
                return True
        except OSError:
            return False


def check_address(address: Address, *, beyond_loopback: bool) -> None:
    """Refuse an address that other machines reach, unless that is wanted.

    Raises
    ------
    ConfigError
        If other machines reach it, or its host cannot be found.
    """
    if not beyond_loopback and not address.is_loopback():
        raise ConfigError(
            f"--chief: expected an address that only this machine reaches, such as 127.0.0.1:{address.port}. Received: "
            f"{address}; whoever reaches it can give trials and take them, so where only trusted machines do, add "
            "--beyond-loopback"
        )


def check_name(name: str) -> None:
    """Refuse a worker's name that is empty, or that Keras Tuner would take for the chief's.

    Raises
    ------
    ConfigError
        If the name is refused.
    """
    if not name.strip() or _CHIEF in name:
        raise ConfigError(f"--name: expected a worker's name without the word {_CHIEF} in it. Received: {name!r}")


def default_name() -> str:
    """Return a name for the worker in this process."""
    return f"{socket.gethostname()}-{os.getpid()}".replace(_CHIEF, "c")


@contextmanager
def joined(address: Address | None, name: str = _CHIEF) -> Iterator[None]:
    """Make Keras Tuner the chief or a worker (by its name) at an address, or neither where there is no address.

    Keras Tuner reads this from the environment, which is restored afterwards.
    """
    keys = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")
    before = {key: os.environ.pop(key) for key in keys if key in os.environ}
    if address is not None:
        os.environ |= dict(zip(keys, (name, address.host, str(address.port)), strict=True))
    try:
        yield
    finally:
        for key in keys:
            os.environ.pop(key, None)
        os.environ |= before


def wait_for_chief(address: Address, seconds: float) -> None:
    """Wait until a chief listens.

    Raises
    ------
    RunError
        If none does in time.
    """
    until = time.monotonic() + seconds
    if not address.is_open():
        _logger.info("waiting for the chief at %s", address)
    while not address.is_open():
        if time.monotonic() > until:
            raise RunError(f"--worker: expected a chief that listens at {address}. Received: nothing in {seconds:g} s")
        time.sleep(1)
