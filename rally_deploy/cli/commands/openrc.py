"""``rdeploy openrc``."""

from __future__ import annotations

from pathlib import Path

import click

from rally_deploy.cli.options import deployment_argument, give, output_option, user_option
from rally_deploy.cli.settings import Settings, pass_settings


@click.command(short_help="An openrc file for one's cloud.")
@deployment_argument
@user_option
@output_option
@pass_settings
def command(settings: Settings, wanted: str, user: str | None, output: Path | None) -> None:
    """The variables of a cloud, password included: source it, then use 'openstack'."""
    from rally_deploy import access

    with settings.open_deployer() as deployer:
        credentials = access.choose_user(deployer.credentials(wanted), user or "")
    give(access.openrc(credentials), output)
