"""The addresses of clones that run, and what their consoles said if they have none."""

from __future__ import annotations

import ipaddress
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import WaitTimeout
from rally_deploy.serverprovider.virsh.clones import require_running
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.pools import active_pool, refresh
from rally_deploy.serverprovider.virsh.refusal import (
    NO_VOLUME,
    AddressShared,
    HypervisorError,
    LinkLost,
    NoAddress,
)
from rally_deploy.serverprovider.virsh.removal import console_logs

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: Where libvirt can look: the leases of its own network, the agent in the guest, the host's ARP.
_LEASE, _AGENT, _ARP = 0, 1, 2

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
    behind: bool = False  # only its host reaches it
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

    def one(clone: Running) -> str:
        require_running(hypervisor, clone.domain, clone.name)
        return address_of(hypervisor, clone.domain, clone.macs, bool(around.network), around.agent)

    def all_have_one() -> bool:
        pending = [clone for clone in clones if clone.name not in found]
        for clone, address in zip(pending, deployment.each(one, pending, _WIDTH), strict=True):
            if address in found.values():
                other = next(name for name, known in found.items() if known == address)
                raise _shared(f"the clones {other} and {clone.name} both have the address "
                              f"{address}")
            if address:
                found[clone.name] = address
        return len(found) == len(clones)

    try:
        deployment.wait(all_have_one, timeout_s, "addresses of the clones")
    except WaitTimeout as error:
        _require_own_leases(hypervisor, clones, found, around)
        missing = [clone for clone in clones if clone.name not in found]
        raise _none(hypervisor, missing, found, around, timeout_s) from error
    _require_own_leases(hypervisor, clones, found, around)
    return found


def _shared(what: str) -> AddressShared:
    return AddressShared(
        what,
        "an /etc/machine-id that is copied with the template's disk does that: DHCP knows a "
        "machine by it",
        "in the template: 'truncate -s 0 /etc/machine-id', remove /var/lib/dbus/machine-id, shut "
        "it down; then destroy this deployment and create it again",
    )


def _require_own_leases(
    hypervisor: Hypervisor, clones: Sequence[Running], found: Mapping[str, str],
    around: Surroundings,
) -> None:
    """AddressShared if a clone has lost its lease to another one that DHCP takes for the same.

    :param found: the addresses that were seen, by clone.
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
    without = [c.name for c in clones if c not in having and (c.name in found or _has_sent(c))]
    owners = [(c.name, leases[mac]["ipaddr"]) for c in having for mac in c.macs
              if mac in leases and not by_mac(mac)]
    if without and owners:
        name, address = owners[0]
        raise _shared(
            f"the clones {name} and {', '.join(without)} have one address between them, {address}")


def _has_sent(clone: Running) -> bool:
    """Whether the guest has sent a packet by one of its interfaces."""
    import libvirt

    try:
        return any(clone.domain.interfaceStats(mac)[_SENT_PACKETS] > 0 for mac in clone.macs)
    except libvirt.libvirtError:
        return False


def _none(
    hypervisor: Hypervisor, missing: Sequence[Running], found: Mapping[str, str],
    around: Surroundings, timeout_s: float,
) -> NoAddress:
    names = ", ".join(clone.name for clone in missing)
    blind = "" if around.leases else _why_no_arp(missing[0].domain)
    console = console_of(hypervisor, around.pool, missing[0].name, around.mark)
    details = "\n".join(filter(None, [blind, console]))
    if around.network and not around.leases:
        return NoAddress(
            f"{names}: no address within {timeout_s:g} s, and the network {around.network} has no "
            "DHCP", details,
            f"give it DHCP: 'virsh -c {hypervisor.way.uri} net-edit {around.network}' (<dhcp> "
            "with a <range>), then net-destroy and net-start it; or name another 'network'",
        )
    remedy = "does the template boot, and ask for its address by DHCP on its first interface? "
    if found:
        remedy += "others got one: an /etc/machine-id in the template would make them share it; "
    return NoAddress(
        f"{names}: no address within {timeout_s:g} s", details,
        f"{remedy}QEMU's guest agent in the template tells it on any network; a larger "
        "'timeout_s' helps a slow guest",
    )


def _why_no_arp(domain: Any) -> str:
    """Why libvirt sees no ARP entries at all; empty if it does.

    Some versions of it cannot read what newer kernels answer.
    """
    import libvirt

    try:
        domain.interfaceAddresses(_ARP)
    except libvirt.libvirtError as error:
        return f"libvirt cannot read its host's ARP table: {error}"
    return ""


def address_of(
    hypervisor: Hypervisor, domain: Any, macs: Sequence[str], leases: bool, agent: bool
) -> str:
    """The address by which a domain is reached; empty as long as it has none."""
    sources = [_LEASE] * leases + [_AGENT] * agent + [_ARP]
    for source in sources:
        found = best_address(_ask(hypervisor, domain, source), macs)
        if found:
            return found
    return ""


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


def console_of(hypervisor: Hypervisor, pool: str, name: str, mark: str) -> str:
    """The end of a clone's console log; empty if it cannot be had."""
    import libvirt

    if not mark:
        return ""
    try:
        refresh(hypervisor, pool=pool)
        log = next((n for n in console_logs(hypervisor, pool, mark)
                    if n.startswith(f"{name}-") and n.endswith(".log")), "")
        volume = log and hypervisor.find(
            NO_VOLUME, active_pool(hypervisor, pool).storageVolLookupByName, log)
        if not volume:
            return ""
        stream = hypervisor.libvirt.newStream(0)
        volume.download(stream, 0, 0, 0)
        text = b""
        while True:
            part = stream.recv(1 << 16)
            if not part:
                break
            text = (text + part)[-(1 << 16):]
        stream.finish()
    except (libvirt.libvirtError, HypervisorError):
        return ""
    lines = [line.rstrip() for line in text.decode(errors="replace").splitlines()]
    return "\n".join(["its console:", *[line for line in lines if line][-15:]])
