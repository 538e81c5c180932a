"""JSON as people write it: comments and trailing commas are fine, mistakes are explained."""

from __future__ import annotations

import re
from collections.abc import Callable
from json import JSONDecodeError
from json import decoder as json_decoder
from typing import Any

from rally_deploy.config.document import MAX_DEPTH, MAX_NODES, Document, Path, Position, Text
from rally_deploy.config.document import printable as _printable
from rally_deploy.config.strings import string_mistake
from rally_deploy.errors import ConfigError, Problem

_scan: Callable[[str, int, bool], tuple[str, int]] = vars(json_decoder)["scanstring"]
_SPACE = re.compile(r"[ \t\r\n]+")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?(?![\w.])", re.ASCII)
_WORD = re.compile(r"[^\s,:\[\]{}\"'/]+")
_CONSTANTS = {"true": True, "false": False, "null": None}
_CONSTANT_HINTS = {
    "True": "write true", "TRUE": "write true", "False": "write false", "FALSE": "write false",
    "None": "write null", "nil": "write null", "NULL": "write null", "undefined": "write null",
}
_SMART_QUOTES = "“”„‘’«»`"


class JsonReader:
    """Reads one text; :meth:`document` raises ConfigError with the place and the likely remedy."""

    def __init__(self, text: str, source: str) -> None:
        self._place = Text(text, source)
        self._text, self._at, self._nodes = text, 0, 0
        self._positions: dict[Path, Position] = {}
        self._keys: dict[Path, Position] = {}
        self._problems: list[Problem] = []

    def document(self) -> Document:
        self._skip()
        if self._at >= len(self._text):
            raise self._error(0, "the file is empty", "it should hold an object: { ... }")
        data = self._value((), 0)
        self._skip()
        if self._at < len(self._text):
            if self._text[self._at] in "]}":
                raise self._error(self._at, f"'{self._text[self._at]}' closes nothing",
                                  "take it away, or look for one too many above")
            raise self._error(self._at, "there is something after the end of the config",
                              "a file holds one { ... }")
        if self._problems:
            raise ConfigError(self._problems, self._place.source)
        return Document(data, self._positions, self._place.source, self._keys)

    def _error(self, offset: int, message: str, hint: str = "", path: Path = ()) -> ConfigError:
        error = self._place.error(min(offset, len(self._text)), message, hint, path)
        if self._problems:
            return ConfigError([*self._problems, *error.problems], self._place.source)
        return error

    def _char(self) -> str:
        return self._text[self._at: self._at + 1]

    def _skip(self) -> None:
        """Go to the next character that is neither space nor comment."""
        text = self._text
        while self._at < len(text):
            space = _SPACE.match(text, self._at)
            if space:
                self._at = space.end()
            elif text.startswith("//", self._at):
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            elif text.startswith("/*", self._at):
                end = text.find("*/", self._at + 2)
                if end < 0:
                    raise self._error(self._at, "this comment is not closed", "close it with */")
                self._at = end + 2
            elif text[self._at] == "#":
                raise self._error(self._at, "'#' begins no comment in JSON", "use // or /* */")
            else:
                return

    def _value(self, path: Path, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(self._at, f"the config has more than {MAX_NODES} values")
        if depth > MAX_DEPTH:
            raise self._error(self._at, f"the config is nested deeper than {MAX_DEPTH} levels")
        self._positions[path] = self._place.position(self._at)
        char = self._char()
        if char == "{":
            return self._object(path, depth)
        if char == "[":
            return self._list(path, depth)
        if char == '"':
            return self._string(path)
        return self._scalar(path)

    def _object(self, path: Path, depth: int) -> dict[str, Any]:
        opened = self._at
        found: dict[str, Any] = {}
        self._at += 1
        while self._more(opened, "}", first=not found, path=path):
            start = self._at
            key = self._key(path)
            below = (*path, key)
            self._skip()
            if self._char() != ":":
                raise self._no_colon(key, path)
            self._at += 1
            self._skip()
            if self._char() in ("", ",", "}"):
                raise self._error(self._at, f"'{_printable(key)}' has no value", path=path)
            if key in found:
                before = self._keys[below]
                self._problems.append(self._place.problem(
                    start, "the same key twice in one object",
                    f"the first is in line {before.line}; keep one of them", below,
                ))
            self._keys[below] = self._place.position(start)
            found[key] = self._value(below, depth + 1)
        return found

    def _no_colon(self, key: str, path: Path) -> ConfigError:
        char = self._char()
        if char == "=":
            return self._error(self._at, "'=' where a colon belongs", "write \"key\": value", path)
        if char in (",", "}"):
            return self._error(
                self._at, f"'{_printable(key)}' has no value",
                'write "key": value, or use [ ] if this is to be a list', path,
            )
        return self._error(
            self._at, f"a colon is missing after '{_printable(key)}'", "write \"key\": value", path
        )

    def _list(self, path: Path, depth: int) -> list[Any]:
        opened = self._at
        found: list[Any] = []
        self._at += 1
        while self._more(opened, "]", first=not found, path=path):
            found.append(self._value((*path, len(found)), depth + 1))
        return found

    def _more(self, opened: int, close: str, first: bool, path: Path) -> bool:
        """Go on to the next item; False at the end of the object or list."""
        self._skip()
        if not first and self._char() == ",":
            self._at += 1
            self._skip()
            if self._char() == ",":
                raise self._error(self._at, "two commas with nothing between", "take one away",
                                  path)
        elif not first and self._char() not in ("", "]", "}"):
            raise self._no_comma(close, path)
        char = self._char()
        if not char:
            line = self._place.position(opened).line
            raise self._error(
                opened, f"this '{self._text[opened]}' is never closed",
                f"the file ends before a '{close}' for line {line}", path,
            )
        if char == ",":
            raise self._error(self._at, "a comma with nothing before it", "take it away", path)
        if char in "]}" and char != close:
            line = self._place.position(opened).line
            raise self._error(
                self._at, f"'{char}' where '{close}' belongs",
                f"the '{self._text[opened]}' of line {line} is still open", path,
            )
        if char == close:
            self._at += 1
            return False
        return True

    def _no_comma(self, close: str, path: Path) -> ConfigError:
        char = self._char()
        if char == ":" and close == "]":
            return self._error(self._at, "a colon in a list",
                               'keys belong into an object: {"key": value}', path)
        if char == ":":
            return self._error(self._at, "a colon after a value",
                               "a comma or a closing brace is missing before this key", path)
        if char in "'" + _SMART_QUOTES:
            return self._error(self._at, f"{char} is no quote of JSON",
                               'strings stand in double quotes: "..."', path)
        return self._error(
            self._at, "a comma is missing before this", "put one after the value before", path
        )

    def _key(self, path: Path) -> str:
        if self._char() == '"':
            return str(self._string(path))
        raise self._odd(path, "a key")

    def _odd(self, path: Path, wanted: str) -> ConfigError:
        """The error for a character that can begin nothing here."""
        char = self._char()
        if char in "'" + _SMART_QUOTES:
            return self._error(self._at, f"{char} is no quote of JSON",
                               'strings stand in double quotes: "..."', path)
        word = _WORD.match(self._text, self._at)
        if not word:
            return self._error(self._at, f"'{_printable(char)}' where {wanted} belongs", path=path)
        shown = _printable(word.group()[:40])
        if wanted == "a value" and word.group() in _CONSTANT_HINTS:
            return self._error(self._at, f"'{shown}' is no value of JSON",
                               _CONSTANT_HINTS[word.group()], path)
        if word.group()[0] in "0123456789+-." and wanted == "a value":
            return self._error(
                self._at, f"'{shown}' is no number of JSON",
                'numbers are 12, -3, 0.5; anything else stands in double quotes: "..."', path,
            )
        return self._error(self._at, f"'{shown}' where {wanted} belongs",
                           f'{wanted} that is text stands in double quotes: "{shown}"', path)

    def _string(self, path: Path) -> str:
        start = self._at
        try:
            value, self._at = _scan(self._text, start + 1, True)
        except JSONDecodeError as error:
            raise self._bad_string(start, error.pos, path) from error
        mistake = string_mistake(value)
        if mistake:
            raise self._error(start, mistake, path=path)
        return value

    def _bad_string(self, start: int, offset: int, path: Path) -> ConfigError:
        at = self._text[offset: offset + 1]
        if offset <= start or at in ("", "\n", "\r"):
            return self._error(start, "this string is not closed in its line",
                               'a " is missing at its end; a line break is written \\n', path)
        # The scanner names the backslash in some cases and what follows it in others.
        if "\\" in self._text[offset - 1: offset + 1]:
            return self._error(offset, "a backslash that escapes nothing known",
                               "write \\\\ for a backslash itself", path)
        if at == "\t":
            return self._error(offset, "a tab inside a string", "write it \\t", path)
        return self._error(offset, f"the character {at!r} cannot stand in a string",
                           f"write it \\u{ord(at):04x}", path)

    def _scalar(self, path: Path) -> Any:
        number = _NUMBER.match(self._text, self._at)
        start = self._at
        if number:
            self._at = number.end()
            return self._number(number.group(), bool(number[1] or number[2]), start, path)
        word = _WORD.match(self._text, self._at)
        if word and word.group() in _CONSTANTS:
            self._at = word.end()
            return _CONSTANTS[word.group()]
        raise self._odd(path, "a value")

    def _number(self, text: str, fraction: bool, start: int, path: Path) -> int | float:
        if len(text) > 40:
            raise self._error(start, "a number of more than 40 characters", path=path)
        if not fraction:
            return int(text)
        value = float(text)
        if value in (float("inf"), float("-inf")):
            raise self._error(start, f"'{text}' is too large a number", path=path)
        return value
