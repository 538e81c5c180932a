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

    Looks at this machine, at every host that a deployment of this database has something on, and
    at every cloud and hypervisor that a deployment of it, also a destroyed one, has used. Nothing
    is removed: what is listed may belong to somebody else's database. The exit code is 1 if
    something was found, or a host, cloud or hypervisor could not be looked at.
    """
    from rally_deploy import leftovers, on_hosts

    with settings.open_deployer() as deployer:
        hosts = on_hosts.known_hosts(deployer.store, addresses)
        looks = leftovers.on_known_hosts(deployer.store, hosts) + leftovers.in_places(deployer)
    rows = [(look.where, thing) for look in looks for thing in look.found]
    failed = [look for look in looks if look.error]
    if as_json:
        click.echo(dump({
            "found": [
                {"where": where, "kind": thing.kind, "name": thing.name} for where, thing in rows
            ],
            "failed": [{"where": look.where, "error": look.error} for look in failed],
        }))
    else:
        if rows:
            click.echo(table(("where", "kind", "name"),
                             [(where, thing.kind, thing.name) for where, thing in rows]))
        for look in failed:
            click.echo(f"{look.where}: {look.error}", err=True)
        if not rows:
            click.echo(f"nothing left over in {len(looks) - len(failed)} place(s)")
    return 1 if rows or failed else 0
