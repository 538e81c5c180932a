"""A local.conf as text: where its sections begin and end, which lines are variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

LOCALRC = "[[local|localrc]]"
META = re.compile(r"\[\[[^\[\]|\s]+\|[^\[\]|\s]+\]\]\Z")
HEADER = re.compile(r"^\[\[.+\|.*\]\]")
ASSIGNED = re.compile(r"(?:export[ \t]+)?([A-Za-z_]\w*)(\+?)=(.*)")


def localrc_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a whole file's localrc sections, each with its number, from 1.

    A file without any section is an old localrc: all of it.
    """
    lines = text.splitlines()
    inside = not any(HEADER.match(line) for line in lines)
    for number, line in enumerate(lines, 1):
        if HEADER.match(line):
            inside = line.split()[0] == LOCALRC
        elif inside:
            yield number, line


def section_end(lines: Sequence[str], header: int) -> int:
    """Where a line can be added at the end of the section whose header has this index."""
    following = (i for i in range(header + 1, len(lines)) if HEADER.match(lines[i]))
    end = next(following, len(lines))
    while end > header + 1 and not lines[end - 1].strip():
        end -= 1
    return end


def sections(text: str) -> Iterator[tuple[int, str]]:
    """The ``[[...|...]]`` headers of a whole file with their line numbers."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("[["):
            yield number, line.rstrip()


def assigned(text: str) -> dict[str, str]:
    """The variables of the localrc section as they are written there, the last value of each."""
    found: dict[str, str] = {}
    for _, line in localrc_lines(text):
        match = ASSIGNED.match(line.strip())
        if match:
            found[match[1] + match[2]] = match[3].strip()
    return found


def set_whatever_happens(text: str) -> set[str]:
    """Variables that are surely set: what is set inside of an "if" may be unset after all."""
    return {
        match[1] for _, line in localrc_lines(text)
        if (match := ASSIGNED.match(line)) and not match[2]
    }
