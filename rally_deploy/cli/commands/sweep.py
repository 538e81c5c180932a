"""``rdeploy sweep``."""

from __future__ import annotations

import click

from rally_deploy.cli.options import json_option
from rally_deploy.cli.rendering import dump
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.cli.table import table


@click.command(short_help="What carries our tag and is in no ledger.")
@click.option("--on", "addresses", multiple=True, metavar="[USER@]HOST[:PORT]",
              help="Look at this host too; your known_hosts file has to know it.")
@json_option
@pass_settings
def command(settings: Settings, addresses: tuple[str, ...], as_json: bool) -> int:
    """List what carries the tag of a deployment, but is in no ledger of this database.

    Looks at this machine and at every host that a deployment of this database has something on.
    Nothing is removed: what is listed may belong to somebody else's database. The exit code is 1
    if something was found, or a host could not be looked at.
    """
    from rally_deploy import on_hosts

    store = settings.open_store()
    try:
        looks = on_hosts.unowned(store, on_hosts.known_hosts(store, addresses))
    finally:
        store.close()
    rows = [(look.host.server.label, thing) for look in looks for thing in look.found]
    failed = [(look.host.server.label, look.error) for look in looks if look.error]
    if as_json:
        click.echo(dump({
            "found": [
                {"host": host, "kind": thing.kind, "name": thing.name} for host, thing in rows
            ],
            "failed": [{"host": host, "error": str(error)} for host, error in failed],
        }))
    else:
        if rows:
            click.echo(table(("host", "kind", "name"),
                             [(host, thing.kind, thing.name) for host, thing in rows]))
        for _, error in failed:
            click.echo(str(error), err=True)
        if not rows:
            click.echo(f"nothing left over on {len(looks) - len(failed)} host(s)")
    return 1 if rows or failed else 0
