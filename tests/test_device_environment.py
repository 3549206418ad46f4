"""A device has NumPy, LiteRT and little else: the package runs with what tflite/requirements.txt names alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightsernet_tf.predict.recognizer import EmotionRecognizer
from tests import device

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "tflite" / "requirements.txt"
UNREACHABLE = ("Connection", "timed out", "name resolution", "Network is unreachable", "ProxyError", "SSLError")
NOT_NEEDED = ("tensorflow", "keras", "librosa", "matplotlib", "sklearn", "scipy", "pandas", "jsonargparse")
SCRIPT = """
import importlib.util, json, sys
import soundfile
from lightsernet_tf.predict.recognizer import EmotionRecognizer
recognizer = EmotionRecognizer(sys.argv[1])
samples, rate_hz = soundfile.read(sys.argv[2], dtype="int16")
stream = recognizer.stream(rate_hz)
print(json.dumps({
    "found": [name for name in sys.argv[3:] if importlib.util.find_spec(name)],
    "package": importlib.util.find_spec("lightsernet_tf").origin,
    "predict": recognizer.predict(samples, rate_hz).probabilities,
    "stream": [decision.probabilities for decision in stream.feed(samples) + stream.finish()],
}))
"""


@pytest.fixture(scope="module")
def run_on_device(tmp_path_factory):
    """Return a function that runs the Python of a new environment with arguments, away from this source tree."""
    if not REQUIREMENTS.exists():
        pytest.skip(f"{REQUIREMENTS} is not there")
    folder = tmp_path_factory.mktemp("device")
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LIGHTSERNET"))}

    def run(*arguments):
        return subprocess.run([python, *arguments], cwd=folder, env=kept, capture_output=True, text=True)

    def install(*arguments):
        done = run("-m", "pip", "install", "--no-cache-dir", "--retries", "1", "--quiet", *arguments)
        if done.returncode and any(reason in done.stderr for reason in UNREACHABLE):
            pytest.skip(f"pip reaches no index: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr

    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    # Of a copy: pip builds where the source lies.
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "data", "docs", "runs", "tests")
    shutil.copytree(ROOT, folder / "source", ignore=unwanted)
    install("-r", str(REQUIREMENTS))
    install("--no-deps", str(folder / "source"))
    shutil.rmtree(folder / "source")
    return run


@pytest.fixture(scope="module")
def model_and_recording(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heard")
    recording = folder / "ein Satz.wav"
    soundfile.write(recording, device.sounds(2, 44100, seed=5).T, 44100, subtype="PCM_16")
    return device.write_model(folder / "Modell.tflite", segments="all"), recording


def test_a_device_hears_what_is_heard_here(run_on_device, model_and_recording):
    model, recording = model_and_recording
    done = run_on_device("-c", SCRIPT, str(model), str(recording), *NOT_NEEDED)
    assert done.returncode == 0, done.stderr
    there = json.loads(done.stdout)
    assert there["found"] == []
    assert not Path(there["package"]).is_relative_to(ROOT)

    samples, rate_hz = soundfile.read(recording, dtype="int16")
    recognizer = EmotionRecognizer(model)
    stream = recognizer.stream(rate_hz)
    here = [recognizer.predict(samples, rate_hz), *stream.feed(samples), *stream.finish()]
    for one, other in zip(here, [there["predict"], *there["stream"]], strict=True):
        assert list(other) == list(device.LABELS)
        np.testing.assert_allclose(list(other.values()), list(one.probabilities.values()), rtol=0, atol=1e-5)


def test_the_command_runs_on_a_device(run_on_device, model_and_recording):
    model, recording = model_and_recording
    done = run_on_device("-m", "lightsernet_tf.predict", str(recording), "--model", str(model))
    assert done.returncode == 0, done.stderr
    assert recording.name in done.stdout
    assert EmotionRecognizer(model).predict(*soundfile.read(recording)).label in done.stdout
    assert done.stderr == ""

    shipped = run_on_device("-m", "lightsernet_tf.predict", "--format", "json", str(recording))
    assert shipped.returncode == 0, shipped.stderr
    assert "boredom" in shipped.stdout
