"""Security groups, floating addresses and ports. Neutron's things carry us in their description.

A description is given in the very call that makes a thing, and Neutron finds things by it; its
tags need a second call, between which and the first we may be killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rally_deploy.errors import ResourceConflict
from rally_deploy.model import Resource
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, absent_is_success


def mark(name: str, uuid: str) -> str:
    """The description by which a thing is known as ours."""
    return f"{name} rdeploy:{uuid}"


# Networks

def usable(networks: Sequence[Any], project_id: str) -> list[Any]:
    """Those that servers are put on where the config names none, as Nova would choose."""
    inner = [n for n in networks if n.subnet_ids and not n.is_router_external]
    own = [n for n in inner if n.project_id == project_id and not n.is_shared]
    return own or [n for n in inner if n.is_shared]


def named(things: Sequence[Any], wanted: str) -> list[Any]:
    """Those with this id, else those with this name."""
    return [t for t in things if t.id == wanted] or [t for t in things if t.name == wanted]


# Security groups

def make_group(cloud: Cloud, row: Resource, uuid: str, open_ports: Sequence[str],
               settle_s: float) -> str:
    """The id of a group that lets in SSH, ICMP, these TCP ports, and all of its own members."""
    group = cloud.once(
        lambda: cloud.network.create_security_group(
            name=row.name, description=mark(row.name, uuid)),
        lambda: _first(my_groups(cloud, row, uuid)), settle_s,
    )
    rules = _rules(group.id, open_ports)

    def complete() -> list[Any] | None:
        there = list(cloud.network.security_group_rules(
            security_group_id=group.id, direction="ingress"))
        return there if len(there) >= len(rules) else None

    cloud.once(
        lambda: list(cloud.network.create_security_group_rules(rules)), complete, settle_s)
    return str(group.id)


def _rules(group: str, open_ports: Sequence[str]) -> list[dict[str, Any]]:
    both = ("IPv4", "IPv6")
    spans = [str(span).partition("-")[::2] for span in ("22", *open_ports)]
    kinds: list[dict[str, Any]] = [
        {"ether_type": e, "protocol": "tcp", "port_range_min": int(first),
         "port_range_max": int(last or first)}
        for first, last in spans for e in both
    ]
    kinds += [{"ether_type": "IPv4", "protocol": "icmp"},
              {"ether_type": "IPv6", "protocol": "ipv6-icmp"}]
    kinds += [{"ether_type": e, "remote_group_id": group} for e in both]
    return [{"direction": "ingress", "security_group_id": group, **kind} for kind in kinds]


def rules_of_group(open_ports: Sequence[str]) -> int:
    """How many rules a group of ours has, with the two that Neutron makes for what goes out."""
    return len(_rules("", open_ports)) + 2


def lets_ssh_in(group: Any) -> bool:
    """Whether a group that is there already opens port 22 to anybody."""
    return any(
        rule["direction"] == "ingress" and rule.get("protocol") in (None, "any", "tcp", "6")
        and (rule.get("port_range_min") or 0) <= 22 <= (rule.get("port_range_max") or 65535)
        and not rule.get("remote_group_id")
        for rule in group.security_group_rules or ()
    )


def my_groups(cloud: Cloud, row: Resource, uuid: str) -> list[Any]:
    return _mine(cloud.network.security_groups(name=row.name), row, uuid)


def delete_groups(cloud: Cloud, row: Resource, uuid: str, settle_s: float) -> None:
    _delete(cloud, row, cloud.network.delete_security_group,
            lambda: my_groups(cloud, row, uuid), settle_s)


# Floating addresses

def make_floating_ip(cloud: Cloud, row: Resource, uuid: str, network: str,
                     settle_s: float) -> dict[str, str]:
    made = cloud.once(
        lambda: cloud.network.create_ip(
            floating_network_id=network, description=mark(row.name, uuid)),
        lambda: _first(my_floating_ips(cloud, row, uuid)), settle_s,
    )
    return {"id": made.id, "address": made.floating_ip_address}


def my_floating_ips(cloud: Cloud, row: Resource, uuid: str) -> list[Any]:
    return list(cloud.network.ips(description=mark(row.name, uuid)))


def delete_floating_ips(cloud: Cloud, row: Resource, uuid: str, settle_s: float) -> None:
    _delete(cloud, row, cloud.network.delete_ip,
            lambda: my_floating_ips(cloud, row, uuid), settle_s)


def bound(cloud: Cloud) -> dict[str, str]:
    """Floating address's id -> the port that it leads to, of all in the project, by one call."""
    return {f.id: f.port_id or "" for f in cloud.network.ips(project_id=cloud.project_id)}


def bind(
    cloud: Cloud, floating_ip: Resource, ports: Sequence[Any], networks: Sequence[str],
    there: Mapping[str, str],
) -> None:
    """Lead a floating address to a port of a server, unless it is led to one of them.

    That is the first port, in the order of ``networks``, which has a router to the address's
    network. Only Neutron knows which has: a router may be another project's.
    """
    address, own = floating_ip.facts["address"], floating_ip.facts["id"]
    if not ports:
        raise CloudRefusal(f"{address}: its server has no port", status=404)
    if there.get(own) in [port.id for port in ports]:
        return
    rank = {network: place for place, network in enumerate(networks)}
    refused = []
    for port in sorted(ports, key=lambda port: rank.get(port.network_id, len(rank))):
        try:
            cloud.network.update_ip(own, port_id=port.id)
            return
        except CloudRefusal as refusal:
            if refusal.status not in (400, 404, 409):
                raise
            refused.append(refusal)
    raise CloudRefusal(
        f"{address} cannot be given to a server", "\n".join(r.details for r in refused),
        "one of the server's networks needs a router to 'floating_network'",
        status=refused[0].status,
    ) from refused[0]


# Ports

def ports_of(cloud: Cloud, servers: Sequence[str]) -> dict[str, list[Any]]:
    """The ports of each server, by one call."""
    found: dict[str, list[Any]] = {server: [] for server in servers}
    # An address with thousands of ids in it would be refused.
    for first in range(0, len(servers), 100):
        for port in cloud.network.ports(device_id=list(servers[first:first + 100])):
            found[port.device_id].append(port)
    return found


def delete_ports(cloud: Cloud, server: str) -> None:
    """What a server has left behind; Nova made these for it, and should have removed them."""
    for port in list(cloud.network.ports(device_id=server)):
        absent_is_success(cloud.network.delete_port, port.id)


def _first(found: Sequence[Any]) -> Any:
    return found[0] if found else None


def _mine(things: Iterable[Any], row: Resource, uuid: str) -> list[Any]:
    found = list(things)
    foreign = [t for t in found if t.description != mark(row.name, uuid)]
    if foreign:
        raise ResourceConflict(
            f"{row.name} is there, and this deployment did not make it",
            f"id {foreign[0].id}, description '{foreign[0].description or ''}'",
            "rename or delete it",
        )
    return found


def _delete(cloud: Cloud, row: Resource, delete: Callable[[str], None],
            mine: Callable[[], list[Any]], settle_s: float) -> None:
    for thing in cloud.settled(mine, settle_s) or ():
        absent_is_success(delete, thing.id)
    if not cloud.settled(lambda: not mine(), 30.0):
        raise CloudRefusal(
            f"{row.kind} {row.name} is still there after its deletion",
            remedy="run 'rdeploy destroy' again",
        )
