"""Which container goes where: addresses, names and interfaces of all containers of one host."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rally_deploy.errors import HostError
from rally_deploy.hosts.addresses import (
    RESERVED_ADDRESSES,
    container_address,
    gateway,
    interface_name,
    mac_address,
)
from rally_deploy.hosts.lxc import Container
from rally_deploy.model import Server
from rally_deploy.ssh.base import Shell

#: "This network", loopback, multicast and what is reserved above.
_UNUSABLE = tuple(
    ipaddress.IPv4Network(cidr) for cidr in ("0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3"))

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """A number in as few characters as an interface's name leaves."""
    text = _DIGITS[number % 36]
    while number := number // 36:
        text = _DIGITS[number % 36] + text
    return text


def name_part(text: str) -> str:
    """A prefix from a config as a part of a container's name, which is a host name too."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


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
    label: str  # the container's key in the ledger


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
    count = config.get("containers_per_host")
    size = count if isinstance(count, int) and count > 0 else 1
    return [
        *_own_network_problems(config, size), *_static_problems(config, size),
        *_tunnel_problems(config),
    ]


def _own_network_problems(config: Mapping[str, Any], size: int) -> Iterator[tuple[str, str]]:
    key, start = "start_lxc_network", config.get("start_lxc_network")
    if not isinstance(start, str) or not start:
        return
    if config.get("network_bridge"):
        yield key, "not together with 'network_bridge'"
    try:
        network = ipaddress.IPv4Network(start, strict=False)
    except ValueError:
        yield key, f"{start!r} is not an IPv4 network (10.1.1.0/24)"
        return
    hosts = _hosts_of(config)
    last = int(network.network_address) + hosts * network.num_addresses - 1
    for bad in _UNUSABLE:
        if int(network.network_address) <= int(bad.broadcast_address) and \
                last >= int(bad.network_address):
            which = f"{network} reaches" if hosts == 1 else \
                f"the networks of {hosts} hosts, from {network} on, reach"
            yield key, (f"{which} into {bad}, which no container can use: take a private network "
                        "(10.1.1.0/24)")
    needed = size + RESERVED_ADDRESSES
    if network.num_addresses < needed:
        yield key, (f"{network} has {network.num_addresses} addresses; {size} containers per "
                    f"host need {needed}")


def _hosts_of(config: Mapping[str, Any]) -> int:
    """How many hosts there will be, as far as the block of their provider says it."""
    provider = config.get("host_provider") or config.get("provider")
    if not isinstance(provider, Mapping):
        return 1
    named, amount = provider.get("credentials"), provider.get("amount")
    if isinstance(named, list):
        return len(named) or 1
    return amount if isinstance(amount, int) and amount > 0 else 1


def _static_problems(config: Mapping[str, Any], size: int) -> Iterator[tuple[str, str]]:
    key, first = "ipv4_start_address", config.get("ipv4_start_address")
    if not isinstance(first, str) or not first:
        return
    prefix = config.get("ipv4_prefixlen")
    if not config.get("network_bridge"):
        yield key, "needs 'network_bridge': the host's own bridge"
    if not prefix:
        yield key, "needs 'ipv4_prefixlen'"
    try:
        address = ipaddress.IPv4Address(first)
    except ValueError:
        yield key, f"{first!r} is not an IPv4 address"
        return
    if isinstance(prefix, int) and 0 < prefix <= 32:
        network = ipaddress.IPv4Network(f"{address}/{int(prefix)}", strict=False)
        if int(address) + size - 1 >= int(network.broadcast_address):
            yield key, f"{network} has no {size} addresses from {first} on"


def _tunnel_problems(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    wanted = config.get("tunnel_to")
    for number, far in enumerate(wanted if isinstance(wanted, list) else []):
        try:
            ipaddress.IPv4Address(str(far))
        except ValueError:
            yield f"tunnel_to[{number}]", f"{far!r} is not an IPv4 address"
