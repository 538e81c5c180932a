"""``rdeploy images``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rally_deploy.cli.options import json_option
from rally_deploy.cli.rendering import dump
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.cli.table import table
from rally_deploy.errors import RallyDeployError, UsageError

if TYPE_CHECKING:
    from rally_deploy.hosts.lxc_base import ImageOnHost
    from rally_deploy.on_hosts import KnownHost
    from rally_deploy.store import Store


@click.command(short_help="The base containers that hosts keep.")
@click.option("--on", "addresses", multiple=True, metavar="[USER@]HOST[:PORT]",
              help="Look at this host too; your known_hosts file has to know it.")
@click.option("--remove", metavar="NAME", help="Remove this one from every host that has it.")
@json_option
@pass_settings
def command(
    settings: Settings, addresses: tuple[str, ...], remove: str | None, as_json: bool
) -> int:
    """The base containers on this machine and on the hosts of this database's deployments.

    One is made for each distribution and set of packages, once on each host, and kept, so that
    the next create is quick; one for an engine has the packages that it will install. Their
    packages are of the day that it was made on: once it is removed, the next create makes it anew.
    One that has clones cannot be removed.
    """
    from rally_deploy import on_hosts

    store = settings.open_store()
    try:
        hosts = on_hosts.known_hosts(store, addresses)
        looks = list(zip(
            hosts, on_hosts.on_each(lambda host: _images(store, host), hosts), strict=True
        ))
        if remove:
            return _remove(store, looks, remove)
    finally:
        store.close()
    found = [(host.server.label, image) for host, (images, _) in looks for image in images]
    if as_json:
        click.echo(dump([
            {"host": host, "name": image.name, "complete": image.complete,
             "size_mb": image.size_mb, "clones": list(image.clones), **image.facts}
            for host, image in found
        ]))
    else:
        click.echo(table(("host", "image", "of", "for", "made", "size", "clones"), [
            (host, image.name, _of(image), str(image.facts.get("for") or ""),
             str(image.facts.get("made") or ""), f"{image.size_mb} MB", str(len(image.clones)))
            for host, image in found
        ]) if found else "no images")
    return _tell_errors([error for _, (_, error) in looks if error])


def _images(
    store: Store, host: KnownHost
) -> tuple[list[ImageOnHost], RallyDeployError | None]:
    from rally_deploy import on_hosts
    from rally_deploy.hosts.lxc_base import list_images

    try:
        with on_hosts.shell_on(store, host) as shell:
            if not shell.run(["sh", "-c", "command -v lxc-ls"], check=False, quiet=True).ok:
                return [], None
            return list_images(shell), None
    except RallyDeployError as error:
        return [], error


def _of(image: ImageOnHost) -> str:
    if not image.complete:
        return "half-made"
    facts = image.facts
    return " ".join(str(facts.get(key) or "") for key in ("distribution", "release")).strip()


def _remove(
    store: Store,
    looks: list[tuple[KnownHost, tuple[list[ImageOnHost], RallyDeployError | None]]], name: str,
) -> int:
    from rally_deploy import on_hosts
    from rally_deploy.hosts.lxc_base import remove_image

    having = [host for host, (images, _) in looks if name in (i.name for i in images)]
    if not having:
        raise UsageError(f"no host has an image '{name}'", remedy="'rdeploy images' lists them")
    for host in having:
        with on_hosts.shell_on(store, host) as shell:
            remove_image(shell, name)
        click.echo(f"{name} is removed from {host.server.label}.")
    return _tell_errors([error for _, (_, error) in looks if error])


def _tell_errors(errors: list[RallyDeployError]) -> int:
    for error in errors:
        click.echo(str(error), err=True)
    return 1 if errors else 0
