"""The key ``dns`` at the top of a config: it counts for every provider's block that has none.

It is written into each of them, so that all that follows knows blocks of providers only. Servers
that only carry others get no names by it: those of a ``host_provider``, and the hosts of an engine
around another engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.config.blocks import plugin_name
from rally_deploy.config.document import Document, Path
from rally_deploy.errors import ConfigError

_KEY = "dns"


def with_dns(document: Document) -> Document:
    """The document with the key moved to where it counts; ConfigError if that is nowhere."""
    data = document.data
    if not isinstance(data, Mapping) or _KEY not in data:
        return document
    places: list[Path] = []
    rest = {key: value for key, value in data.items() if key != _KEY}
    filled = _filled(rest, data[_KEY], (), places)
    if not places:
        raise ConfigError([document.problem(
            (_KEY,), "there is no provider's block that it counts for",
            "not for hosts of LxcEngine or of a 'host_provider', nor where a block has its own; "
            "write it into the provider's block that is meant", key=True)], document.source)
    return Document(
        filled, dict(_moved(document.positions, places)), document.source,
        dict(_moved(document.key_positions, places)),
    )


def _filled(value: Any, dns: Any, path: Path, places: list[Path]) -> Any:
    """The value with ``dns`` in its providers' blocks; ``places`` gets where these are."""
    if isinstance(value, (list, tuple)):
        return [_filled(item, dns, (*path, i), places) for i, item in enumerate(value)]
    if not isinstance(value, Mapping) or isinstance(value.get("engine"), Mapping):
        return value
    found = {}
    for key, inner in value.items():
        below = (*path, key)
        if key == "provider" and isinstance(inner, Mapping) and plugin_name(inner):
            found[key] = inner
            if _KEY not in inner:
                places.append(below)
                found[key] = {**inner, _KEY: dns}
        else:
            found[key] = _filled(inner, dns, below, places)
    return found


def _moved(positions: Mapping[Path, Any], places: list[Path]) -> Iterator[tuple[Path, Any]]:
    """The positions, with those of the key below each of the blocks that have it now."""
    for path, at in positions.items():
        if path[:1] != (_KEY,):
            yield path, at
        else:
            yield from (((*place, *path), at) for place in places)
