"""What is done with a plugin's block once it is valid: names, defaults, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rally_deploy.config.schema import Schema, Subschemas, items, tidy
from rally_deploy.config.strings import map_strings

if TYPE_CHECKING:
    from typing import Protocol

    class Registry(Protocol):
        """Finds plugin classes by their name in a config."""

        def engine(self, name: str) -> type: ...

        def provider(self, name: str) -> type: ...


HIDDEN = "***"

#: Shorter secrets are ordinary words, so that hiding them everywhere would hide the config.
_LONG = 8

#: Endings of keys that hold a secret wherever they are, unless their schema says otherwise.
_SECRET_KEY = re.compile(
    r"(passw(or)?d|pass|passphrase|secret|token|hmac_key|private_key|secret_key|access_key)s?\Z",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$\{env:[^}]*\}")
#: A line of a whole file in a string, a local.conf say: KEY=VALUE.
_LINE = re.compile(r"(?m)^([ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*)(\S.*?)[ \t\r]*$")

#: The keys by which a config without a type is known as that of a cloud that is there already.
CLOUD_KEYS = ("openstack", "existing@openstack")


def plugin_name(block: Any) -> str:
    """The name of the plugin whose block this is; empty if it says none.

    Rally's ``{"openstack": {...}}`` and ``{"existing@openstack": {...}}`` are ExistingCloud's.
    """
    if not isinstance(block, Mapping):
        return ""
    for key in ("type", "name"):
        if isinstance(block.get(key), str) and block[key]:
            return str(block[key])
    if not {"type", "name"} & set(block) and any(key in block for key in CLOUD_KEYS):
        return "ExistingCloud"
    return ""


def normalize(block: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """The block as its plugin wants it: aliases replaced, empty keys left out, defaults set.

    Nested plugins' blocks stay as they are.
    """
    found: dict[str, Any] = tidy(block, schema, defaults=True)
    return found


def secret_values(config: Any, registry: Registry) -> list[str]:
    """Every secret in a config: what the plugins' schemas say is one, or what sounds like one."""
    found = {
        str(value)
        for value, secret in _leaves(config, registry)
        if secret and value not in ("", None) and not isinstance(value, bool)
        and not _REFERENCE.fullmatch(str(value))
    }
    return sorted(found)


def mask_secrets(config: Any, registry: Registry) -> Any:
    """The config for a person's eyes: secrets are ``***``, ``${env:NAME}`` stays."""
    masked = _masked(config, registry)
    # A secret may also stand in the middle of another string: a URL, a whole local.conf.
    inside = [value for value in secret_values(config, registry) if len(value) >= _LONG]
    if not inside:
        return masked
    inside.sort(key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(value) for value in inside))
    return map_strings(masked, lambda text: pattern.sub(HIDDEN, text))


def plugin_schema(block: Any, registry: Registry, kind: str) -> Schema:
    """The schema of a block's plugin; an empty one if there is no such plugin."""
    try:
        find = registry.engine if kind == "engine" else registry.provider
        schema = find(plugin_name(block)).CONFIG_SCHEMA  # type: ignore[attr-defined]
    except Exception:
        # Secrets must be found in the config of a plugin that is broken or not installed, too.
        return {}
    return schema if isinstance(schema, Mapping) else {}


def sounds_secret(key: str | int) -> bool:
    """Whether a key of this name usually holds a secret."""
    return isinstance(key, str) and bool(_SECRET_KEY.search(key))


def _children(
    value: Any, schemas: Subschemas, registry: Registry, secret: bool
) -> Iterator[tuple[str | int, Any, Subschemas, bool]]:
    """What is below a value, with its schemas, and whether it is secret."""
    aliases = schemas.aliases() if isinstance(value, Mapping) else {}
    for step, below in items(value):
        inner = schemas.below(aliases.get(step, step) if isinstance(step, str) else step, below)
        kind = inner.get("x-plugin") or (
            schemas.get("x-plugin") if isinstance(step, int) else None
        )
        said = inner.get("x-secret")
        now = bool(said) if said is not None else secret or sounds_secret(step)
        if isinstance(below, Mapping) and (kind or not inner.all and plugin_name(below)):
            # An unknown plugin's nested blocks are known by their type, whatever their key.
            schema = plugin_schema(below, registry, kind or "engine") or plugin_schema(
                below, registry, "provider")
            inner = Subschemas.of(below, schema)
        yield step, below, inner, now


def _top(config: Any, registry: Registry) -> Subschemas:
    """The schemas of a whole config, or of a provider's block alone."""
    schema = plugin_schema(config, registry, "engine") or plugin_schema(
        config, registry, "provider")
    return Subschemas.of(config, schema)


def _leaves(config: Any, registry: Registry) -> Iterator[tuple[Any, bool]]:
    schemas = _top(config, registry)
    todo = [(config, schemas, False)]
    while todo:
        value, here, secret = todo.pop()
        if isinstance(value, (Mapping, list, tuple)):
            todo.extend(
                (below, inner, now)
                for _, below, inner, now in _children(value, here, registry, secret)
            )
        else:
            yield value, secret
            if isinstance(value, str) and not secret:
                yield from ((_bare(line), True) for line in _LINE.finditer(value) if _tells(line))


def _masked_lines(text: str) -> str:
    """A whole file in a string with the secrets of its lines masked."""
    return _LINE.sub(lambda line: line[1] + HIDDEN if _tells(line) else line[0], text)


def _tells(line: re.Match[str]) -> bool:
    """Whether a line holds a secret, and not only the name of another variable."""
    return sounds_secret(line[2]) and not _bare(line).startswith("$")


def _bare(line: re.Match[str]) -> str:
    return line[3].strip("\"'")


def _masked(config: Any, registry: Registry) -> Any:
    def mask(value: Any, schemas: Subschemas, secret: bool) -> Any:
        if isinstance(value, Mapping):
            return {
                step: mask(below, inner, now)
                for step, below, inner, now in _children(value, schemas, registry, secret)
            }
        if isinstance(value, (list, tuple)):
            return [
                mask(below, inner, now)
                for _, below, inner, now in _children(value, schemas, registry, secret)
            ]
        if not secret or value in ("", None) or isinstance(value, bool):
            return _masked_lines(value) if isinstance(value, str) else value
        return value if _REFERENCE.fullmatch(str(value)) else HIDDEN

    return mask(config, _top(config, registry), False)
