"""``rdeploy validate``."""

from __future__ import annotations

import click

from rally_deploy.cli.ending import tell
from rally_deploy.cli.options import ConfigFile
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.cli.table import clean
from rally_deploy.cli.variables import parse_variables
from rally_deploy.errors import RallyDeployError


@click.command(short_help="Find every mistake in config files.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=ConfigFile())
@click.option("--var", "variables", multiple=True, metavar="KEY=VALUE",
              help="As for 'rdeploy create'.")
@pass_settings
def command(settings: Settings, files: tuple[str, ...], variables: tuple[str, ...]) -> int:
    """Find every mistake in config files, without touching anything.

    Each mistake is told with its file, line, path, and the nearest valid key. The exit code is 2
    if any file has one.
    """
    import os

    from rally_deploy import config
    from rally_deploy.plugins import Registry

    registry, values, code = Registry(), parse_variables(variables), 0
    for path in files:
        try:
            warnings = config.validate(config.load(path, values), registry, os.environ)
        except RallyDeployError as error:
            tell(error, settings)
            code = 2
        else:
            for warning in warnings:
                click.echo(f"warning: {clean(str(warning))}", err=True)
            click.echo(f"{path}: ok")
    return code
