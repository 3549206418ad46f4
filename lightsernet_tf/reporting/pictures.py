"""How every picture is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from lightsernet_tf.files import written_beside

DOTS_PER_INCH = 150


def write_png(picture: Figure, path: Path, **options: Any) -> None:
    """Write a picture as PNG, whole or not at all; ``options`` are those of ``Figure.savefig``."""
    with written_beside(path) as beside:
        picture.savefig(beside, format="png", dpi=DOTS_PER_INCH, **options)
