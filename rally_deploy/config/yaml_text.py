"""YAML by PyYAML's composer, which makes nodes with places and never an object of a class."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rally_deploy.config.document import (
    MAX_DEPTH,
    MAX_NODES,
    Document,
    Path,
    Position,
    path_text,
    printable,
)
from rally_deploy.config.strings import string_mistake
from rally_deploy.errors import ConfigError, Problem

_TAG = "tag:yaml.org,2002:"
# The core schema of YAML 1.2: "yes", "on", 1:30 and dates are text, as everybody means them; so
# is 0755, which would be another number in each version of YAML.
_CORE = (
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z")),
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z")),
    ("int", re.compile(r"(?:[-+]?(?:0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+)\Z")),
    ("float", re.compile(
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")),
)
_KINDS = {"ScalarNode": "str", "SequenceNode": "seq", "MappingNode": "map"}


def read_yaml(text: str, source: str) -> Document:
    """The document of a YAML text; raises ConfigError with the place of what is wrong."""
    import yaml

    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError([Problem(
            "", _message(error), source, mark.line + 1 if mark else 0,
            mark.column + 1 if mark else 0, _hint(error),
        )], source) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        what = f"the character U+{error.character:04X} cannot stand in YAML"
        raise ConfigError([Problem("", what, source, line, column)], source) from error
    except RecursionError as error:
        what = f"the config is nested deeper than {MAX_DEPTH} levels"
        raise ConfigError([Problem("", what, source)], source) from error
    except OverflowError as error:
        what = f"the config has more than {MAX_NODES} values"
        raise ConfigError([Problem("", what, source)], source) from error
    if root is None:
        raise ConfigError([Problem("", "the file is empty", source, 1, 1)], source)
    reader = _NodeReader(source)
    data = reader.value(root, (), 0)
    if reader.problems:
        raise ConfigError(reader.problems, source)
    return Document(data, reader.positions, source, reader.keys)


def _compose(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        depth = count = 0

        def compose_node(self, parent: Any, index: Any) -> Any:
            self.depth += 1
            self.count += 1
            if self.depth > MAX_DEPTH + 1:
                raise RecursionError
            if self.count > 2 * MAX_NODES:
                raise OverflowError
            try:
                return super().compose_node(parent, index)
            finally:
                self.depth -= 1

        def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
            if kind is yaml.ScalarNode and implicit[0]:
                for name, pattern in _CORE:
                    if pattern.match(value):
                        return _TAG + name
            return _TAG + _KINDS[kind.__name__]

    loader = Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()  # type: ignore[no-untyped-call, unused-ignore]


def _message(error: Any) -> str:
    problem = str(error.problem or error.context or "this is no YAML")
    return printable(problem)


def _hint(error: Any) -> str:
    problem = str(error.problem)
    if "'\\t'" in problem:
        return "indent by spaces, not by tabs"
    if "mapping values are not allowed" in problem:
        return "is a line above not closed, or does a text with ': ' need quotes?"
    if "expected <block end>" in problem or "could not find expected ':'" in problem:
        return "look at the indentation here and at the line before"
    if "undefined alias" in problem:
        return "the &anchor must stand above its *alias"
    if "but found another document" in problem:
        return "one file holds one config; take the '---' away"
    if "found character '@'" in problem or "found character '`'" in problem:
        return "put the text into quotes"
    return ""


class _NodeReader:
    """Turns nodes into JSON values; aliases are expanded, up to a bound."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.positions: dict[Path, Position] = {}
        self.keys: dict[Path, Position] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def value(self, node: Any, path: Path, depth: int) -> Any:
        self._count(node, path, depth)
        self.positions[path] = _position(node)
        kind = type(node).__name__
        if node.tag == _TAG + "map" and kind == "MappingNode":
            return self._mapping(node, path, depth)
        if node.tag == _TAG + "seq" and kind == "SequenceNode":
            return [
                self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.value)
            ]
        if kind == "ScalarNode":
            return self._scalar(node, path)
        self._note(node, path, f"the tag {printable(str(node.tag))} is not known here",
                   "a config has strings, numbers, true, false, null, lists and objects")
        return None

    def _count(self, node: Any, path: Path, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._error(node, path, f"the config has more than {MAX_NODES} values, "
                              "with its aliases expanded")
        if depth > MAX_DEPTH:
            what = f"the config is nested deeper than {MAX_DEPTH} levels"
            raise self._error(node, path[:4], what,
                              "does an alias stand inside its own anchor?")

    def _mapping(self, node: Any, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node, merged in self._pairs(node, path, depth):
            key = self._key(key_node, path)
            if key is None or merged and key in found:
                continue
            below = (*path, key)
            if key in found:
                self._note(key_node, below, "the same key twice in one object",
                           f"the first is in line {self.keys[below].line}; keep one of them")
            self.keys[below] = _position(key_node)
            found[key] = self.value(value_node, below, depth + 1)
        return found

    def _pairs(self, node: Any, path: Path, depth: int) -> Iterator[tuple[Any, Any, bool]]:
        """Key and value nodes; after the object's own those that ``<<: *anchor`` brings."""
        self._count(node, path, depth)
        merges = []
        for key, value in node.value:
            if _is_merge(key):
                merges.append(value)
            else:
                yield key, value, False
        for merge in merges:
            anchors = merge.value if type(merge).__name__ == "SequenceNode" else [merge]
            for anchor in anchors:
                if type(anchor).__name__ != "MappingNode":
                    self._note(anchor, path, "'<<' takes an object, or a list of them")
                    continue
                for key, value, _ in self._pairs(anchor, path, depth + 1):
                    yield key, value, True

    def _key(self, node: Any, path: Path) -> str | None:
        if type(node).__name__ != "ScalarNode" or node.tag == _TAG + "null":
            self._note(node, path, "a key is a string", "put it into quotes")
            return None
        mistake = string_mistake(node.value)
        if mistake:
            self._note(node, path, mistake)
            return None
        return str(node.value)

    def _scalar(self, node: Any, path: Path) -> Any:
        text, kind = node.value, str(node.tag).removeprefix(_TAG)
        if kind == "str":
            mistake = string_mistake(text)
            if mistake:
                self._note(node, path, mistake)
            return text
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if len(text) > 40:
            self._note(node, path, "a number of more than 40 characters",
                       "put it into quotes if it is a string")
            return None
        try:
            return _number(kind, text)
        except ValueError:
            self._note(node, path, f"'{printable(text)}' cannot be read as "
                       f"{printable(kind)} here", "put it into quotes if it is a string")
            return None

    def _note(self, node: Any, path: Path, message: str, hint: str = "") -> None:
        self.problems.extend(self._error(node, path, message, hint).problems)

    def _error(self, node: Any, path: Path, message: str, hint: str = "") -> ConfigError:
        line, column = _position(node)
        problem = Problem(path_text(path), message, self.source, line, column, hint)
        return ConfigError([problem], self.source)


def _number(kind: str, text: str) -> int | float:
    if kind == "int":
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if kind != "float":
        raise ValueError(kind)
    value = float(text)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return value


def _is_merge(node: Any) -> bool:
    return type(node).__name__ == "ScalarNode" and node.value == "<<" and node.style is None


def _position(node: Any) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)
