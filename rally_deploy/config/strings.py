"""What strings of a config may hold: ``${env:NAME}``, ``${var:NAME}``, and no odd characters."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rally_deploy.config.document import Document, Path, path_text
from rally_deploy.errors import ConfigError, Problem

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
# A name has an end, so that a file full of beginnings is not searched over and over.
_REFERENCE = {kind: re.compile(rf"\$\{{{kind}:([^}}]{{0,256}})\}}") for kind in ("env", "var")}
_BEGINNING = {kind: "${" + kind + ":" for kind in ("env", "var")}


def string_mistake(value: str) -> str:
    """What is wrong with a string whatever it is for; empty if nothing is."""
    if "\0" in value:
        return "a string cannot hold a NUL character"
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        return "a string holds half of a surrogate pair, which is no character"
    return ""


def each_string(tree: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every string value with its path, from the top down; no recursion."""
    todo: list[tuple[Path, Any]] = [(path, tree)]
    while todo:
        where, value = todo.pop()
        if isinstance(value, str):
            yield where, value
        elif isinstance(value, Mapping):
            todo.extend([((*where, key), value[key]) for key in value][::-1])
        elif isinstance(value, (list, tuple)):
            todo.extend([((*where, i), item) for i, item in enumerate(value)][::-1])


def map_strings(tree: Any, change: Callable[[str], str]) -> Any:
    """A copy of the tree with every string value changed; keys stay."""
    if isinstance(tree, str):
        return change(tree)
    if isinstance(tree, Mapping):
        return {key: map_strings(value, change) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [map_strings(value, change) for value in tree]
    return tree


def substitute(tree: Any, values: Mapping[str, str]) -> Any:
    """Replace ``{name}`` literally in every string; any other brace stays as it is.

    ``controller_ip`` is also found under its misspelt form of old configs, ``contoller_ip``.
    """
    names = dict(values)
    if "controller_ip" in names:
        names.setdefault("contoller_ip", names["controller_ip"])
    if not names:
        return tree
    pattern = re.compile("|".join(re.escape("{" + name + "}") for name in names))
    return map_strings(tree, lambda text: pattern.sub(lambda m: names[m.group()[1:-1]], text))


def resolve_env(tree: Any, environ: Mapping[str, str]) -> Any:
    """Replace ``${env:NAME}`` in every string; a missing variable is left as it is."""
    return map_strings(tree, lambda text: _replace("env", text, environ))


def unset_env(resolved: Any) -> Iterator[tuple[str, str]]:
    """The place and text of each ``${env:NAME}`` that :func:`resolve_env` had to leave."""
    for path, text in each_string(resolved):
        if has_env(text):
            yield path_text(path), text


def has_env(text: str) -> bool:
    """Whether a string is read from the environment, at least in part."""
    return _BEGINNING["env"] in text


def env_problems(document: Document, environ: Mapping[str, str]) -> Iterator[tuple[Path, Problem]]:
    """A problem for each ``${env:NAME}`` that is malformed or has no variable."""
    for path, text in each_string(document.data):
        for message, hint in _mistakes("env", text, environ):
            yield path, document.problem(path, message, hint)


def with_variables(document: Document, variables: Mapping[str, str]) -> Document:
    """The document with ``${var:NAME}`` replaced in every string, by ``--var NAME=VALUE``.

    The values go in literally and are not looked at again, but for their ``${env:...}``. Raises
    ConfigError that names every undefined variable at its place.
    """
    problems = [
        document.problem(path, message, hint)
        for path, text in each_string(document.data)
        for message, hint in _mistakes("var", text, variables)
    ]
    if problems:
        raise ConfigError(problems, document.source)
    data = map_strings(document.data, lambda text: _replace("var", text, variables))
    return Document(data, document.positions, document.source, document.key_positions)


def _replace(kind: str, text: str, values: Mapping[str, str]) -> str:
    if _BEGINNING[kind] not in text:
        return text
    return _REFERENCE[kind].sub(lambda match: values.get(match[1], match[0]), text)


def _mistakes(kind: str, text: str, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    beginning = _BEGINNING[kind]
    if beginning not in text:
        return
    names = _REFERENCE[kind].findall(text)
    if text.count(beginning) > len(names):
        yield f"a '{beginning}' without its '}}'", f"write {beginning}NAME}}"
    for name in dict.fromkeys(names):
        if not _NAME.match(name):
            yield f"'{beginning}...}}' needs the name of a variable", f"write {beginning}NAME}}"
        elif name not in values and kind == "env":
            yield (f"the environment variable {name} is not set",
                   f"set it before you run rdeploy: export {name}=...")
        elif name not in values:
            yield f"the variable {name} has no value", f"give it by --var {name}=..."
