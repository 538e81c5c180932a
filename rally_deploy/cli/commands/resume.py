"""``rdeploy resume``."""

from __future__ import annotations

import click

from rally_deploy.cli.options import (
    deployment_argument,
    json_lines_option,
    timeout_option,
    wait_option,
)
from rally_deploy.cli.settings import Settings, pass_settings


@click.command(short_help="Go on where a create stopped.")
@deployment_argument
@timeout_option
@click.option("--keep-on-failure/--destroy-on-failure", "keep", default=True,
              help="As for 'rdeploy create'. Kept by default.")
@wait_option
@json_lines_option
@pass_settings
def command(
    settings: Settings, wanted: str, timeout_s: float | None, keep: bool, wait: bool, as_json: bool
) -> None:
    """Go on where a failed, cancelled or killed create stopped.

    What is there already is not made again.
    """
    from rally_deploy.cli.whats_next import tell_whats_next
    from rally_deploy.cli.working import working
    from rally_deploy.model import State

    with working(settings, as_json) as work:
        record = work.deployer.find(wanted)
        work.begin(record, State.PROVISIONING, State.READY)
        record = work.deployer.resume(
            record.uuid, timeout_s, destroy_on_failure=not keep, wait=wait)
        work.done(record)
        if not as_json:
            tell_whats_next(work, record)
