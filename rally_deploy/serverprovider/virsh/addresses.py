"""The addresses of clones that run."""

from __future__ import annotations

import ipaddress
import xml.etree.ElementTree as ET
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import WaitTimeout
from rally_deploy.serverprovider.virsh import guest_agent, no_address
from rally_deploy.serverprovider.virsh.clones import require_running
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.refusal import LinkLost

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: Where libvirt can look: the leases of its own network, the agent in the guest, the host's ARP.
_LEASE, _AGENT, _ARP = 0, guest_agent.SOURCE, no_address.ARP

#: In what libvirt counts of an interface, seen from the guest.
_SENT_PACKETS = 5

_WIDTH = 8


@dataclass(frozen=True)
class Running:
    """A clone that was started."""

    name: str
    domain: Any
    macs: Sequence[str]


@dataclass(frozen=True)
class Surroundings:
    """What the template tells of where its clones' addresses come from."""

    network: str = ""  # libvirt's, of the first interface; empty: another kind of interface
    leases: bool = False  # libvirt hands out its addresses
    behind: bool = False  # libvirt's own, with DHCP or without; only its host reaches it
    agent: bool = False
    pool: str = ""  # where the console logs are
    mark: str = ""  # of their names; empty: there are none


def surroundings(
    hypervisor: Hypervisor, network: str, agent: bool, pool: str, mark: str
) -> Surroundings:
    """The facts of a libvirt network (empty: none) with what is known already."""
    if not network:
        return Surroundings(agent=agent, pool=pool, mark=mark)
    with hypervisor.doing(f"look at the network {network}"):
        root = ET.fromstring(hypervisor.libvirt.networkLookupByName(network).XMLDesc(0))
    forward = root.find("forward")
    mode = forward.get("mode", "nat") if forward is not None else "isolated"
    behind = mode in ("nat", "isolated", "route", "open")
    return Surroundings(network, root.find("ip/dhcp") is not None, behind, agent, pool, mark)


def await_addresses(
    deployment: Deployment, hypervisor: Hypervisor, clones: Sequence[Running],
    around: Surroundings, timeout_s: float,
) -> dict[str, str]:
    """Each clone's address by its name, once all have one, and each one of its own."""
    found: dict[str, str] = {}
    leased = [_LEASE] if around.network else []
    sources = [*leased, *([_AGENT] if around.agent else []), _ARP]
    #: Those that say themselves what address they have; no other one has taken theirs over.
    sure: set[str] = set()

    def one(clone: Running) -> str:
        require_running(hypervisor, clone.domain, clone.name)
        for source in sources:
            address = best_address(_ask(hypervisor, clone.domain, source), clone.macs)
            if address:
                if source == _AGENT:
                    sure.add(clone.name)
                return address
        return ""

    def all_have_one() -> bool:
        pending = [clone for clone in clones if clone.name not in found]
        for clone, address in zip(pending, deployment.each(one, pending, _WIDTH), strict=True):
            if address in found.values():
                other = next(name for name, known in found.items() if known == address)
                raise no_address.shared(
                    f"the clones {other} and {clone.name} both have the address {address}")
            if address:
                found[clone.name] = address
        return len(found) == len(clones)

    with guest_agent.answers_bounded(clone.domain for clone in clones if around.agent):
        try:
            deployment.wait(all_have_one, timeout_s, "addresses of the clones")
        except WaitTimeout as error:
            _require_own_leases(hypervisor, clones, found, around, sure)
            missing = [clone for clone in clones if clone.name not in found]
            raise no_address.none(hypervisor, missing, found, around, timeout_s) from error
    _require_own_leases(hypervisor, clones, found, around, sure)
    return found


def _require_own_leases(
    hypervisor: Hypervisor, clones: Sequence[Running], found: Mapping[str, str],
    around: Surroundings, sure: Collection[str],
) -> None:
    """AddressShared if a clone has lost its lease to another one that DHCP takes for the same.

    :param found: the addresses that were seen, by clone.
    :param sure: the clones that have told theirs themselves.
    """
    import libvirt

    if not around.leases:
        return
    try:
        given = hypervisor.libvirt.networkLookupByName(around.network).DHCPLeases()
    except libvirt.libvirtError:
        return
    leases = {(lease.get("mac") or "").lower(): lease for lease in given}

    def by_mac(mac: str) -> bool:
        return (leases[mac].get("clientid") or mac).lower().endswith(mac)

    having = [c for c in clones if any(mac in leases for mac in c.macs)]
    # One that had no address and has been silent does not boot; that is another thing.
    without = [c.name for c in clones if c not in having and c.name not in sure
               and (c.name in found or _has_sent(c))]
    owners = [(c.name, leases[mac]["ipaddr"]) for c in having for mac in c.macs
              if mac in leases and not by_mac(mac)]
    if without and owners:
        name, address = owners[0]
        raise no_address.shared(
            f"the clones {name} and {', '.join(without)} have one address between them, {address}",
            by_lease=True)


def _has_sent(clone: Running) -> bool:
    """Whether the guest has sent a packet by one of its interfaces."""
    import libvirt

    try:
        return any(clone.domain.interfaceStats(mac)[_SENT_PACKETS] > 0 for mac in clone.macs)
    except libvirt.libvirtError:
        return False


def _ask(hypervisor: Hypervisor, domain: Any, source: int) -> Mapping[str, Any]:
    import libvirt

    try:
        return domain.interfaceAddresses(source) or {}
    except libvirt.libvirtError as error:
        # Not this way, or not yet: an agent that is not up, a network without leases.
        if not hypervisor.alive():
            raise LinkLost(
                "the connection to libvirt is lost", str(error),
                "look whether the hypervisor is up, then 'rdeploy resume'",
            ) from error
        return {}


def best_address(interfaces: Mapping[str, Any], macs: Sequence[str]) -> str:
    """Of what the interfaces with these MACs have: the first one's first, IPv4 before IPv6."""
    found: list[tuple[int, int, str]] = []
    for interface in interfaces.values():
        mac = (interface.get("hwaddr") or "").lower()
        if mac not in macs:
            continue
        for entry in interface.get("addrs") or ():
            address = ipaddress.ip_address(entry["addr"])
            if not (address.is_link_local or address.is_loopback or address.is_unspecified):
                found.append((address.version, list(macs).index(mac), str(address)))
    return min(found, key=lambda one: one[:2])[2] if found else ""
