"""What a create would make, and on which hosts, from the config alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rally_deploy.config import Document
    from rally_deploy.plugins import Registry


@dataclass(frozen=True)
class Part:
    """One plugin of the config: what it would do, and the plugins inside it."""

    key: str  # where it stands in the block above
    kind: str  # engine or provider
    plugin: str
    summary: str
    lines: Sequence[str]
    parts: Sequence[Part]


def plan(document: Document, registry: Registry) -> Part:
    """The plan of a config that is valid. Nothing is asked and nothing is touched."""
    return _part("", "engine", document.data, registry)


def _part(key: str, kind: str, block: Mapping[str, Any], registry: Registry) -> Part:
    from rally_deploy import config

    name = config.plugin_name(block)
    plugin = registry.engine(name) if kind == "engine" else registry.provider(name)
    schema = plugin.CONFIG_SCHEMA
    values = config.normalize(block, schema)
    parts = [
        _part(inner_key, inner_kind, inner, registry)
        for inner_key, inner_kind, inner in _nested(values, schema)
    ]
    summary = (plugin.__doc__ or "").strip().splitlines()[:1]
    return Part(key, kind, plugin.__name__, summary[0] if summary else "",
                list(_lines(plugin, values, schema)), parts)


def _nested(
    values: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    """(key, kind, block) of each plugin's block right inside this one."""
    for key, about in schema.get("properties", {}).items():
        value = values.get(key)
        if about.get("x-plugin") and isinstance(value, Mapping):
            yield key, about["x-plugin"], value
        kind = (about.get("items") or {}).get("x-plugin")
        if kind and isinstance(value, list):
            for number, one in enumerate(value):
                if isinstance(one, Mapping):
                    yield f"{key}[{number}]", kind, one


def _lines(
    plugin: Any, values: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterable[str]:
    """What the plugin says of itself (an optional classmethod ``plan``), else its config."""
    if hasattr(plugin, "plan"):
        yield from plugin.plan(values)
        return
    for server in values.get("credentials") or ():
        yield f"uses {_address(server)}"
    for key, about in schema.get("properties", {}).items():
        value = values.get(key)
        nested = about.get("x-plugin") or (about.get("items") or {}).get("x-plugin")
        if nested or key in ("type", "name", "credentials") or value in (None, "", [], {}):
            continue
        yield f"{key}: {_shown(value, about)}"


def _address(server: Any) -> str:
    if not isinstance(server, Mapping):
        return str(server)
    if server.get("connection") == "local":
        return "this machine"
    return f"{server.get('user', 'root')}@{server.get('host')}:{server.get('port', 22)}"


def _shown(value: Any, about: Mapping[str, Any]) -> str:
    import json

    if about.get("x-secret"):
        return "***"
    return value if isinstance(value, str) else json.dumps(_masked(value, about))


def _masked(value: Any, about: Mapping[str, Any]) -> Any:
    if about.get("x-secret"):
        return "***"
    if isinstance(value, Mapping):
        inner = about.get("properties", {})
        return {key: _masked(one, inner.get(key, {})) for key, one in value.items()}
    if isinstance(value, list):
        return [_masked(one, about.get("items") or {}) for one in value]
    return value
