"""``rdeploy cancel``."""

from __future__ import annotations

import time

import click

from rally_deploy.cli.options import deployment_argument
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.errors import WaitTimeout
from rally_deploy.model import MOVING

_LOOK_S = 0.3


@click.command(short_help="End what another process does with one.")
@deployment_argument
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), default=60.0,
              metavar="SECONDS", show_default=True, help="How long to wait until it has ended.")
@pass_settings
def command(settings: Settings, wanted: str, timeout_s: float) -> None:
    """Ask the process that works on a deployment to end, and wait until it has.

    What it made stays: 'resume' goes on from there, 'destroy' removes it. If that process was
    killed, its deployment is 'cancelled' at once.
    """
    with settings.open_deployer() as deployer:
        record = deployer.cancel(wanted)
        end = time.monotonic() + timeout_s
        while record.state in MOVING:
            if deployer.is_stale(record):
                record = deployer.cancel(record.uuid)
                continue
            if time.monotonic() > end:
                raise WaitTimeout(
                    f"{record.name} is still {record.state} after {timeout_s:g} s",
                    remedy=f"look with 'rdeploy status {record.short}', or wait longer with "
                    "--timeout; its process can also be killed: nothing is lost",
                )
            time.sleep(_LOOK_S)
            record = deployer.find(record.uuid)
        click.echo(f"{record.name} is {record.state}.")
