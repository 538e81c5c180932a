"""Reading a plugin's CONFIG_SCHEMA beside a block: which subschema is whose, and what it asks.

JSON schema (draft 2020-12) with these keywords of ours:

==========================  ====================================================================
``x-plugin``                "provider" or "engine": the value (or each item) is a nested block
``x-plugin-given``          keys that the outer plugin fills in itself: not required in the
                            nested block, and what stands there is not looked at; a plugin
                            that takes no such key cannot stand there
``x-plugin-keys``           {key: schema} that the outer plugin reads from the nested block
``x-plugin-placeholders``   names that it replaces in the nested block: ``{controller_ip}`` ...
``x-secret``                never shown (false: not even if its name sounds like a secret)
``x-alias``                 other names of this key
``x-empty-is-absent``       an empty string, or null, means that the key is not set
==========================  ====================================================================
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rally_deploy.config.document import Path

Schema = Mapping[str, Any]

class Subschemas:
    """The schemas that apply to one value, without $ref, allOf, anyOf, oneOf between them."""

    def __init__(self, root: Schema, schemas: Sequence[Schema]) -> None:
        self._root = root
        self.all = schemas

    @classmethod
    def of(cls, value: Any, schema: Schema, root: Schema | None = None) -> Subschemas:
        root = schema if root is None else root
        return cls(root, list(_flat(value, schema, root)))

    def get(self, keyword: str) -> Any:
        """The keyword's value in the first schema that has it, else None."""
        return next((schema[keyword] for schema in self.all if keyword in schema), None)

    def properties(self) -> dict[str, Schema]:
        found: dict[str, Schema] = {}
        for schema in self.all:
            for key, value in _mapping(schema.get("properties")).items():
                found.setdefault(key, _mapping(value))
        return found

    def aliases(self) -> dict[str, str]:
        """Every other name of a key -> the key."""
        properties = self.properties()
        return {
            alias: key
            for key, value in properties.items()
            for alias in value.get("x-alias", ())
            if alias not in properties
        }

    def below(self, step: str | int, value: Any) -> Subschemas:
        """The schemas of the value at this key or index."""
        found: list[Schema] = []
        for schema in self.all:
            found.extend(_flat(value, _child(schema, step), self._root))
        return Subschemas(self._root, found)


def type_fits(value: Any, schema: Schema) -> bool:
    """Whether the JSON type of the value is one that the schema takes (any if it says none)."""
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else list(wanted or ())
    return not names or any(is_type(value, name) for name in names)


def is_type(value: Any, name: str) -> bool:
    """JSON's types as a person means them: a boolean is no number, 1.0 no integer."""
    if name == "boolean":
        return isinstance(value, bool)
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "null":
        return value is None
    kinds: Mapping[str, Any] = {"string": str, "object": Mapping, "array": (list, tuple)}
    return isinstance(value, kinds.get(name, ()))


def tidy(
    value: Any,
    schema: Schema,
    *,
    defaults: bool,
    renamed: dict[Path, Path] | None = None,
    conflict: Callable[[Path, str, str], None] = lambda path, first, name: None,
) -> Any:
    """The value with aliases replaced, empty keys left out, and defaults set if asked for.

    Nested plugins' blocks stay the very objects that they are.

    :param renamed: gets, for every key that was replaced, its new path -> its path in ``value``.
    :param conflict: called with the second's path if a key stands there under two of its names.
    """
    return _tidy(value, Subschemas.of(value, schema), (), (), defaults, renamed, conflict)


def _tidy(
    value: Any, schemas: Subschemas, path: Path, raw: Path, defaults: bool,
    renamed: dict[Path, Path] | None, conflict: Callable[[Path, str, str], None],
) -> Any:
    def down(step: str | int, raw_step: str | int, below: Any) -> Any:
        return _tidy(below, schemas.below(step, below), (*path, step), (*raw, raw_step), defaults,
                     renamed, conflict)

    if schemas.get("x-plugin") and path:
        return value
    if isinstance(value, (list, tuple)):
        return [down(i, i, item) for i, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    aliases, properties = schemas.aliases(), schemas.properties()
    found: dict[str, Any] = {}
    names: dict[str, str] = {}  # key -> its name that stands there
    for name in value:
        key = str(aliases.get(name, name))
        if value[name] in ("", None) and properties.get(key, {}).get("x-empty-is-absent"):
            continue
        if key in found:
            if found[key] != value[name]:
                conflict((*raw, name), names[key], name)
            continue
        names[key] = name
        if key != name and renamed is not None:
            renamed[path + (key,)] = (*raw, name)
        found[key] = down(key, name, value[name])
    if defaults:
        for key, property_schema in properties.items():
            if key not in found and "default" in property_schema:
                found[key] = copy.deepcopy(property_schema["default"])
    return found


def raw_path(path: Path, renamed: Mapping[Path, Path]) -> Path:
    """The path as it is in the file, from one with aliases replaced."""
    for length in range(len(path), 0, -1):
        if path[:length] in renamed:
            return renamed[path[:length]] + path[length:]
    return path


def nested_blocks(
    value: Any, schema: Schema, path: Path = ()
) -> Iterator[tuple[Path, Any, Subschemas]]:
    """Every nested plugin block of a tidy block, with the schemas that ask for it."""
    todo = [(path, value, Subschemas.of(value, schema))]
    while todo:
        where, here, schemas = todo.pop()
        if schemas.get("x-plugin") and where != path and not isinstance(here, (list, tuple)):
            yield where, here, schemas
            continue
        todo.extend(
            ((*where, step), below, _inherited(schemas, schemas.below(step, below)))
            for step, below in list(items(here))[::-1]
        )


def items(value: Any) -> Iterator[tuple[str | int, Any]]:
    """The keys or indexes of a value and what is there."""
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from enumerate(value)


def _inherited(above: Subschemas, below: Subschemas) -> Subschemas:
    """x-plugin on a list's property speaks of its items."""
    if above.get("x-plugin") and not below.get("x-plugin"):
        asked = [schema for schema in above.all if "x-plugin" in schema]
        kept = [{k: v for k, v in s.items() if k.startswith("x-plugin")} for s in asked]
        return Subschemas(below._root, [*below.all, *kept])
    return below


def _flat(
    value: Any, schema: Any, root: Schema, seen: set[int] | None = None
) -> Iterator[Schema]:
    """The schema and those it is composed of; each once, as it may refer to itself."""
    seen = set() if seen is None else seen
    if not isinstance(schema, Mapping) or id(schema) in seen:
        return
    seen.add(id(schema))
    yield schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        yield from _flat(value, _referred(root, reference), root, seen)
    for part in schema.get("allOf", ()):
        yield from _flat(value, part, root, seen)
    for keyword in ("anyOf", "oneOf"):
        for part in schema.get(keyword, ()):
            if isinstance(part, Mapping) and type_fits(value, part):
                yield from _flat(value, part, root, seen)


def _referred(root: Schema, reference: str) -> Any:
    here: Any = root
    for part in reference.lstrip("#").strip("/").split("/"):
        if part:
            key = part.replace("~1", "/").replace("~0", "~")
            here = here.get(key) if isinstance(here, Mapping) else None
    return here


def _child(schema: Schema, step: str | int) -> Any:
    if isinstance(step, int):
        first = schema.get("prefixItems", ())
        return first[step] if step < len(first) else schema.get("items")
    properties = _mapping(schema.get("properties"))
    if step in properties:
        return properties[step]
    return schema.get("additionalProperties")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
