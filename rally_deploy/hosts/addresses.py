"""Arithmetic of addresses and names: networks per host, addresses per container, short names.

Everything here is a function of its arguments, so that a resumed create comes to the same result.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

#: Where networks are looked for if the config names none; seldom used by anything else.
POOL = ipaddress.IPv4Network("10.192.0.0/10")

#: Where the two ends of each tunnel get their addresses (the shared space of carriers).
TUNNEL_POOL = ipaddress.IPv4Network("100.64.0.0/10")

#: The network's own address, the host's, and the broadcast.
RESERVED_ADDRESSES = 3

#: The kernel's limit.
INTERFACE_NAME_LENGTH = 15


def prefix_for(containers: int) -> int:
    """The prefix length of a network for that many containers: /24, or larger if it must be."""
    needed = containers + RESERVED_ADDRESSES
    return min(24, 32 - (needed - 1).bit_length())


def host_network(first: str, number: int) -> ipaddress.IPv4Network:
    """The block for the n-th host: the first host's block, counted up by its own size."""
    network = ipaddress.IPv4Network(first, strict=False)
    start = int(network.network_address) + number * network.num_addresses
    return ipaddress.IPv4Network((start, network.prefixlen))


def free_candidates(
    seed: str, number: int, hosts: int, prefix: int, count: int = 48
) -> Iterator[ipaddress.IPv4Network]:
    """Networks that the n-th of several hosts may try, in order.

    No two hosts of a deployment are given the same one, and deployments begin at different
    places, so that they seldom meet. The networks lie far apart: whoever uses a large one here
    is in the way of some, not of all.
    """
    blocks = 2 ** (prefix - POOL.prefixlen)
    begin = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    size = 2 ** (32 - prefix)
    turns = min(count, blocks // hosts)
    stride = blocks // (turns * hosts) * hosts
    for turn in range(turns):
        block = (begin + number + turn * stride) % blocks
        yield ipaddress.IPv4Network((int(POOL.network_address) + block * size, prefix))


def gateway(network: ipaddress.IPv4Network) -> str:
    """The host's own address in its container network."""
    return str(network.network_address + 1)


def container_address(network: ipaddress.IPv4Network, number: int) -> str:
    """The address of the n-th container, counted from 0."""
    address = network.network_address + 2 + number
    if address not in network or address == network.broadcast_address:
        raise ValueError(f"{network} has no address for container {number}")
    return str(address)


def free_range(network: ipaddress.IPv4Network, containers: int) -> str:
    """``first-last`` of the addresses that are no container's: a cloud inside may give them out.

    Empty if there are fewer than eight.
    """
    half = network.network_address + network.num_addresses // 2
    first = max(half, network.network_address + 2 + containers)
    last = network.broadcast_address - 1
    return f"{first}-{last}" if int(last) - int(first) >= 7 else ""


def mac_address(name: str) -> str:
    """A locally administered MAC, the same for the same name at all times."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return "02:" + ":".join(digest[i : i + 2] for i in range(0, 10, 2))


def interface_name(short_uuid: str, suffix: str) -> str:
    """A name for a network interface of a deployment; it carries our tag and fits the kernel."""
    name = f"rd{short_uuid}-{suffix}"
    if len(name) > INTERFACE_NAME_LENGTH:
        raise ValueError(f"{name} is too long for an interface")
    return name


@dataclass(frozen=True)
class TunnelAddresses:
    """What both ends of a tunnel come to on their own: inner addresses and an identifier."""

    here: str
    there: str
    identifier: int  # of a VXLAN, 24 bits

    @property
    def prefix(self) -> int:
        return 31


def tunnel_addresses(here: str, there: str) -> TunnelAddresses:
    """The inner addresses of the tunnel between two outer addresses."""
    low, high = sorted((here, there), key=ipaddress.IPv4Address)
    digest = hashlib.sha256(f"{low} {high}".encode()).digest()
    pairs = TUNNEL_POOL.num_addresses // 2
    first = TUNNEL_POOL.network_address + 2 * (int.from_bytes(digest[:8], "big") % pairs)
    own, other = (first, first + 1) if here == low else (first + 1, first)
    identifier = int.from_bytes(digest[8:11], "big") or 1
    return TunnelAddresses(str(own), str(other), identifier)
