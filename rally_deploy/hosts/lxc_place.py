"""Which container goes where: addresses, names and interfaces of all containers of one host."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rally_deploy.errors import HostError
from rally_deploy.hosts.addresses import (
    container_address,
    gateway,
    interface_name,
    mac_address,
)
from rally_deploy.hosts.lxc import Container
from rally_deploy.model import Server
from rally_deploy.ssh.base import Shell

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """A number in as few characters as an interface's name leaves."""
    text = _DIGITS[number % 36]
    while number := number // 36:
        text = _DIGITS[number % 36] + text
    return text


@dataclass(frozen=True)
class Attachment:
    """The network that a host's containers are on. No ``cidr``: its own DHCP gives addresses."""

    bridge: str = ""
    cidr: str = ""
    gateway: str = ""
    nameservers: str = "host"
    first: str = ""  # address of the host's first container, if not the network's third one


@dataclass(frozen=True)
class Place:
    """One host of a provider, and what its containers are made of and attached to."""

    number: int
    host: Server
    base: str = ""  # the base container's name there
    attachment: Attachment = Attachment()

    @property
    def label(self) -> str:
        return self.host.label

    @property
    def network(self) -> ipaddress.IPv4Network | None:
        cidr = self.attachment.cidr
        return ipaddress.IPv4Network(cidr, strict=False) if cidr else None

    def container(self, number: int, name: str, short_uuid: str, per_host: int,
                  lines: tuple[str, ...] = ()) -> Container:
        """The n-th container here under the given name."""
        network, address = self.network, ""
        if network:
            first = self.attachment.first
            plain = (
                str(ipaddress.IPv4Address(first) + number) if first
                else container_address(network, number)
            )
            address = f"{plain}/{network.prefixlen}"
        return Container(
            name, self.base, name, self.attachment.bridge, mac_address(name),
            interface_name(short_uuid, "v" + base36(self.number * per_host + number)),
            address, self.attachment.gateway, self.attachment.nameservers, lines,
        )


@dataclass(frozen=True)
class Spot:
    """Where one container is to be."""

    place: Place
    number: int  # among its host's
    label: str


def own_network(bridge: str, cidr: str) -> Attachment:
    """Containers on a network that we made: we are its gateway and its name server."""
    address = gateway(ipaddress.IPv4Network(cidr))
    return Attachment(bridge, cidr, address, address)


def host_bridge(shell: Shell, bridge: str, first: str = "", prefix: int = 0) -> Attachment:
    """Containers on a bridge of the host: with static addresses from ``first`` on, or DHCP.

    Raises HostError if there is no such bridge.
    """
    shown = shell.run(["ip", "-4", "-o", "addr", "show", "dev", bridge], check=False, quiet=True)
    if not shown.ok:
        raise HostError(
            shell.server, f"there is no bridge {bridge}",
            remedy="make it, or leave 'network_bridge' out: then we make a network of our own",
        )
    if not first:
        return Attachment(bridge)
    network = ipaddress.IPv4Network(f"{first}/{prefix}", strict=False)
    own = re.findall(r"inet (\S+?)/", shown.stdout)
    routes = shell.run(["ip", "-4", "route", "show", "default"], quiet=True).stdout
    ways = [*re.findall(r"\bvia (\S+)", routes), *own]
    way = next((w for w in ways if ipaddress.IPv4Address(w) in network), "")
    return Attachment(bridge, str(network), way, "host", first)


def problems_of(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a schema cannot say about a block's networks: (path, message)."""
    found: list[tuple[str, str]] = []
    count = config.get("containers_per_host")
    size = count if isinstance(count, int) and count > 0 else 1
    start, first = config.get("start_lxc_network"), config.get("ipv4_start_address")
    bridge, prefix = config.get("network_bridge"), config.get("ipv4_prefixlen")
    if start and bridge:
        found.append(("start_lxc_network", "not together with 'network_bridge'"))
    if start:
        try:
            network = ipaddress.IPv4Network(start, strict=False)
        except (ValueError, TypeError):
            found.append(("start_lxc_network", f"{start!r} is not an IPv4 network (10.1.1.0/24)"))
        else:
            if network.num_addresses < size + 3:
                found.append((
                    "start_lxc_network",
                    f"{network} has {network.num_addresses} addresses; {size} containers per "
                    f"host need {size + 3}",
                ))
    if first:
        if not bridge:
            found.append(("ipv4_start_address", "needs 'network_bridge': the host's own bridge"))
        if not prefix:
            found.append(("ipv4_start_address", "needs 'ipv4_prefixlen'"))
        try:
            address = ipaddress.IPv4Address(first)
            if isinstance(prefix, int) and 0 < prefix <= 32:
                network = ipaddress.IPv4Network(f"{address}/{prefix}", strict=False)
                if int(address) + size - 1 >= int(network.broadcast_address):
                    found.append((
                        "ipv4_start_address", f"{network} has no {size} addresses from {first} on"
                    ))
        except (ValueError, TypeError):
            found.append(("ipv4_start_address", f"{first!r} is not an IPv4 address"))
    for number, far in enumerate(config.get("tunnel_to") or []):
        try:
            ipaddress.IPv4Address(far)
        except (ValueError, TypeError):
            found.append((f"tunnel_to[{number}]", f"{far!r} is not an IPv4 address"))
    return found
