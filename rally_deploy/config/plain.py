"""What a config from Python may have and one from a file cannot: cycles, sets, bytes ..."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.config.document import MAX_DEPTH, MAX_NODES, Document, Path
from rally_deploy.config.schema import items
from rally_deploy.config.strings import string_mistake
from rally_deploy.errors import Problem


def no_json(document: Document) -> Iterator[Problem]:
    """A problem for each value that JSON cannot have."""
    todo: list[tuple[Path, Any]] = [((), document.data)]
    seen = 0
    while todo:
        path, value = todo.pop()
        seen += 1
        if len(path) > MAX_DEPTH + 1 or seen > MAX_NODES:
            yield document.problem(path[:4], "the config is too large or nested too deep")
            return
        if isinstance(value, str) and string_mistake(value):
            yield document.problem(path, string_mistake(value))
        if isinstance(value, float) and (value != value or abs(value) == float("inf")):
            yield document.problem(path, "this is no number of JSON")
        if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
            yield document.problem(path, "a key is not a string")
        elif isinstance(value, (Mapping, list, tuple)):
            todo.extend(((*path, step), below) for step, below in items(value))
        elif value is not None and not isinstance(value, (str, int, float)):
            yield document.problem(path, f"a {type(value).__name__} is no value of JSON")
