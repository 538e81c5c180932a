"""The template: is it fit to be cloned, and what does a clone of it need?"""

from __future__ import annotations

import difflib
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rally_deploy.serverprovider.virsh import domain_xml
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.pools import active_pool, info_of, of_files, refresh
from rally_deploy.serverprovider.virsh.refusal import (
    NO_DOMAIN,
    NO_NETWORK,
    NO_POOL,
    NO_VOLUME,
    NetworkUnfit,
    PoolUnfit,
    TemplateUnfit,
)

_INACTIVE_SECURE = 3  # VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE


@dataclass(frozen=True)
class Disk:
    """One of the template's disks, of which each clone gets its own."""

    target: str
    path: str
    format: str
    capacity: int  # bytes that the guest sees
    allocation: int  # bytes that it takes
    pool: str  # where the clone's own is made
    files: bool = True  # that pool keeps files; else devices (LVM)


@dataclass(frozen=True)
class Template:
    """What clones are made from."""

    name: str
    xml: str
    disks: tuple[Disk, ...]
    interfaces: int
    networks: tuple[str, ...]  # libvirt's, of the clones' interfaces


def look(hypervisor: Hypervisor, config: Mapping[str, Any], new: bool = True) -> Template:
    """The template of this config; TemplateUnfit, NetworkUnfit or PoolUnfit if it is of no use.

    :param new: clones of it are to be made; else it only has to rest where overlays need that.
    """
    name = config["template_name"]
    domain = hypervisor.find(NO_DOMAIN, hypervisor.libvirt.lookupByName, name)
    if domain is None:
        raise _missing(hypervisor, name)
    with hypervisor.doing(f"look at the template {name}"):
        if new or config["clone"] == "overlay":
            _require_off(domain, name, hypervisor.way.uri)
        xml = str(domain.XMLDesc(_INACTIVE_SECURE))
    disks = tuple(_disk(hypervisor, config, name, disk) for disk in domain_xml.disks_of(xml))
    if not disks:
        raise TemplateUnfit(
            f"the template {name} has no disk that could be cloned",
            remedy="'virsh domblklist' shows its disks; it needs one that is neither read-only "
                   "nor shared",
        )
    return Template(name, xml, disks, *_interfaces(hypervisor, config, name, xml))


def _missing(hypervisor: Hypervisor, name: str) -> TemplateUnfit:
    with hypervisor.doing("list the domains"):
        names = sorted(domain.name() for domain in hypervisor.libvirt.listAllDomains())
    near = difflib.get_close_matches(name, names, 1)
    others = [one for one in names if not one.startswith("rd-")][:20]
    return TemplateUnfit(
        f"there is no domain '{name}' on {hypervisor.way.label} to clone",
        f"there are: {', '.join(others) or 'none'}",
        (f"did you mean '{near[0]}'? " if near else "") +
        "give the name of a domain that is shut off as 'template_name'",
    )


def _require_off(domain: Any, name: str, uri: str) -> None:
    if domain.isActive():
        raise TemplateUnfit(
            f"the template {name} is running",
            "its disks must not change while they are cloned, nor while overlays of them are used",
            f"shut it down: 'virsh -c {uri} shutdown {name}', then 'rdeploy resume'",
        )
    if domain.hasManagedSaveImage():
        raise TemplateUnfit(
            f"the template {name} is not shut off but saved in mid-work",
            "its disks are as they were then, with files open",
            f"start it and shut it down: 'virsh -c {uri} start {name}', or drop what was saved: "
            f"'virsh -c {uri} managedsave-remove {name}'",
        )


def _disk(hypervisor: Hypervisor, config: Mapping[str, Any], name: str, disk: Any) -> Disk:
    target = domain_xml.target_of(disk)
    volume = _volume(hypervisor, disk)
    if volume is None:
        source = disk.find("source")
        path = source.get("file") or source.get("dev") or source.get("volume") or "its source"
        folder = posixpath.dirname(path) or "FOLDER"
        raise TemplateUnfit(
            f"disk {target} of the template {name} is in no storage pool that is active",
            f"{path} has to be a volume of a pool, so that libvirt can clone it",
            f"make its folder a pool: 'virsh pool-create-as NAME dir --target {folder}'; or start "
            "the pool that it is in",
        )
    with hypervisor.doing(f"look at disk {target} of {name}"):
        _, capacity, allocation = volume.info()
        path = volume.path()
        pool = config.get("pool") or volume.storagePoolLookupByVolume().name()
        shown = info_of(volume)
    driver = disk.find("driver")
    own = driver.get("type") if driver is not None else None
    target_pool = active_pool(hypervisor, pool)
    with hypervisor.doing(f"look at the pool {pool}"):
        files = of_files(target_pool)
    if not files and config["clone"] == "overlay":
        raise PoolUnfit(
            f"the storage pool {pool} keeps no files, so no overlays either",
            remedy="name a pool of a folder as 'pool', or set \"clone\": \"copy\"",
        )
    return Disk(target, path, own or shown.format, capacity, allocation, pool, files)


def _volume(hypervisor: Hypervisor, disk: Any) -> Any:
    """The volume that a disk of the template is; None if it is in no pool that is active."""
    connection, source = hypervisor.libvirt, disk.find("source")
    if disk.get("type") == "volume":
        pool = hypervisor.find(NO_POOL, connection.storagePoolLookupByName, source.get("pool"))
        if pool is None or not pool.isActive():
            return None
        return hypervisor.find(NO_VOLUME, pool.storageVolLookupByName, source.get("volume"))
    path = source.get("file") or source.get("dev")
    if not path:
        return None
    volume = hypervisor.find(NO_VOLUME, connection.storageVolLookupByPath, path)
    if volume is None and refresh(hypervisor, posixpath.dirname(path)):
        # Pools only know what was there when they were last looked at.
        volume = hypervisor.find(NO_VOLUME, connection.storageVolLookupByPath, path)
    return volume


def _interfaces(
    hypervisor: Hypervisor, config: Mapping[str, Any], name: str, xml: str
) -> tuple[int, tuple[str, ...]]:
    wanted, found = config.get("network"), domain_xml.interfaces_of(xml)
    if not found and not wanted:
        raise TemplateUnfit(
            f"the template {name} has no network interface",
            remedy="add one to it, or name a libvirt network as 'network'",
        )
    networks = [where if kind == "network" else "" for kind, where, _ in found] or [""]
    if wanted:
        networks[0] = wanted
    for network in filter(None, networks):
        _require_network(hypervisor, network)
    return max(len(found), 1), tuple(networks)


def _require_network(hypervisor: Hypervisor, name: str) -> None:
    uri, connection = hypervisor.way.uri, hypervisor.libvirt
    network = hypervisor.find(NO_NETWORK, connection.networkLookupByName, name)
    with hypervisor.doing(f"look at the network {name}"):
        if network is None:
            there = ", ".join(sorted(one.name() for one in connection.listAllNetworks()))
            raise NetworkUnfit(
                f"there is no network '{name}' on {hypervisor.way.label}",
                f"there are: {there or 'none'}", "give the name of one of them as 'network'",
            )
        if not network.isActive():
            raise NetworkUnfit(
                f"the network {name} is not active",
                remedy=f"'virsh -c {uri} net-start {name}', and 'virsh -c {uri} net-autostart "
                       f"{name}' so that it comes back",
            )
