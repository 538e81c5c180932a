"""``python -m rally_deploy.cli.reference``: docs/cli.rst, from the commands themselves."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

_TITLE = """Command line
============

.. This file is generated: python -m rally_deploy.cli.reference docs/cli.rst
"""


def reference() -> str:
    """The text of docs/cli.rst."""
    from rally_deploy.cli.group import rdeploy

    ctx = click.Context(rdeploy, info_name="rdeploy", **rdeploy.context_settings)
    return "\n".join([_TITLE, *_command(ctx, "-")]).rstrip() + "\n"


def _command(ctx: click.Context, underline: str) -> Iterable[str]:
    title = ctx.command_path
    yield f"{title}\n{underline * len(title)}\n"
    yield "::\n"
    yield f"    {ctx.command_path} {' '.join(ctx.command.collect_usage_pieces(ctx))}\n"
    yield _paragraphs(ctx.command.help or "")
    for parameter in ctx.command.get_params(ctx):
        record = parameter.get_help_record(ctx)
        if record:
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


def main(path: str) -> None:
    Path(path).write_text(reference())


if __name__ == "__main__":
    main(sys.argv[1])
