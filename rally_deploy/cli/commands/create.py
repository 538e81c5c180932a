"""``rdeploy create``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rally_deploy.cli.options import (
    ConfigFile,
    check_name,
    json_lines_option,
    timeout_option,
    wait_option,
)
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.errors import UsageError

if TYPE_CHECKING:
    from rally_deploy.config import Document


@click.command(short_help="Make a cloud from a config file.")
@click.option("--name", metavar="NAME", default="", callback=check_name,
              help="Its name; by default the file's.")
@click.option("--file", "-f", "--filename", "path", type=ConfigFile(), metavar="FILE",
              help="The config, JSON or YAML; '-' reads it from standard input.")
@click.option("--fromenv", is_flag=True,
              help="A cloud that is there already, from the OS_* variables.")
@click.option("--var", "variables", multiple=True, metavar="KEY=VALUE",
              help="Stands for ${var:KEY} in the config; may be given many times.")
@timeout_option
@click.option("--keep-on-failure/--destroy-on-failure", "keep", default=True,
              help="Whether a create that fails or is cancelled leaves what it made, to be "
              "looked at, resumed or destroyed. Kept by default.")
@click.option("--use/--no-use", default=True,
              help="Whether it becomes the default deployment, as in Rally. It does by default.")
@wait_option
@json_lines_option
@pass_settings
def command(
    settings: Settings, name: str, path: str | None, fromenv: bool, variables: tuple[str, ...],
    timeout_s: float | None, keep: bool, use: bool, wait: bool, as_json: bool,
) -> None:
    """Make a cloud from a config file, and say how to use it.

    The whole config is checked before anything is touched. The uuid is printed first: from then
    on 'list', 'show' and 'destroy' know the deployment, whatever happens to this command. Ctrl-C
    leaves a cancelled deployment that can be resumed or destroyed. Where past runs can say it, a
    step that begins tells how much of the whole is left ('left_s' with --json, in seconds).

    With --fromenv the cloud's address and user come from OS_AUTH_URL, OS_USERNAME, OS_PASSWORD,
    OS_PROJECT_NAME (or OS_TENANT_NAME) and the other usual variables. They are stored, the
    password encrypted, so the variables are not needed afterwards.
    """
    from rally_deploy.cli.whats_next import tell_whats_next
    from rally_deploy.cli.working import working
    from rally_deploy.model import DeploymentRecord, State

    document = _document(path, fromenv, variables)
    with working(settings, as_json) as work:

        def announce(record: DeploymentRecord) -> None:
            work.announce(record)
            if use:
                work.try_default(record)
            work.begin(record, State.PROVISIONING, State.READY)

        record = work.deployer.create(
            document, name, timeout_s, destroy_on_failure=not keep, announce=announce,
            wait=wait,
        )
        work.done(record)
        if not as_json:
            tell_whats_next(work, record)


def _document(path: str | None, fromenv: bool, variables: tuple[str, ...]) -> Document:
    from rally_deploy import config
    from rally_deploy.cli.variables import parse_variables

    if bool(path) == fromenv:
        raise UsageError("give either --file FILE or --fromenv")
    if path:
        return config.load(path, parse_variables(variables))
    from rally_deploy.cli.environment import config_from_environment

    return config.parse(config_from_environment(), "<environment>")
