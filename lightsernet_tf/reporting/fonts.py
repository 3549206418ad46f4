"""A font that has the glyphs of the class names, wherever one is installed."""

from __future__ import annotations

import logging
import string
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties

_logger = logging.getLogger(__name__)

AROUND_NAMES = string.ascii_letters + string.digits + "() %.,-_"  # counts and titles stand beside the names
UNASSIGNED = "\u0378"  # no writing has this character: a font that shows it shows a box for everything


def names_and_font(labels: Sequence[str]) -> tuple[tuple[str, ...], FontProperties]:
    """Return the names to draw for the classes, and a font that shows them.

    Where no installed font has all their glyphs, the classes are numbered from 1, as in the report's tables, and one
    warning (per process and set of characters) says so.
    """
    font = _font_with(_characters([*labels, AROUND_NAMES]))
    if font is None:
        return tuple(str(place) for place in range(1, len(labels) + 1)), _default_font()
    return tuple(labels), font


def drawable(text: str, font: FontProperties) -> str:
    """Return ``text`` with a question mark for every character that ``font`` has no glyph for."""
    lacking = _lacking(Path(font_manager.findfont(font)), _characters([text]))
    return "".join("?" if character in lacking else character for character in text)


@lru_cache(maxsize=64)
def _font_with(characters: frozenset[str]) -> FontProperties | None:
    lacking = _lacking(Path(font_manager.findfont(_default_font())), characters)
    if not lacking:
        return _default_font()
    for path in _installed_fonts():
        if not _lacking(path, characters) and _lacking(path, UNASSIGNED):
            return FontProperties(fname=str(path))
    _logger.warning(
        "no installed font shows %s of the class names: the pictures number the classes as the report's tables do "
        "(a font such as Noto Sans CJK, once installed, shows their names)",
        " ".join(sorted(lacking)),
    )
    return None


def _installed_fonts() -> list[Path]:
    # Matplotlib keeps its list in a file that may be older than the newest font: ask the system as well.
    known = {entry.fname for entry in font_manager.fontManager.ttflist} | set(font_manager.findSystemFonts())
    return sorted(map(Path, known), key=_plainness)


def _plainness(path: Path) -> tuple[bool, bool, str]:
    name = path.stem.lower()
    return "sans" not in name, any(word in name for word in ("bold", "italic", "light", "thin", "black")), name


def _lacking(path: Path, characters: Iterable[str]) -> frozenset[str]:
    try:
        font = font_manager.get_font(str(path))
    except (OSError, RuntimeError):  # damaged, or of a kind that FreeType cannot draw: it has no glyph for us
        return frozenset(characters)
    return frozenset(character for character in characters if not font.get_char_index(ord(character)))


def _characters(texts: Iterable[str]) -> frozenset[str]:
    return frozenset("".join(texts)) - {"\n"}


def _default_font() -> FontProperties:
    return FontProperties(family="DejaVu Sans")  # comes with matplotlib
