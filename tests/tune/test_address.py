"""Addresses that a chief may listen at, and what a worker needs to reach one."""

import os
import socket

import pytest

from lightsernet_tf.errors import ConfigError, RunError
from lightsernet_tf.tune.address import Address, check_address, check_name, joined, wait_for_chief


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8765", "127.0.0.1", 8765),
        ("[::1]:80", "[::1]", 80),
        ("node-3.cluster:65535", "node-3.cluster", 65535),
    ],
)
def test_addresses_are_read(text, host, port):
    assert Address.parse(text, "--chief") == Address(host, port)
    assert str(Address(host, port)) == text


@pytest.mark.parametrize("text", ["", "8765", "host", "host:", ":80", "host:0", "host:65536", "::1:80", "http://a:80"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigError, match=r"--worker: expected HOST:PORT, such as 127\.0\.0\.1:8765\. Received: "):
        Address.parse(text, "--worker")


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.168.1.7", "10.0.0.1"])
def test_other_addresses_than_the_loopback_only_where_that_is_wanted(host):
    for loopback in ("127.0.0.1", "localhost", "127.1.2.3", "[::1]"):
        check_address(Address(loopback, 8765), beyond_loopback=False)
    with pytest.raises(ConfigError, match=r"only this machine reaches.*Received: .*--beyond-loopback"):
        check_address(Address(host, 8765), beyond_loopback=False)
    check_address(Address(host, 8765), beyond_loopback=True)


def test_a_host_that_cannot_be_found_is_named():
    with pytest.raises(ConfigError, match=r"no\.such\.host\.invalid:80: expected a host that can be found"):
        check_address(Address("no.such.host.invalid", 80), beyond_loopback=False)


@pytest.mark.parametrize("name", ["", " ", "chief", "my-chief-2"])
def test_a_worker_is_not_called_chief(name):
    with pytest.raises(ConfigError, match="--name: expected a worker's name without the word chief"):
        check_name(name)
    check_name("worker 2")


@pytest.mark.slow
def test_a_chief_that_is_not_there_is_waited_for_and_then_named(caplog):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", probe.getsockname()[1])
    with (
        caplog.at_level("INFO"),
        pytest.raises(RunError, match=rf"a chief that listens at {address}\. Received: nothing"),
    ):
        wait_for_chief(address, 0.5)
    assert caplog.messages == [f"waiting for the chief at {address}"]


def test_joining_is_told_to_keras_tuner_and_taken_back(monkeypatch):
    before = {"HOME": "/", "KERASTUNER_TUNER_ID": "mine"}
    monkeypatch.setattr(os, "environ", dict(before))
    with joined(Address("[::1]", 80), "one"):
        assert os.environ == {
            "HOME": "/",
            "KERASTUNER_TUNER_ID": "one",
            "KERASTUNER_ORACLE_IP": "[::1]",
            "KERASTUNER_ORACLE_PORT": "80",
        }
    assert os.environ == before
    with joined(None):
        assert os.environ == {"HOME": "/"}
    assert os.environ == before
