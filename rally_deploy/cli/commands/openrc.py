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
    """The variables of a cloud, password included: source it, then use 'openstack'.

    The certificates of a cloud of ours that speaks https are in a file in our data folder.
    """
    from rally_deploy import access
    from rally_deploy.cli.ca_file import with_ca_file

    with settings.open_deployer() as deployer:
        record = deployer.find(wanted)
        credentials = access.choose_user(deployer.credentials(record.uuid), user or "")
    give(access.openrc(with_ca_file(record.uuid, credentials)), output)
