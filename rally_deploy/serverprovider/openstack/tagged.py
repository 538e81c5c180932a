"""All of a user in a project that carries the tag of a deployment, of whichever database.

What a thing is called now says nothing: it may be ours and renamed, or somebody else's. Metadata
tell of servers and volumes, descriptions of what Neutron has, tags of images. Key pairs have
nothing but a name, so there the name has to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.hosts.tagged import Tagged
from rally_deploy.serverprovider.openstack import servers
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.images import TAG

_NAME = re.compile(r"rd-([0-9a-f]{8})-")
_DESCRIPTION = re.compile(rf"(rd-([0-9a-f]{{8}})-\S+) {TAG}\2")
_UUID = re.compile(r"([0-9a-f]{8})-[0-9a-f-]{27}")


def list_tagged(cloud: Cloud) -> list[Tagged]:
    """Servers, ports, volumes, floating addresses, groups, key pairs and images, each once."""
    return sorted(set(_found(cloud)))


def _found(cloud: Cloud) -> Iterator[Tagged]:
    own = {"project_id": cloud.project_id}  # an administrator would be told of all projects
    owners: dict[str, Tagged] = {}
    for server in cloud.nova.servers.list(limit=-1):  # all pages
        for found in _marked("server", server.metadata, server.name):
            owners[server.id] = found
            yield found
    for pair in cloud.nova.keypairs.list():
        tag = _NAME.match(pair.name)
        if tag:
            yield Tagged("key pair", pair.name, tag.group(1))
    for group in cloud.network.security_groups(**own):
        for found in _described("security group", group):
            owners[group.id] = found
            yield found
    for address in cloud.network.ips(**own):
        yield from _described("floating address", address)
    for port in cloud.network.ports(**own):
        # One that Nova has forgotten is known by our group alone.
        known = [port.device_id, *(port.security_group_ids or ())]
        for owner in [owners[one] for one in known if one in owners][:1]:
            name = owner.name.partition(" ")[0]
            yield Tagged("port", f"{name} {port.id}", owner.tag)
    if cloud.endpoint("block-storage"):
        for volume in servers.list_volumes(cloud):
            yield from _marked("volume", volume["metadata"], volume["name"] or "")
    if cloud.endpoint("image"):
        for image in cloud.glance.images.list(filters={"visibility": "private"}):
            yield from _users(image)
        for image in cloud.glance.images.list(filters={"visibility": "shared"}):
            yield from _users(image)


def _marked(kind: str, metadata: Mapping[str, str], name: str) -> Iterator[Tagged]:
    """Nova's and Cinder's things, under the name that they were made with."""
    uuid = _UUID.fullmatch(metadata.get(servers.META, ""))
    if uuid:
        made = metadata.get(servers.META_NAME) or name
        shown = made if made == name else f"{made} (now called {name})"
        yield Tagged(kind, shown, uuid.group(1))


def _described(kind: str, thing: Any) -> Iterator[Tagged]:
    """Neutron's things: the description begins with the name, whatever it is called now."""
    found = _DESCRIPTION.match(str(thing.description or ""))
    if found:
        yield Tagged(kind, found.group(1), found.group(2))


def _users(image: Any) -> Iterator[Tagged]:
    for tag in image["tags"]:
        short = tag.removeprefix(TAG)[:8]
        if tag.startswith(TAG) and re.fullmatch("[0-9a-f]{8}", short):
            yield Tagged("image", f"rd-{short}-image", short)
