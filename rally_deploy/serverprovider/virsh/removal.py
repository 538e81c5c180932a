"""How each thing of a deployment is removed from its hypervisor: only ours, seen to go.

The ledger's order does the rest, backwards: domains, their console logs, their disks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rally_deploy.errors import ResourceConflict
from rally_deploy.model import Resource
from rally_deploy.serverprovider.virsh import domain_xml
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.pools import active_pool, refresh
from rally_deploy.serverprovider.virsh.refusal import (
    INVALID_ARGUMENT,
    NO_DOMAIN,
    NO_METADATA,
    NO_VOLUME,
    NOT_NOW,
    TIMED_OUT,
    HypervisorError,
)

DOMAIN, VOLUME, CONSOLES = "virsh_domain", "virsh_volume", "virsh_console_logs"

_METADATA_ELEMENT = 2  # VIR_DOMAIN_METADATA_ELEMENT
# Saved state, snapshots' and checkpoints' metadata, firmware variables: all of it goes.
_WITH_ALL = 23
_WITHOUT_NVRAM = 3  # what older drivers know

#: Asks again and again until the answer is true; raises WaitTimeout and Cancelled.
Wait = Callable[[Callable[[], bool], str], object]


def remove(hypervisor: Hypervisor, row: Resource, uuid: str, wait: Wait) -> None:
    """Remove one thing; absent is success. Returns when it was seen gone."""
    if row.kind == DOMAIN:
        wait(lambda: _domain_gone(hypervisor, row, uuid), f"removal of the domain {row.name}")
    elif row.kind == CONSOLES:
        wait(lambda: _consoles_gone(hypervisor, row), "removal of console logs")
    else:
        if "path" not in row.facts:
            # Its maker was killed: what came of it may be on the disk and not yet in the list.
            refresh(hypervisor, pool=row.facts["pool"])
        wait(lambda: _volume_gone(hypervisor, row.facts["pool"], row.name),
             f"removal of the volume {row.name}")


def owner_of(hypervisor: Hypervisor, domain: Any) -> str:
    """The uuid of the deployment that a domain's metadata names; empty if none does."""
    found = hypervisor.find(
        NO_METADATA, domain.metadata, _METADATA_ELEMENT, domain_xml.TAG)
    return domain_xml.tag_of(found) if found else ""


def _domain_gone(hypervisor: Hypervisor, row: Resource, uuid: str) -> bool:
    """One try; the domain's own uuid is its identity, chosen before it was made."""
    lookup = hypervisor.libvirt.lookupByUUIDString
    domain = hypervisor.find(NO_DOMAIN, lookup, row.facts["uuid"])
    if domain is None:
        return True
    if owner_of(hypervisor, domain) != uuid:
        raise ResourceConflict(
            f"the domain {row.name} is not ours any more",
            f"its metadata does not name deployment {uuid}",
            f"if it may go: 'virsh -c {hypervisor.way.uri} undefine {row.facts['uuid']}'",
        )
    try:
        _end(hypervisor, domain, row.name)
        _undefine(hypervisor, domain, row.name)
    except HypervisorError as error:
        if error.code == NO_DOMAIN:
            return True
        if error.code not in (NOT_NOW, TIMED_OUT):
            raise
        return False  # it is being started or ended by somebody else
    return hypervisor.find(NO_DOMAIN, lookup, row.facts["uuid"]) is None


def _end(hypervisor: Hypervisor, domain: Any, name: str) -> None:
    with hypervisor.doing(f"end the domain {name}"):
        active = domain.isActive()
    if active:
        try:
            with hypervisor.doing(f"end the domain {name}"):
                domain.destroy()
        except HypervisorError as error:
            if error.code != NOT_NOW:  # it has ended by itself
                raise


def _undefine(hypervisor: Hypervisor, domain: Any, name: str) -> None:
    try:
        with hypervisor.doing(f"undefine the domain {name}"):
            domain.undefineFlags(_WITH_ALL)
    except HypervisorError as error:
        if error.code != INVALID_ARGUMENT:
            raise
        with hypervisor.doing(f"undefine the domain {name}"):
            domain.undefineFlags(_WITHOUT_NVRAM)


def _volume_gone(hypervisor: Hypervisor, pool: str, name: str) -> bool:
    """One try. The name has a part made at random, so nobody else's volume has it."""
    lookup = active_pool(hypervisor, pool).storageVolLookupByName
    volume = hypervisor.find(NO_VOLUME, lookup, name)
    if volume is None:
        return True
    try:
        with hypervisor.doing(f"delete the volume {name}"):
            volume.delete(0)
    except HypervisorError as error:
        if error.code == NO_VOLUME:
            return True
        if error.code not in (NOT_NOW, TIMED_OUT):
            raise
        return False  # it is still being made
    return hypervisor.find(NO_VOLUME, lookup, name) is None


def _consoles_gone(hypervisor: Hypervisor, row: Resource) -> bool:
    pool = row.facts["pool"]
    if not refresh(hypervisor, pool=pool):
        active_pool(hypervisor, pool)
        return False
    names = console_logs(hypervisor, pool, row.facts["mark"])
    return all(_volume_gone(hypervisor, pool, name) for name in names)


def console_logs(hypervisor: Hypervisor, pool: str, mark: str) -> list[str]:
    """The console logs (and the older parts of them) with this mark that the pool knows."""
    with hypervisor.doing(f"list the volumes of {pool}"):
        names = active_pool(hypervisor, pool).listVolumes()
    return sorted(name for name in names if mark in name)
