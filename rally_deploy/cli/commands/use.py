"""``rdeploy use``."""

from __future__ import annotations

import click

from rally_deploy.cli.options import complete_deployment, read_default, write_default
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.errors import UsageError


@click.command(short_help="Choose the default deployment.")
@click.argument("wanted", metavar="[UUID]", required=False, shell_complete=complete_deployment)
@pass_settings
def command(settings: Settings, wanted: str | None) -> None:
    """Choose the deployment that is meant where a command is given none; alone: show it.

    'create' makes the new one the default, too.
    """
    with settings.open_deployer() as deployer:
        chosen = wanted or read_default()
        if not chosen:
            raise UsageError("there is no default deployment", remedy="'rdeploy use UUID'")
        record = deployer.find(chosen)
    if wanted:
        write_default(record.uuid)
    click.echo(f"{record.name} {record.uuid} is the default deployment.")
