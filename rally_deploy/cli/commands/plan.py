"""``rdeploy plan``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rally_deploy.cli.options import ConfigFile, json_option
from rally_deploy.cli.rendering import dump
from rally_deploy.cli.table import clean
from rally_deploy.cli.variables import parse_variables

if TYPE_CHECKING:
    from rally_deploy.plan import Part


@click.command(short_help="What a config would make, and where.")
@click.argument("path", metavar="FILE", type=ConfigFile())
@click.option("--var", "variables", multiple=True, metavar="KEY=VALUE",
              help="As for 'rdeploy create'.")
@json_option
def command(path: str, variables: tuple[str, ...], as_json: bool) -> None:
    """What 'create' would make from a config file, and on which hosts. Nothing is touched."""
    import os

    from rally_deploy import config
    from rally_deploy.plan import plan
    from rally_deploy.plugins import Registry

    registry = Registry()
    document = config.load(path, parse_variables(variables))
    config.validate(document, registry, os.environ)
    top = plan(document, registry)
    click.echo(dump(asdict(top)) if as_json else "\n".join(_lines(top, 0)))


def _lines(part: Part, depth: int) -> Iterable[str]:
    space = "  " * depth
    key = f"{part.key}: " if part.key else ""
    yield f"{space}{key}{part.plugin} ({clean(part.summary).rstrip('.')})"
    for line in part.lines:
        yield f"{space}  - {clean(line)}"
    for inner in part.parts:
        yield from _lines(inner, depth + 1)
