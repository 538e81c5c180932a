"""``rdeploy list``."""

from __future__ import annotations

import click

from rally_deploy.cli.options import json_option, read_default
from rally_deploy.cli.rendering import dump, local, record_values
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.cli.table import table


@click.command(short_help="The deployments there are.")
@click.option("--all", "-a", "everything", is_flag=True,
              help="Destroyed ones and the parts of others too.")
@json_option
@pass_settings
def command(settings: Settings, everything: bool, as_json: bool) -> None:
    """The deployments there are; '*' marks the default one.

    'stale' stands behind the state of one that nobody works on any more, though it is not at rest:
    its process was killed. 'resume' and 'destroy' take it over.
    """
    from rally_deploy.lease import is_stale

    store = settings.open_store()
    try:
        records = store.deployments.list(all=everything)
    finally:
        store.close()
    if as_json:
        click.echo(dump([record_values(record, is_stale(record)) for record in records]))
        return
    if not records:
        click.echo("no deployments" + ("" if everything else " ('--all' shows destroyed ones)"))
        return
    default = read_default()
    click.echo(table(
        ("", "uuid", "name", "state", "engine", "created"),
        [
            (
                "*" if record.uuid == default else "", record.uuid, record.name,
                f"{record.state} (stale)" if is_stale(record) else str(record.state),
                record.engine, local(record.created_at),
            )
            for record in records
        ],
    ))
