"""Why clones that run have no addresses, or one between them, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.serverprovider.virsh import guest_agent
from rally_deploy.serverprovider.virsh.consoles import console_of
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.refusal import AddressShared, NoAddress

if TYPE_CHECKING:
    from rally_deploy.serverprovider.virsh.addresses import Running, Surroundings

#: Where libvirt looks if it asks its host's ARP table.
ARP = 2


def shared(what: str, by_lease: bool = False) -> AddressShared:
    """The error for clones that have one address between them.

    :param by_lease: it was DHCP that gave it to them.
    """
    static = "" if by_lease else "; or the template has a static address"
    dynamic = "" if by_lease else "have it ask for its address by DHCP, "
    return AddressShared(
        what,
        "an /etc/machine-id that is copied with the template's disk does that: DHCP knows a "
        f"machine by it{static}",
        f"in the template: {dynamic}'truncate -s 0 /etc/machine-id', remove "
        "/var/lib/dbus/machine-id, shut it down; then destroy this deployment and create it again",
    )


def none(
    hypervisor: Hypervisor, missing: Sequence[Running], found: Mapping[str, str],
    around: Surroundings, timeout_s: float,
) -> NoAddress:
    """The error for clones that have none.

    :param found: the addresses of the others.
    """
    first = missing[0]
    word = guest_agent.ask(first.domain) if around.agent else None
    details = [
        "" if around.leases else _why_no_arp(first.domain),
        f"{first.name}: {word.text}" if word else "",
        console_of(hypervisor, around.pool, first.name, around.mark),
    ]
    names, why = ", ".join(clone.name for clone in missing), ""
    if around.network and not around.leases:
        why = f", and the network {around.network} has no DHCP" if around.behind else \
            f", and libvirt does not know who has which address on the network {around.network}"
    return NoAddress(
        f"{names}: no address within {timeout_s:g} s{why}", "\n".join(filter(None, details)),
        "; ".join(_remedies(hypervisor, bool(found), around, word)),
    )


def _remedies(
    hypervisor: Hypervisor, others: bool, around: Surroundings, word: guest_agent.Word | None
) -> Iterator[str]:
    dhcp = around.leases or not around.behind
    if not dhcp:
        yield (f"give it DHCP: 'virsh -c {hypervisor.way.uri} net-edit {around.network}' (<dhcp> "
               "with a <range>), then net-destroy and net-start it; or name another 'network'")
    if word and word.answers:
        yield ("the guest is up: does its network configuration name the template's MAC address, "
               "or an interface of another name?")
    elif dhcp:
        yield "does the template boot, and ask for its address by DHCP on its first interface?"
    if others:
        yield "others got one: an /etc/machine-id in the template would make them share it"
    if not word:
        yield ("QEMU's guest agent tells it on any network: put the package qemu-guest-agent into "
               f"the template, and {guest_agent.CHANNEL} among its devices ('virsh edit')")
    elif not word.answers:
        yield ("the template has a channel to QEMU's guest agent: put the package "
               "qemu-guest-agent into it, and have that started at boot")
    yield ("clones are of the template as it was: once it is mended, destroy this deployment and "
           "create it again")
    if not word or not word.answers:
        yield "a larger 'timeout_s' helps a slow guest"


def _why_no_arp(domain: Any) -> str:
    """Why libvirt sees no ARP entries at all; empty if it does.

    Some versions of it cannot read what newer kernels answer.
    """
    import libvirt

    try:
        domain.interfaceAddresses(ARP)
    except libvirt.libvirtError as error:
        return f"libvirt cannot read its host's ARP table: {error}"
    return ""
