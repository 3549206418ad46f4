"""What every test shares: the golden arrays and the real corpus, found through LIGHTSERNET_SHARED."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from lightsernet_tf.config import AudioConfig, Config, CorpusConfig, SplitConfig, TrainConfig
from lightsernet_tf.reporting import fonts

if (
    "PYTEST_XDIST_WORKER" in os.environ
):  # the workers share the cores; read when TensorFlow is imported, also by children
    for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")

SHARED = Path(os.environ.get("LIGHTSERNET_SHARED", Path(__file__).parents[2] / "shared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no core waits for another at the end; files stay whole."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def shared(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not there (set LIGHTSERNET_SHARED to the folder that holds it)")
    return path


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    return shared("golden")


@pytest.fixture(scope="session")
def emodb_dir() -> Path:
    return shared("data", "emodb")


TINY_SPEAKERS = ("Änne", "ben b", "声")
TINY_LABELS = ("calm", "loud", "shrill")


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory) -> Path:
    """Three speakers times three labels times four short files, told apart by pitch; odd names on purpose."""
    root = tmp_path_factory.mktemp("tiny corpus ü")
    random = np.random.default_rng(7)
    seconds = np.arange(4800) / 16000
    for speaker in range(3):
        for label in range(3):
            for take in range(4):
                pitch_hz = 150 * 2.0**label * (1 + 0.05 * speaker + 0.02 * take)
                waveform = 0.5 * np.sin(2 * np.pi * pitch_hz * seconds) + 0.05 * random.standard_normal(4800)
                folder = root / TINY_SPEAKERS[speaker] / TINY_LABELS[label]
                folder.mkdir(parents=True, exist_ok=True)
                soundfile.write(folder / f"take {take}.wav", waveform, 16000)
    return root


@pytest.fixture(scope="session")
def tiny_config(tiny_corpus, tmp_path_factory) -> Config:
    """Settings under which an epoch on the tiny corpus takes a moment."""
    return Config(
        corpus=CorpusConfig(name="folders", data_dir=str(tiny_corpus)),
        audio=AudioConfig(duration_seconds=0.3),
        split=SplitConfig(protocol="leave_one_speaker_out"),
        train=TrainConfig(epochs=3, batch_size=5, learning_rate=1e-3),
        runs_dir=str(tmp_path_factory.mktemp("runs")),
        cache_dir=str(tmp_path_factory.mktemp("cache")),
    )


@pytest.fixture(scope="module")
def small_network():
    """Build networks of one path and one block in this process: a third of the tracing, for tests of all else."""
    from lightsernet_tf.model import light_sernet

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(light_sernet, "PATHS", light_sernet.PATHS[:1])
        patch.setattr(light_sernet, "BLOCKS", light_sernet.BLOCKS[-1:])
        yield


@pytest.fixture
def logging_as_before():
    """Take back what a command's logging.basicConfig changes."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def _only_matplotlibs_fonts(monkeypatch):
    monkeypatch.setattr(fonts, "_installed_fonts", list)
    fonts._font_with.cache_clear()
    yield
    fonts._font_with.cache_clear()
