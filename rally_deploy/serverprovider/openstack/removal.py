"""How each thing of a deployment is removed from its cloud.

The ledger's order does the rest, backwards: servers with the ports that Nova made for them,
volumes, floating addresses, security groups, key pairs, the image.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rally_deploy.model import Resource
from rally_deploy.serverprovider.openstack import images, network, servers
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, ServerFailed
from rally_deploy.serverprovider.openstack.servers import Roster

_TICK_S = 0.7
_TIMEOUT_S = 300.0
_ASK_AGAIN_S = 45.0


def remove(cloud: Cloud, roster: Roster, row: Resource, uuid: str, settle_s: float) -> None:
    """Remove one thing; absent is success. Returns when it was seen gone.

    :param settle_s: how long it may still come up, if it was never seen.
    """
    if row.kind == "openstack_server":
        _server(cloud, roster, row, uuid, settle_s)
    elif row.kind == "openstack_image":
        images.release(cloud, row.facts["image_id"], uuid, settle_s)
    elif row.kind == "openstack_key_pair":
        servers.delete_key_pair(cloud, row, row.facts["public_key"], settle_s)
    else:
        rest: Mapping[str, Callable[[Cloud, Resource, str, float], None]] = {
            "openstack_security_group": network.delete_groups,
            "openstack_floating_ip": network.delete_floating_ips,
            "openstack_volume": servers.delete_volumes,
        }
        rest[row.kind](cloud, row, uuid, settle_s)


def _server(cloud: Cloud, roster: Roster, row: Resource, uuid: str, settle_s: float) -> None:
    # Many are removed at the same time: a listing that one of them has just got serves all.
    mark = time.monotonic() - _TICK_S

    def mine() -> list[Any]:
        return servers.mine(roster.look(mark if settle_s == 0 else time.monotonic()), row, uuid)

    found = cloud.settled(mine, settle_s) or []
    known = {row.facts["id"]} if "id" in row.facts else set()
    ids = known | {server.id for server in found}
    asked: dict[str, float] = {}
    end = time.monotonic() + _TIMEOUT_S
    while True:
        for server_id in ids:
            if time.monotonic() - asked.get(server_id, float("-inf")) > _ASK_AGAIN_S:
                asked[server_id] = time.monotonic()
                servers.delete_server(cloud, server_id)
        mark = time.monotonic()
        cloud.patience.pause(_TICK_S)
        left = servers.mine(roster.look(mark), row, uuid)
        if not left:
            break
        ids |= {server.id for server in left}
        if time.monotonic() > end or cloud.patience.left_s <= 0:
            raise ServerFailed(
                f"server {row.name} does not go away", servers.fault_of(cloud, left[0]),
                "nova-compute's log tells more; then run 'rdeploy destroy' again",
            )
    for server_id in ids:
        _ports(cloud, server_id)


def _ports(cloud: Cloud, server_id: str) -> None:
    """Nova removes the ports that it made; what it has forgotten would hold our group."""
    try:
        network.delete_ports(cloud, server_id)
    except CloudRefusal as refusal:
        if refusal.status not in (403, 404):
            raise
