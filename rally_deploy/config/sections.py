"""The section ``libcloud`` of a config: providers by name, as in teuthology's configs.

``{"libcloud": {"providers": {NAME: {"driver": ..., "driver_args": ...}}}}`` stands at the top.
Where ``"provider": NAME`` stands, in a block of LibcloudProvider or in place of a whole block, the
named one is filled in, so that all that follows knows plain blocks only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.config.blocks import plugin_name
from rally_deploy.config.document import Document, Path
from rally_deploy.config.messages import meant, type_name
from rally_deploy.errors import ConfigError, Problem

_SECTION = "libcloud"
_PLUGIN = "LibcloudProvider"
_KEYS = ("provider", "host_provider")


def with_sections(document: Document) -> Document:
    """The document without the section, its providers filled in where they are named.

    What the block says itself goes before what the section says. Raises ConfigError that names
    every mistake of the section and every name that it does not have.
    """
    if not isinstance(document.data, Mapping):
        return document
    return _Filling(document).done()


class _Filling:
    """One run over one document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._problems: list[Problem] = []
        self._places: list[tuple[Path, str, Mapping[str, Any]]] = []
        self._providers = self._section()

    def done(self) -> Document:
        old = self._document
        rest = {key: value for key, value in old.data.items() if key != _SECTION}
        data = self._filled(rest, ())
        if self._problems:
            raise ConfigError(self._problems, old.source)
        if _SECTION not in old.data:
            return old
        return Document(
            data, dict(self._moved(old.positions)), old.source,
            dict(self._moved(old.key_positions)),
        )

    def _section(self) -> Mapping[str, Any]:
        section = self._document.data.get(_SECTION, {})
        if not isinstance(section, Mapping):
            self._wrong((_SECTION,), f"it must be an object, not {type_name(section)}")
            return {}
        for key in section:
            if key != "providers":
                self._wrong((_SECTION, key), "unknown key", "known keys: providers")
        providers = section.get("providers", {})
        if not isinstance(providers, Mapping):
            self._wrong((_SECTION, "providers"), "it must be an object of providers by name")
            return {}
        for name, block in providers.items():
            if not isinstance(block, Mapping):
                self._wrong((_SECTION, "providers", name),
                            f"it must be an object, not {type_name(block)}",
                            '{"driver": ..., "driver_args": {...}}')
        return providers

    def _filled(self, value: Any, path: Path) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._filled(item, (*path, i)) for i, item in enumerate(value)]
        if not isinstance(value, Mapping):
            return value
        if plugin_name(value) == _PLUGIN and isinstance(value.get("provider"), str):
            own = {key: inner for key, inner in value.items() if key != "provider"}
            return self._named(value["provider"], own, path, (*path, "provider"))
        found = {}
        for key, inner in value.items():
            below = (*path, key)
            if key in _KEYS and isinstance(inner, str) and self._providers:
                found[key] = self._named(inner, {"type": _PLUGIN}, below, below)
            else:
                found[key] = self._filled(inner, below)
        return found

    def _named(self, name: str, own: Mapping[str, Any], path: Path, at: Path) -> Any:
        """The block at ``path`` with what the section has under this name, which stands ``at``."""
        block = self._providers.get(name)
        if block is None:
            self._wrong(at, f"there is no provider '{name}' in 'libcloud: providers'",
                        meant(name, list(self._providers), "there are"))
            return own
        if not isinstance(block, Mapping):
            return own  # told already
        self._places.append((path, name, own))
        return {**block, "pool": name, **own}

    def _moved(self, positions: Mapping[Path, Any]) -> Iterator[tuple[Path, Any]]:
        """The positions, with those of what was filled in still in the section."""
        yield from ((path, at) for path, at in positions.items() if path[:1] != (_SECTION,))
        inside = [(path[2:], at) for path, at in positions.items()
                  if path[:2] == (_SECTION, "providers")]
        for place, name, own in self._places:
            yield from (
                ((*place, *path[1:]), at) for path, at in inside
                if path[:1] == (name,) and path[1:] and path[1] not in own
            )

    def _wrong(self, path: Path, message: str, hint: str = "") -> None:
        self._problems.append(self._document.problem(path, message, hint))
