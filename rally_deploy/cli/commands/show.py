"""``rdeploy show``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from rally_deploy.cli.options import deployment_argument, json_option
from rally_deploy.cli.rendering import dump, local, masked_credentials, overview_values
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.cli.table import clean, table

if TYPE_CHECKING:
    from rally_deploy.deployer import Deployer, Overview
    from rally_deploy.model import Server


@click.command(short_help="All about one deployment.")
@deployment_argument
@json_option
@click.option("--secrets", is_flag=True, help="Show the passwords of the cloud's users.")
@pass_settings
def command(settings: Settings, wanted: str, as_json: bool, secrets: bool) -> None:
    """State, servers, endpoints, resources and parts of one deployment."""
    with settings.open_deployer() as deployer:
        overview = deployer.show(wanted)
        if as_json:
            click.echo(dump(overview_values(overview, deployer.is_stale, secrets)))
        else:
            click.echo("\n".join(_lines(deployer, overview, secrets)))


def _lines(deployer: Deployer, overview: Overview, secrets: bool) -> Iterable[str]:
    record = overview.record
    stale = " (stale: its process was killed)" if deployer.is_stale(record) else ""
    yield f"name      {record.name}"
    yield f"uuid      {record.uuid}"
    yield f"state     {record.state}{stale}"
    yield f"engine    {record.engine}"
    yield f"created   {local(record.created_at)}"
    if record.ready_at:
        yield f"ready     {local(record.ready_at)}"
    if record.error:
        yield "error"
        yield from (f"  {clean(line)}" for line in record.error.splitlines())
    yield from _cloud(overview, secrets)
    if overview.servers:
        rows = [(s.label, f"{s.user}@{s.host}:{s.port}", _way(s)) for s in overview.servers]
        yield "\n" + table(("server", "address", "reached"), rows)
    alive = [resource for resource in overview.resources if str(resource.state) != "gone"]
    if alive:
        yield "\n" + table(("resource", "kind", "state", "on"), [
            (r.name, r.kind, str(r.state), r.host.label if r.host else "") for r in alive
        ])
    for child in overview.children:
        yield f"\n-- part {child.record.name}"
        yield from _lines(deployer, child, secrets)


def _cloud(overview: Overview, secrets: bool) -> Iterable[str]:
    cloud: dict[str, Any] = dict(overview.credentials or {})
    shown = cloud if secrets else masked_credentials(cloud)
    users = ([shown["admin"]] if shown.get("admin") else []) + list(shown.get("users") or [])
    if users:
        yield "\n" + table(("user", "password", "project", "auth url"), [
            tuple(str(user.get(key) or "") for key in
                  ("username", "password", "project_name", "auth_url"))
            for user in users
        ])
    services = cloud.get("services") or {}
    if services:
        yield "\n" + table(("service", "endpoint"), sorted(
            (str(name), str(url)) for name, url in services.items()
        ))


def _way(server: Server) -> str:
    if server.connection == "local":
        return "locally"
    return f"over {server.jump.label}" if server.jump else "directly"
