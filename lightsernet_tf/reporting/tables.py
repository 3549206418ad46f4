"""Tables of text for a terminal, whose columns line up whatever alphabet their cells are written in.

A terminal gives Chinese, Japanese and Korean characters two columns each, and combining accents none. Only the standard
library is used, because devices print results too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_GAP = "  "
_NO_WIDTH = ("Mn", "Me", "Cf")  # categories: accents, enclosing marks, format characters such as joiners


def display_width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        0
        if unicodedata.category(character) in _NO_WIDTH
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def padded(text: str, width: int, side: str = "l") -> str:
    """Return the text with blanks up to ``width`` columns: behind it (side ``l``) or before it (``r``)."""
    blanks = " " * (width - display_width(text))
    return blanks + text if side == "r" else text + blanks


def shortened(text: str, width: int) -> str:
    """Return the text with its middle left out where it takes more than ``width`` columns."""
    if display_width(text) <= width:
        return text
    head, tail = text, text
    while display_width(tail) > width // 2:
        tail = tail[1:]
    while display_width(head) > width - 1 - width // 2:
        head = head[:-1]
    return f"{head}…{tail}"


def table_width(widths: Sequence[int]) -> int:
    """Return how long the lines of a table with columns of these widths are."""
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def text_table(rows: Sequence[Sequence[str]], align: str) -> list[str]:
    """Return a line for each row, the cells of a column below each other.

    Parameters
    ----------
    rows
        Cells, as many as columns; headings are a row like any other.
    align
        One letter per column: ``l`` or ``r``, as in `markdown_table`.
    """
    columns = []
    for cells, side in zip(zip(*rows, strict=True), align, strict=True):
        width = max(map(display_width, cells))
        columns.append([padded(cell, width, side) for cell in cells])
    return [_GAP.join(line).rstrip() for line in zip(*columns, strict=True)]
