"""``rdeploy clouds-yaml``."""

from __future__ import annotations

from pathlib import Path

import click

from rally_deploy.cli.options import deployment_argument, give, output_option, user_option
from rally_deploy.cli.settings import Settings, pass_settings


@click.command("clouds-yaml", short_help="A clouds.yaml for one's cloud.")
@deployment_argument
@user_option
@output_option
@pass_settings
def command(settings: Settings, wanted: str, user: str | None, output: Path | None) -> None:
    """A clouds.yaml with this cloud under the deployment's name, password included.

    'openstack --os-cloud NAME' finds it in the working folder or in ~/.config/openstack.
    """
    from rally_deploy import access
    from rally_deploy.cli.ca_file import with_ca_file

    with settings.open_deployer() as deployer:
        record = deployer.find(wanted)
        credentials = access.choose_user(deployer.credentials(record.uuid), user or "")
    give(access.clouds_yaml(record.name, with_ca_file(record.uuid, credentials)), output)
