"""``rdeploy recreate``."""

from __future__ import annotations

import click

from rally_deploy.cli.options import (
    confirm,
    deployment_argument,
    json_lines_option,
    timeout_option,
    yes_option,
)
from rally_deploy.cli.settings import Settings, pass_settings


@click.command(short_help="Destroy, then create again from the same config.")
@deployment_argument
@yes_option
@timeout_option
@json_lines_option
@pass_settings
def command(
    settings: Settings, wanted: str, yes: bool, timeout_s: float | None, as_json: bool
) -> None:
    """Destroy a deployment, then create it again from its stored config.

    Name and uuid stay. Asks first on a terminal, as 'destroy' does.
    """
    from rally_deploy.cli.whats_next import tell_whats_next
    from rally_deploy.cli.working import working
    from rally_deploy.model import State

    with settings.open_deployer() as deployer:
        record = deployer.find(wanted)
    confirm(f"Destroy {record.name} and create it again?", yes)
    with working(settings, as_json) as work:
        work.begin(record, State.PROVISIONING, State.READY)
        record = work.deployer.recreate(record.uuid, timeout_s)
        work.done(record)
        if not as_json:
            tell_whats_next(work, record)
