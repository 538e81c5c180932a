"""``python -m rally_deploy.cli.reference docs``: cli.rst and keys.rst, from what they describe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rally_deploy.cli.plugin_commands import key_rows
from rally_deploy.cli.rendering import dump

if TYPE_CHECKING:
    from rally_deploy.plugins import Registry

_NOTE = ".. This file is generated: python -m rally_deploy.cli.reference docs\n"


def cli_reference() -> str:
    """The text of docs/cli.rst, from click."""
    from rally_deploy.cli.group import rdeploy

    ctx = click.Context(rdeploy, info_name="rdeploy", **rdeploy.context_settings)
    return _text("Command line", _command(ctx, "-"))


def key_reference(registry: Registry) -> str:
    """The text of docs/keys.rst: every key of our own plugins, from their schemas."""
    kinds: tuple[tuple[str, Any, Any], ...] = (
        ("Engines", registry.engines(), registry.engine),
        ("Server providers", registry.providers(), registry.provider),
    )
    lines = [
        "The same as ``rdeploy engines show NAME`` and ``rdeploy providers show NAME`` tell.\n"
    ]
    for title, entries, find in kinds:
        lines.append(f"{title}\n{'-' * len(title)}\n")
        for name, aliases, summary, broken in entries:
            if broken:
                continue
            plugin = find(name)
            module = plugin.__module__
            if module.startswith("rally_deploy.") and ".testing." not in module:
                lines += _plugin(name, aliases, summary, plugin.CONFIG_SCHEMA)
    return _text("Keys of engines and providers", lines)


def _text(title: str, parts: Iterable[str]) -> str:
    return "\n".join([f"{title}\n{'=' * len(title)}\n", _NOTE, *parts]).rstrip() + "\n"


def _command(ctx: click.Context, underline: str) -> Iterator[str]:
    title = ctx.command_path
    yield f"{title}\n{underline * len(title)}\n"
    yield "::\n"
    yield f"    {ctx.command_path} {' '.join(ctx.command.collect_usage_pieces(ctx))}\n"
    yield _paragraphs(ctx.command.help or "")
    for parameter in ctx.command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        # Arguments stand in the usage line; newer releases of click list them here, too.
        if record and isinstance(parameter, click.Option):
            yield f"``{record[0]}``\n    {record[1]}\n"
    if isinstance(ctx.command, click.Group):
        for name in ctx.command.list_commands(ctx):
            found = ctx.command.get_command(ctx, name)
            assert found is not None
            inner = click.Context(found, info_name=name, parent=ctx)
            yield from _command(inner, "-" if ctx.parent is None else "~")


def _paragraphs(text: str) -> str:
    """Click's help as reStructuredText: what it must not wrap becomes a line block."""
    blocks = []
    for block in text.strip().split("\n\n"):
        lines = [line.strip() for line in block.splitlines()]
        if lines[0] == "\b":
            lines = [f"| {line}" for line in lines[1:]]
        blocks.append("\n".join(line.replace("*", "\\*") for line in lines))
    return "\n\n".join(blocks) + "\n"


def _plugin(name: str, aliases: Iterable[str], summary: str, schema: Any) -> Iterator[str]:
    yield f"{name}\n{'~' * len(name)}\n"
    also = ", ".join(aliases)
    yield _paragraphs(summary + (f" Also: {also}." if also else ""))
    for key, kind, default, meaning in key_rows(schema):
        about = ", ".join(filter(None, (
            kind, default if default in ("", "required") else f"default ``{default}``"
        )))
        yield f"``{key}``\n    {about}" + (f": {_literal(meaning)}" if meaning else "") + "\n"
    for example in schema.get("examples", ())[:1]:
        indented = "\n".join("    " + line for line in dump(example).splitlines())
        yield f"Example::\n\n{indented}\n"


def _literal(text: str) -> str:
    """Text in which nothing is markup."""
    return "".join("\\" + c if c in "*`|_\\" else c for c in text)


def main(folder: str) -> None:
    from rally_deploy.plugins import Registry

    Path(folder, "cli.rst").write_text(cli_reference(), encoding="utf-8")
    Path(folder, "keys.rst").write_text(key_reference(Registry()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
