"""A JSON schema error -> what a person has to read: the path, what is wrong, what is known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rally_deploy.config.blocks import HIDDEN, sounds_secret
from rally_deploy.config.document import Path, printable
from rally_deploy.config.schema import type_fits

_TYPES = {"object": "an object", "array": "a list", "string": "a string", "integer": "an integer",
          "number": "a number", "boolean": "true or false", "null": "null"}
_MOST_LISTED = 16
_MOST_MEANT = 100  # unknown keys of one object for which the nearest known one is looked for
_LONG = 500
_LOGIN = re.compile(r"(?<=:)[^\s@/]+(?=@)")  # the password in user:password@host


class Mistake(NamedTuple):
    """One thing that a block's schema does not allow; ``path`` is below the block."""

    path: Path
    message: str
    hint: str = ""
    at_key: bool = False


def mistakes(
    errors: Iterable[Any], hidden: Callable[[Path], bool] = lambda path: False
) -> list[Mistake]:
    """The mistakes of jsonschema's errors, each once; values at ``hidden`` paths are not shown."""
    found: dict[tuple[Path, str], Mistake] = {}
    for error in errors:
        for mistake in _of(error, hidden):
            found.setdefault((mistake.path, mistake.message), mistake)
    return list(found.values())


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant; empty if none is near."""
    by_lower: dict[str, str] = {}
    for name in known:
        by_lower.setdefault(name.lower(), name)
    near = difflib.get_close_matches(word[:80].lower(), list(by_lower), 1, 0.6)
    return by_lower[near[0]] if near else ""


def meant(word: str, known: Sequence[str], what: str) -> str:
    """The hint for an unknown word: the nearest known one, else all that are known."""
    near = nearest(word, known)
    if near:
        return f"did you mean '{near}'?"
    shown = ", ".join(list(known)[:_MOST_LISTED])
    more = " ..." if len(known) > _MOST_LISTED else ""
    return f"{what}: {shown}{more}" if known else ""


def type_name(value: Any) -> str:
    """A value's type in words."""
    for name, words in _TYPES.items():
        if name == "number" and isinstance(value, float):
            return words
        if name != "number" and type_fits(value, {"type": name}):
            return words
    return type(value).__name__


def _of(error: Any, hidden: Callable[[Path], bool]) -> Iterator[Mistake]:
    path, schema = tuple(error.absolute_path), error.schema
    keyword, wanted = error.validator, error.validator_value
    if keyword in ("anyOf", "oneOf") and error.context:
        yield from _of_branches(error, path, hidden)
        return
    if keyword in ("additionalProperties", "unevaluatedProperties") and wanted is False:
        yield from _unknown_keys(path, error.instance, schema)
        return
    if keyword == "required":
        yield from _missing(path, error, schema)
        return
    if keyword == "dependentRequired":
        yield from _missing_beside(path, error)
        return
    yield Mistake(path, _message(error, _shown(error.instance, path, schema, hidden)),
                  _meaning(keyword, schema))


def _of_branches(error: Any, path: Path, hidden: Callable[[Path], bool]) -> Iterator[Mistake]:
    """Of several allowed forms, the mistakes of that one which was probably meant."""
    branches: dict[Any, list[Any]] = {}
    for below in error.context:
        branches.setdefault(below.relative_schema_path[0], []).append(below)
    fitting = [
        errors for errors in branches.values()
        if not any(e.validator == "type" and not e.relative_path for e in errors)
    ]
    if not fitting:
        kinds = [kind for one in error.validator_value if isinstance(one, Mapping)
                 for kind in _kinds(one.get("type"))]
        yield Mistake(path, f"it must be {_either(kinds)}, not {type_name(error.instance)}")
        return
    best = min(fitting, key=lambda errors: (
        any(e.validator in ("const", "enum") for e in errors), len(errors)))
    for below in best:
        yield from _of(below, hidden)


def _unknown_keys(path: Path, value: Any, schema: Mapping[str, Any]) -> Iterator[Mistake]:
    properties = schema.get("properties", {})
    patterns = list(schema.get("patternProperties", {}))
    known = [*properties]
    known += [alias for one in properties.values() if isinstance(one, Mapping)
              for alias in one.get("x-alias", ())]
    unknown = [key for key in value if key not in properties
               and not any(re.search(pattern, key) for pattern in patterns)]
    for number, key in enumerate(unknown):
        hint = meant(key, known, "known keys") if number < _MOST_MEANT else ""
        yield Mistake((*path, key), "unknown key", hint, True)


def _missing(path: Path, error: Any, schema: Mapping[str, Any]) -> Iterator[Mistake]:
    for key in error.validator_value:
        if key not in error.instance:
            about = schema.get("properties", {}).get(key, {})
            meaning = about.get("description", "") if isinstance(about, Mapping) else ""
            yield Mistake((*path, key), f"'{key}' is missing", meaning)


def _missing_beside(path: Path, error: Any) -> Iterator[Mistake]:
    for key, others in error.validator_value.items():
        for other in others:
            if key in error.instance and other not in error.instance:
                yield Mistake((*path, other), f"'{other}' is missing", f"'{key}' needs it")


def _message(error: Any, shown: str) -> str:
    wanted, value = error.validator_value, error.instance
    keyword = str(error.validator)
    if keyword == "type":
        return f"it must be {_either(_kinds(wanted))}, not {type_name(value)}"
    if keyword == "enum":
        near = nearest(value, [one for one in wanted if isinstance(one, str)]) \
            if isinstance(value, str) else ""
        ending = f"; did you mean '{near}'?" if near and shown != HIDDEN else ""
        return f"{shown} is none of {', '.join(_plain(one) for one in wanted)}{ending}"
    if keyword in ("minLength", "minItems", "minProperties") and wanted == 1:
        return "it must not be empty"
    if keyword in _LIMITS:
        return f"{shown} {_LIMITS[keyword].format(wanted)}"
    if keyword == "pattern":
        return f"{shown} is not of the form that is wanted"
    if keyword == "const":
        return f"it must be {_plain(wanted)}"
    if keyword == "uniqueItems":
        return "the same item is there twice"
    if keyword == "oneOf":
        return "it fits more than one of the allowed forms"
    return f"{shown} does not fit the rule '{keyword}'"


_LIMITS = {
    "minimum": "is less than {}", "maximum": "is more than {}",
    "exclusiveMinimum": "must be more than {}", "exclusiveMaximum": "must be less than {}",
    "minLength": "has fewer than {} characters", "maxLength": "has more than {} characters",
    "minItems": "has fewer than {} items", "maxItems": "has more than {} items",
    "minProperties": "has fewer than {} keys", "maxProperties": "has more than {} keys",
    "multipleOf": "is no multiple of {}", "format": "is not of the form '{}'",
}


def _meaning(keyword: Any, schema: Any) -> str:
    about = schema.get("description", "") if isinstance(schema, Mapping) else ""
    return about if keyword in ("pattern", "format", "type", "minLength", "minItems") else ""


def _shown(
    value: Any, path: Path, schema: Any, hidden: Callable[[Path], bool]
) -> str:
    """A value in a message: short, in one line, and never a secret."""
    said = schema.get("x-secret") if isinstance(schema, Mapping) else None
    if hidden(path) or said or said is None and any(sounds_secret(step) for step in path[-2:]):
        return HIDDEN
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        if len(value) > _LONG:
            return f"a string of {len(value)} characters"
        value = _LOGIN.sub(HIDDEN, value)
        return f"'{printable(value if len(value) <= 40 else value[:40] + '...')}'"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        text = str(value)
        return text if len(text) <= 40 else text[:40] + "..."
    return "it"


def _kinds(wanted: Any) -> list[str]:
    return [wanted] if isinstance(wanted, str) else list(wanted or ())


def _either(kinds: Sequence[str]) -> str:
    words = [_TYPES.get(kind, kind) for kind in dict.fromkeys(kinds)]
    return " or ".join(words) if words else "something else"
