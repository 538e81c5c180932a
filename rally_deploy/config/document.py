"""A config as data that knows where in its file every part of it stands."""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rally_deploy.errors import ConfigError, Problem

#: The way to a part of a config: keys and indexes from the top.
Path = tuple["str | int", ...]

#: Bounds of a config, far above any that makes sense.
MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")
_STEP = re.compile(r"""(?:^|\.)([^.\[\]"]+)|\[(\d+)\]|\.?\["((?:[^"\\]|\\.)*)"\]""")


class Position(NamedTuple):
    """A place in a text; lines and columns count from 1, columns in characters."""

    line: int
    column: int


@dataclass(frozen=True)
class Document:
    """A config: ``data`` is JSON values; ``${env:NAME}`` in its strings is not read yet."""

    data: Any
    positions: Mapping[Path, Position] = field(default_factory=dict, repr=False)
    source: str = ""
    key_positions: Mapping[Path, Position] = field(default_factory=dict, repr=False)

    def position(self, path: Path, key: bool = False) -> Position:
        """Where the value of a path stands (or its key), else what is nearest around it."""
        if key and path in self.key_positions:
            return self.key_positions[path]
        for length in range(len(path), -1, -1):
            if path[:length] in self.positions:
                return self.positions[path[:length]]
        return Position(0, 0)

    def problem(self, path: Path, message: str, hint: str = "", key: bool = False) -> Problem:
        """A problem of the part at this path, placed at its value, or with ``key`` at its key."""
        line, column = self.position(path, key)
        return Problem(path_text(path), message, self.source, line, column, hint)


class Text:
    """A file's text, which turns an offset into a line and a column."""

    def __init__(self, text: str, source: str) -> None:
        self.text, self.source = text, source
        self._starts = [0, *(match.end() for match in re.finditer(r"\n", text))]

    def position(self, offset: int) -> Position:
        line = bisect.bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def error(self, offset: int, message: str, hint: str = "", path: Path = ()) -> ConfigError:
        return ConfigError([self.problem(offset, message, hint, path)], self.source)

    def problem(self, offset: int, message: str, hint: str = "", path: Path = ()) -> Problem:
        line, column = self.position(offset)
        return Problem(path_text(path), message, self.source, line, column, hint)


def path_text(path: Sequence[str | int]) -> str:
    """``controller.provider.credentials[0].host``; a key of other characters is quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.match(step):
            text += f".{step}" if text else step
        else:
            shown = step if len(step) <= 60 else step[:60] + "..."
            quoted = shown.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{printable(quoted)}"]'
    return text


def parse_path(text: str) -> Path:
    """The inverse of :func:`path_text`, as far as a plugin's own paths need it."""
    steps: list[str | int] = []
    for plain, index, quoted in _STEP.findall(text):
        steps.append(int(index) if index else plain or re.sub(r"\\(.)", r"\1", quoted))
    return tuple(steps)


def printable(text: str) -> str:
    """The text in one line, with what a terminal would act on written as an escape."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
