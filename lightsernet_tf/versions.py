"""The versions that a run, a report and a model file record."""

from __future__ import annotations

import importlib.metadata
import platform

_PACKAGES = (
    "tensorflow",
    "tensorflow-io",
    "keras",
    "librosa",
    "scikit-learn",
    "numpy",
    "soundfile",
    "soxr",
    "ai-edge-litert",
    "ai-edge-quantizer",
)


def versions() -> dict[str, str]:
    """Return the versions of Python, of this package and of those that make the figures."""
    found = {"python": platform.python_version()}
    for name in ("lightsernet-tf", *_PACKAGES):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
