"""What every test shares: the golden arrays and the real corpus, found through LIGHTSERNET_SHARED."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("LIGHTSERNET_SHARED", Path(__file__).parents[2] / "shared"))


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
