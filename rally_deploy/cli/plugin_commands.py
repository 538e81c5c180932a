"""``engines`` and ``providers`` are one command for two kinds of plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import click

from rally_deploy.cli.options import json_option
from rally_deploy.cli.rendering import dump
from rally_deploy.cli.table import clean, table

if TYPE_CHECKING:
    from rally_deploy.config.schema import Subschemas
    from rally_deploy.plugins import Registry


def plugin_group(kind: str) -> click.Group:
    """The group ``<kind>s`` with ``show NAME``; alone it lists them."""

    @click.group(f"{kind}s", invoke_without_command=True,
                 short_help=f"The {kind}s that are installed.",
                 help=f"The {kind}s that are installed, third-party ones too.")
    @json_option
    @click.pass_context
    def group(ctx: click.Context, as_json: bool) -> None:
        if ctx.invoked_subcommand is None:
            _list(kind, as_json)

    @group.command("show", short_help="Every key of one's config.")
    @click.argument("name", shell_complete=_names(kind))
    @json_option
    def show(name: str, as_json: bool) -> None:
        """Every key of its config block: type, default, meaning; and an example that is valid."""
        from rally_deploy.plugins import Registry

        registry = Registry()
        found = registry.engine(name) if kind == "engine" else registry.provider(name)
        if as_json:
            click.echo(dump(found.CONFIG_SCHEMA))
        else:
            click.echo("\n".join(_reference(found)))

    return group


def _entries(kind: str, registry: Registry) -> list[tuple[str, Any, str, str]]:
    return registry.engines() if kind == "engine" else registry.providers()


def _names(kind: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from rally_deploy.plugins import Registry

        return [name for name, *_ in _entries(kind, Registry()) if name.startswith(incomplete)]

    return complete


def _list(kind: str, as_json: bool) -> None:
    from rally_deploy.plugins import Registry

    entries = _entries(kind, Registry())
    if as_json:
        click.echo(dump([
            {"name": name, "aliases": list(aliases), "summary": summary, "broken": broken}
            for name, aliases, summary, broken in entries
        ]))
        return
    click.echo(table((kind, "also", "what it does"), [
        (name, ", ".join(aliases), f"BROKEN: {broken}" if broken else summary)
        for name, aliases, summary, broken in entries
    ]))
    click.echo(f"\n'rdeploy {kind}s show NAME' lists the keys of its config.")


def _reference(plugin: type) -> Iterable[str]:
    schema: Mapping[str, Any] = plugin.CONFIG_SCHEMA  # type: ignore[attr-defined]
    yield f"{plugin.__name__}: {clean((plugin.__doc__ or '').strip().splitlines()[0])}\n"
    yield table(("key", "type", "default", "meaning"), key_rows(schema))
    for example in schema.get("examples", ())[:1]:
        yield f"\nExample:\n{dump(example)}"


#: Objects with so few keys are told in full each time.
_FEW = 3

Row = tuple[str, str, str, str]


def key_rows(schema: Mapping[str, Any]) -> list[Row]:
    """(key, type, default, meaning) of each key, those of nested objects too, each object once."""
    from rally_deploy.config.schema import Subschemas

    top = Subschemas.of({}, schema)
    return list(_rows(top, "", {frozenset(top.properties()): "this table"}))


def _rows(schemas: Subschemas, above: str, told: dict[frozenset[str], str]) -> Iterable[Row]:
    required = {
        key for one in schemas.all for key in one.get("required", ())
        # What only chooses between alternatives has nothing else to say.
        if {"properties", "type", "$ref"} & set(one)
    }
    for key, about in schemas.properties().items():
        name, below = f"{above}{key}", schemas.below(key, {})
        also = about.get("x-alias", ())
        meaning = str(below.get("description") or "")
        if also:
            meaning += f" (also: {', '.join(also)})"
        inner: list[tuple[str, Subschemas]] = []
        same = ""
        for path, inside in ((name, below), (f"{name}[]", schemas.below(key, []).below(0, {}))):
            keys = frozenset(inside.properties())
            if not keys or inside.get("x-plugin"):
                continue
            # A server may be behind one, which may be behind one ...
            like = next((where for known, where in told.items()
                         if keys <= known and len(keys) > _FEW), "")
            if like:
                same = same or like
            else:
                told[keys] = path
                inner.append((path, inside))
        if same and not inner:
            meaning = "; ".join(filter(None, (meaning, f"keys as of {same}")))
        yield name, _type_of(schemas, key), _default(about, key in required), meaning
        for path, inside in inner:
            yield from _rows(inside, f"{path}.", told)


def _type_of(schemas: Subschemas, key: str) -> str:
    about = schemas.properties()[key]
    plugin = schemas.below(key, {}).get("x-plugin")
    if plugin:
        return f"{plugin} block" if "array" not in str(about.get("type")) else f"{plugin} blocks"
    plugin = schemas.below(key, []).below(0, {}).get("x-plugin")
    if plugin:
        return f"list of {plugin} blocks"
    text = type_text(about)
    if text != "any":
        return text
    # Behind a $ref: ask what it says of a value of each type.
    probes: tuple[Any, ...] = ({}, [], "", 0)
    found = [schemas.below(key, probe).get("type") for probe in probes]
    return " or ".join(dict.fromkeys(type_text({"type": one}) for one in found if one)) or "any"


def _default(value: Mapping[str, Any], required: bool) -> str:
    if "default" in value:
        return dump(value["default"], lines=True)
    return "required" if required else ""


def type_text(value: Any) -> str:
    """A schema's type in a few words."""
    if not isinstance(value, Mapping):
        return "any"
    if value.get("x-plugin"):
        return f"{value['x-plugin']} block"
    if "const" in value:
        return dump(value["const"], lines=True)
    if "enum" in value:
        return " | ".join(dump(one, lines=True) for one in value["enum"])
    for key in ("anyOf", "oneOf"):
        if key in value:
            return " or ".join(dict.fromkeys(type_text(one) for one in value[key]))
    kinds = value.get("type") or "any"
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if kinds == ["array"]:
        return f"list of {type_text(value.get('items'))}"
    return " or ".join(kinds)
