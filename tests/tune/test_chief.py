"""What happens where a chief cannot listen or go on."""

import contextlib
import errno
import socket
import threading

import grpc
import keras_tuner
import pytest
from keras_tuner.src import protos

from lightsernet_tf.errors import ConfigError
from lightsernet_tf.tune.address import Address
from lightsernet_tf.tune.chief import serve
from lightsernet_tf.tune.oracles import make_oracle
from lightsernet_tf.tune.settings import SearchConfig


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = Address("127.0.0.1", taken.getsockname()[1])
        assert address.is_open()
        with pytest.raises(ConfigError, match=rf"an address to listen at\. Received: {address}, which is taken"):
            serve(None, address, 60)  # type: ignore[arg-type]


def test_what_goes_wrong_in_a_request_ends_the_chief_instead_of_locking_it(tmp_path, monkeypatch):
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Float("train.learning_rate", 1e-4, 1e-3)
    oracle = make_oracle(SearchConfig({"train.learning_rate": [1.0]}, "random"), hyperparameters, 3)
    oracle._set_project_dir(str(tmp_path), "search")

    def full():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(oracle, "save", full)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", probe.getsockname()[1])

    def ask() -> None:
        with grpc.insecure_channel(str(address)) as channel:
            request = protos.get_service().CreateTrialRequest(tuner_id="one")
            with contextlib.suppress(grpc.RpcError):
                protos.get_service_grpc().OracleStub(channel).CreateTrial(request, wait_for_ready=True, timeout=30)

    worker = threading.Thread(target=ask)
    worker.start()
    with pytest.raises(OSError, match="No space left"):
        serve(oracle, address, 60)
    worker.join()
