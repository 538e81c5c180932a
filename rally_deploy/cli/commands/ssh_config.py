"""``rdeploy ssh-config``."""

from __future__ import annotations

from pathlib import Path

import click

from rally_deploy.cli.options import deployment_argument, give, output_option
from rally_deploy.cli.settings import Settings, pass_settings


@click.command("ssh-config", short_help="An ssh configuration for one's servers.")
@deployment_argument
@output_option
@pass_settings
def command(settings: Settings, wanted: str, output: Path | None) -> None:
    """What 'ssh -F FILE SERVER', scp, rsync or Ansible take to reach the servers.

    It names key and known_hosts files in our data folder, which 'destroy' removes. A password
    does not stand in it; 'rdeploy ssh' gives it to ssh by itself.
    """
    from rally_deploy.cli.ssh_files import all_servers, write_ssh_files

    with settings.open_deployer() as deployer:
        overview = deployer.show(wanted)
        files = write_ssh_files(deployer, overview.record.uuid, all_servers(overview))
    give(files.config.read_text() or "# all of its servers are this machine\n", output)
