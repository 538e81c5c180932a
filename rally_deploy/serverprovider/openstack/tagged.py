"""All of a user in a project that carries the tag of a deployment, of whichever database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rally_deploy.hosts.tagged import Tagged
from rally_deploy.serverprovider.openstack import servers
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.images import TAG

_NAME = re.compile(r"rd-([0-9a-f]{8})-")


def list_tagged(cloud: Cloud) -> list[Tagged]:
    """Servers, ports, volumes, floating addresses, groups, key pairs and images, each once."""
    return sorted(set(_found(cloud)))


def _found(cloud: Cloud) -> Iterator[Tagged]:
    own = {"project_id": cloud.project_id}  # an administrator would be told of all projects
    names: dict[str, str] = {}
    for server in servers.list_servers(cloud, "rd-"):
        names[server.id] = server.name
        yield from _named("server", server.name)
    for pair in cloud.nova.keypairs.list():
        yield from _named("key pair", pair.name)
    for group in cloud.network.list("security_groups", **own):
        for found in _described("security group", group):
            names[group["id"]] = found.name
            yield found
    for address in cloud.network.list("floatingips", **own):
        yield from _described("floating address", address)
    for port in cloud.network.list("ports", **own):
        # One that Nova has forgotten is known by our group alone.
        known = [port["device_id"], *port.get("security_groups", ())]
        for name in [names[one] for one in known if one in names][:1]:
            yield from _named("port", f"{name} {port['id']}")
    if cloud.endpoint("block-storage"):
        for volume in servers.list_volumes(cloud):
            yield from _named("volume", volume["name"] or "")
    if cloud.endpoint("image"):
        for image in cloud.glance.images.list(filters={"visibility": "private"}):
            yield from _users(image)
        for image in cloud.glance.images.list(filters={"visibility": "shared"}):
            yield from _users(image)


def _named(kind: str, name: str) -> Iterator[Tagged]:
    found = _NAME.match(name)
    if found:
        yield Tagged(kind, name, found.group(1))


def _described(kind: str, thing: Any) -> Iterator[Tagged]:
    """Neutron's things: the description begins with the name, whatever it is called now."""
    text = str(thing.get("description") or "")
    if f" {TAG}" in text:
        yield from _named(kind, text.partition(" ")[0])


def _users(image: Any) -> Iterator[Tagged]:
    for tag in image["tags"]:
        short = tag.removeprefix(TAG)[:8]
        if tag.startswith(TAG) and re.fullmatch("[0-9a-f]{8}", short):
            yield Tagged("image", f"rd-{short}-image", short)
