"""``rdeploy destroy``."""

from __future__ import annotations

import click

from rally_deploy.cli.ending import tell
from rally_deploy.cli.options import (
    complete_deployment,
    confirm,
    json_lines_option,
    read_default,
    timeout_option,
    write_default,
    yes_option,
)
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.errors import Cancelled, RallyDeployError


@click.command(short_help="Remove all that deployments ever made.")
@click.argument("wanted", metavar="UUID...", nargs=-1, required=True,
                shell_complete=complete_deployment)
@yes_option
@timeout_option
@json_lines_option
@pass_settings
def command(
    settings: Settings, wanted: tuple[str, ...], yes: bool, timeout_s: float | None, as_json: bool
) -> int:
    """Remove everything that these deployments ever made, and only that.

    Asks first when it runs on a terminal. Where nobody can answer (CI, a pipe) it does not ask.
    One that fails does not keep the others; run it again once what is named is mended. The
    default deployment is never meant here: a UUID must be given.
    """
    with settings.open_deployer() as deployer:
        # Before any is touched: one that is misspelt must not be seen after the others are gone.
        records = [deployer.find(one) for one in wanted]
    confirm(f"Destroy {', '.join(dict.fromkeys(r.name for r in records))}?", yes)
    code = 0
    for uuid in dict.fromkeys(record.uuid for record in records):
        try:
            _destroy(settings, uuid, timeout_s, as_json)
        except Cancelled:
            raise
        except RallyDeployError as error:
            failure = tell(error, settings)
            code = code or failure
    return code


def _destroy(settings: Settings, uuid: str, timeout_s: float | None, as_json: bool) -> None:
    from rally_deploy.cli.ssh_files import remove_ssh_files
    from rally_deploy.cli.working import working
    from rally_deploy.model import State

    with working(settings, as_json) as work:
        record = work.deployer.find(uuid)
        work.begin(record, State.DESTROYING, State.DESTROYED)
        record = work.deployer.destroy(uuid, timeout_s)
        work.done(record)
        remove_ssh_files(record.uuid)
        if read_default() == record.uuid:
            write_default("")
        if not as_json:
            work.say(f"{record.name} is {record.state}.")
