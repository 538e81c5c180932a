"""What a create would make, and on which hosts, from the config alone."""

from __future__ import annotations

import json
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
    """The plan of a config that is valid, secrets masked. Nothing is asked or touched."""
    from rally_deploy.config import mask_secrets

    return _part("", "engine", mask_secrets(document.data, registry), registry)


def _part(
    key: str, kind: str, block: Mapping[str, Any], registry: Registry, given: Sequence[str] = ()
) -> Part:
    """The part of one block; the plugin above fills in the ``given`` keys itself."""
    from rally_deploy.config import normalize, path_text, plugin_name
    from rally_deploy.config.schema import nested_blocks

    name = plugin_name(block)
    plugin: Any = registry.engine(name) if kind == "engine" else registry.provider(name)
    own = {name: value for name, value in block.items() if name not in given}
    values = normalize(own, plugin.CONFIG_SCHEMA)
    nested = list(nested_blocks(values, plugin.CONFIG_SCHEMA))
    summary = (plugin.__doc__ or "").strip().splitlines()[:1]
    return Part(
        key, kind, plugin.__name__, summary[0] if summary else "",
        list(_lines(plugin, values, {path[0] for path, _, _ in nested})),
        [_part(path_text(path), schemas.get("x-plugin"), inner, registry,
               schemas.get("x-plugin-given") or ())
         for path, inner, schemas in nested],
    )


def _lines(plugin: Any, values: Mapping[str, Any], nested: set[str | int]) -> Iterable[str]:
    """What the plugin says of itself (an optional classmethod ``plan``), else its config."""
    if hasattr(plugin, "plan"):
        yield from plugin.plan(values)
        return
    for server in values.get("credentials") or ():
        yield f"uses {_address(server)}"
    for key, value in values.items():
        if key in nested or key in ("type", "name", "credentials") or value in (None, "", [], {}):
            continue
        yield f"{key}: {value if isinstance(value, str) else json.dumps(value)}"


def _address(server: Any) -> str:
    if not isinstance(server, Mapping):
        return str(server)
    if server.get("connection") == "local":
        return "this machine"
    return f"{server.get('user', 'root')}@{server.get('host')}:{server.get('port', 22)}"
