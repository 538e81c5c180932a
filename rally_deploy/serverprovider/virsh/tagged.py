"""All on a hypervisor that carries the tag of a deployment, of whichever database."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rally_deploy.hosts.tagged import Tagged, named
from rally_deploy.serverprovider.virsh import pools
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.refusal import NO_DOMAIN, NO_POOL, NOT_NOW, HypervisorError
from rally_deploy.serverprovider.virsh.removal import owner_of

# A clone's name, then what is recorded in its place: the mark of all logs of a deployment.
_CONSOLE = re.compile(r"(rd-[0-9a-f]{8}-).*-(console-[0-9a-f]{8})\.log")


def list_tagged(hypervisor: Hypervisor) -> list[Tagged]:
    """Domains by their metadata; volumes and console logs, in pools that are active, by name."""
    return sorted({*_domains(hypervisor), *_volumes(hypervisor)})


def _domains(hypervisor: Hypervisor) -> Iterator[Tagged]:
    with hypervisor.doing("list the domains"):
        domains = hypervisor.libvirt.listAllDomains()
    for domain in domains:
        try:
            tag = owner_of(hypervisor, domain)[:8]
        except HypervisorError as error:
            if error.code != NO_DOMAIN:  # it has gone meanwhile
                raise
            continue
        if re.fullmatch("[0-9a-f]{8}", tag):
            yield Tagged("domain", domain.name(), tag)


def _volumes(hypervisor: Hypervisor) -> Iterator[Tagged]:
    # A pool does not know of logs, and of what a killed process was making, before it looks.
    pools.refresh(hypervisor)
    with hypervisor.doing("list the storage pools"):
        active = [pool for pool in hypervisor.libvirt.listAllStoragePools() if pool.isActive()]
    for pool in active:
        try:
            with hypervisor.doing("list the volumes"):
                names = pool.listVolumes()
        except HypervisorError as error:
            if error.code not in (NO_POOL, NOT_NOW):  # gone or stopped meanwhile
                raise
            continue
        for name in names:
            log = _CONSOLE.match(name)
            if log:
                yield from named("console log", f"{log[1]}{log[2]} {name}")
            else:
                yield from named("volume", name)
