"""What of TensorFlow's own messages reaches the terminal of a command."""

import os
import subprocess
import sys

import pytest

from lightsernet_tf.chatter import LEVEL, chatter_filtered

CHATTER = """\
2026-11-25 22:48:25.421399: I tensorflow/core/util/port.cc:113] oneDNN custom operations are on.
2026-11-25 22:48:25.511289: E external/.../cuda/cuda_fft.cc:479] Unable to register cuFFT factory
2026-11-25 22:48:25.611125: E external/.../cuda/cuda_dnn.cc:10575] Unable to register cuDNN factory
2026-11-25 22:48:25.611171: E external/.../cuda/cuda_blas.cc:1442] Unable to register cuBLAS factory
2026-11-25 22:48:25.704707: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow binary is optimized
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow
2026-11-25 22:48:31.969283: W tensorflow/.../py_utils.cc:38] TF-TRT Warning: Could not find TensorRT
2026-11-25 22:48:32.0: W t/local_rendezvous.cc:404] Local rendezvous is aborting with status: OUT_OF_RANGE: x
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1711106441.654263   81549 device_compiler.h:186] Compiled cluster using XLA!
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
"""
WARNINGS = """\
2026-11-25 22:48:31.0: W tensorflow/core/common_runtime/gpu/gpu_device.cc:2251] Cannot dlopen some GPU libraries.
E0000 00:00:1711106441.654263   81549 server_chttp2.cc:40] Address already in use
terminate called after throwing an instance of 'std::bad_alloc'
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv(LEVEL, "3")


def test_chatter_is_dropped_and_real_warnings_are_shown(capfd):
    with chatter_filtered():
        for chatter, warning in zip(CHATTER.splitlines(True), (*WARNINGS.splitlines(True), *[""] * 8), strict=True):
            os.write(2, (chatter + warning).encode())
        assert os.environ[LEVEL] == "1"
    os.write(2, b"INFO: after\n")
    assert capfd.readouterr().err == WARNINGS + "INFO: after\n"
    assert os.environ[LEVEL] == "3"


def test_who_asks_for_tensorflows_messages_gets_them(capfd, monkeypatch):
    monkeypatch.setenv(LEVEL, "0")
    with chatter_filtered():
        os.write(2, CHATTER.encode())
    assert capfd.readouterr().err == CHATTER


PROCESS = r"""
import os, subprocess, sys, warnings
from lightsernet_tf.cli import run_command
def main(chatter):
    os.write(2, "".join(chatter).encode())
    print("progress", end=" ", file=sys.stderr)
    child = "import os, sys; os.write(2, sys.argv[1].encode() + b'child\\n')"
    subprocess.run([sys.executable, "-c", child, chatter[0]], check=True)
    warnings.warn("a warning")
    os.write(2, b"the reason\n")
    os.abort()
run_command(main)
"""


def test_a_process_that_aborts_and_its_children():
    command = [sys.executable, "-c", PROCESS, *CHATTER.splitlines(True)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -6
    for part in ("progress ", "UserWarning: a warning", "child\n", "the reason\n"):
        assert part in done.stderr
    assert not [line for line in CHATTER.splitlines() if line in done.stderr]


@pytest.mark.slow
def test_a_real_command_is_quiet():
    """TensorFlow is imported with its warnings on."""
    code = (
        "from lightsernet_tf.cli import run_command\n"
        "def main(arguments):\n"
        "    import os, tensorflow as tf\n"
        "    list(tf.data.Dataset.range(3))\n"
        "    return int(os.environ['TF_CPP_MIN_LOG_LEVEL'])\n"
        "run_command(main)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
