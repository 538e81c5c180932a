"""``rdeploy config``."""

from __future__ import annotations

from pathlib import Path

import click

from rally_deploy.cli.options import deployment_argument, give, output_option
from rally_deploy.cli.rendering import dump
from rally_deploy.cli.settings import Settings, pass_settings


@click.command(short_help="The config of one, as it was given.")
@deployment_argument
@click.option("--secrets", is_flag=True, help="With its passwords in clear.")
@output_option
@pass_settings
def command(settings: Settings, wanted: str, secrets: bool, output: Path | None) -> None:
    """The config that a deployment was created from, as JSON.

    Passwords are masked unless --secrets asks for them; ${env:NAME} stands there unread.
    """
    with settings.open_deployer() as deployer:
        tree = deployer.config(wanted, show_secrets=secrets)
    give(dump(tree) + "\n", output)
