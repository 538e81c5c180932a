"""``rdeploy check``."""

from __future__ import annotations

import click

from rally_deploy.cli.options import deployment_argument, json_option, user_option
from rally_deploy.cli.rendering import dump
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.cli.table import table


@click.command(short_help="Do all services of one's cloud answer?")
@deployment_argument
@user_option
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), default=10.0,
              metavar="SECONDS", show_default=True, help="Of each request.")
@json_option
@pass_settings
def command(
    settings: Settings, wanted: str, user: str | None, timeout_s: float, as_json: bool
) -> int:
    """Ask Keystone for a token, and every service of its catalog for an answer.

    The exit code is 1 if one of them does not answer, or answers with a server's error.
    """
    from rally_deploy import access, cloud_check
    from rally_deploy.cli.ca_file import with_ca_file

    with settings.open_deployer() as deployer:
        record = deployer.find(wanted)
        credentials = access.choose_user(deployer.credentials(record.uuid), user or "")
    answers = cloud_check.check(with_ca_file(record.uuid, credentials), timeout_s)
    if as_json:
        click.echo(dump([
            {"service": a.service, "url": a.url, "status": a.status or None, "ok": a.ok,
             "detail": a.detail}
            for a in answers
        ]))
    else:
        click.echo(table(("service", "answers", "status", "url", "detail"), [
            (a.service, "yes" if a.ok else "NO", str(a.status or "-"), a.url, a.detail)
            for a in answers
        ]))
    return 0 if answers and all(a.ok for a in answers) else 1
