"""What the tests of the readers share: small trees of generated files."""

import numpy as np
import pytest
import soundfile


@pytest.fixture
def make_files(tmp_path):
    """Return a function that writes a short recording, each another, under every name."""

    def make(*names, folder=tmp_path):
        for number, name in enumerate(names, start=1):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.full(1600, number / 1000), 16000)
        return folder

    return make
