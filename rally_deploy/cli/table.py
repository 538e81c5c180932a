"""A plain table, fast enough for tens of thousands of rows."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    columns = 0
    for character in text:
        if not unicodedata.combining(character):
            columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be, two blanks between them, each row on one line."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [
        max([width(heading), *(width(row[i]) for row in cells)])
        for i, heading in enumerate(headings)
    ]
    lines = [_line([heading.upper() for heading in headings], widths)]
    lines += [_line(row, widths) for row in cells]
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (space - width(cell)) for cell, space in zip(row, widths, strict=True))
    return "  ".join(padded).rstrip()


def clean(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " for c in text)
