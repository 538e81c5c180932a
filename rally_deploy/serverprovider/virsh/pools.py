"""Storage pools, and the volumes that we make in them."""

from __future__ import annotations

import contextlib
import posixpath
import threading
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.refusal import (
    NO_POOL,
    NO_VOLUME,
    HypervisorError,
    PoolFull,
    PoolUnfit,
)

#: Pools whose volumes are files in one folder.
OF_FILES = frozenset({"dir", "fs", "netfs"})

#: What an overlay takes before anything is written to it, and a little for its first boot.
OVERLAY_BYTES = 4 << 20

_VOLUME = (
    "<volume><name>{name}</name><capacity unit='bytes'>{capacity}</capacity>"
    "<allocation unit='bytes'>{allocation}</allocation><target><format type='{format}'/>{compat}"
    "</target>{backing}</volume>"
)

# A pool is looked through once at a time: libvirt refuses a second one.
_refreshing = threading.Lock()


@dataclass(frozen=True)
class Shown:
    """What a pool's or volume's XML tells."""

    kind: str  # dir, logical ...; file, block ...
    path: str
    format: str


def info_of(thing: Any) -> Shown:
    """The XML of a pool or volume, read. Raises libvirt's errors."""
    root = ET.fromstring(thing.XMLDesc(0))
    path, format_ = root.find("target/path"), root.find("target/format")
    return Shown(
        root.get("type") or "", (path.text or "") if path is not None else "",
        (format_.get("type") or "raw") if format_ is not None else "raw",
    )


def active_pool(hypervisor: Hypervisor, name: str) -> Any:
    """The pool of this name; PoolUnfit unless it is there and active."""
    uri = hypervisor.way.uri
    pool = hypervisor.find(NO_POOL, hypervisor.libvirt.storagePoolLookupByName, name)
    with hypervisor.doing(f"look at the pool {name}"):
        if pool is None:
            there = sorted(one.name() for one in hypervisor.libvirt.listAllStoragePools())
            raise PoolUnfit(
                f"there is no storage pool '{name}' on {hypervisor.way.label}",
                f"there are: {', '.join(there) or 'none'}",
                "give the name of one of them as 'pool'; if disks of a deployment are in one that "
                f"was taken away, define it again: 'virsh -c {uri} pool-define-as {name} dir "
                "--target FOLDER'",
            )
        if not pool.isActive():
            raise PoolUnfit(f"the storage pool {name} is not active",
                            remedy=f"'virsh -c {uri} pool-start {name}'")
    return pool


def of_files(pool: Any) -> bool:
    return info_of(pool).kind in OF_FILES


def require_space(hypervisor: Hypervisor, name: str, needed: int) -> None:
    """PoolFull if the pool has less than this many bytes left."""
    with hypervisor.doing(f"look at the pool {name}"):
        available = active_pool(hypervisor, name).info()[3]
    if available < needed:
        raise PoolFull(
            f"the storage pool {name} is too full for the clones",
            f"{needed >> 20} MiB are needed, {available >> 20} MiB are free",
            "free some space there, name another 'pool', or set \"clone\": \"overlay\", which "
            "needs less",
        )


def make_overlay(
    hypervisor: Hypervisor, pool: str, name: str, path: str, format_: str, capacity: int
) -> str:
    """A qcow2 volume over this file; returns its path. Its own name must be free."""
    there = active_pool(hypervisor, pool)
    backing = (f"<backingStore><path>{escape(path)}</path><format type='{format_}'/>"
               "</backingStore>")
    xml = _VOLUME.format(name=escape(name), capacity=capacity, allocation=0, format="qcow2",
                         compat="<compat>1.1</compat>", backing=backing)
    with _making(hypervisor, pool, name, OVERLAY_BYTES):
        return str(there.createXML(xml, 0).path())


def make_copy(
    hypervisor: Hypervisor, pool: str, name: str, path: str, format_: str, capacity: int,
    allocation: int,
) -> str:
    """A volume with all that this one holds; returns its path."""
    there = active_pool(hypervisor, pool)
    source = hypervisor.find(NO_VOLUME, hypervisor.libvirt.storageVolLookupByPath, path)
    with _making(hypervisor, pool, name, allocation):
        in_file = of_files(there)
        xml = _VOLUME.format(
            name=escape(name), capacity=capacity, allocation=0 if in_file else capacity,
            format=format_ if in_file else "raw", backing="",
            compat="<compat>1.1</compat>" if in_file and format_ == "qcow2" else "",
        )
        return str(there.createXMLFrom(xml, source, 0).path())


def make_file(hypervisor: Hypervisor, pool: str, name: str, content: bytes) -> str:
    """A volume with this content; returns its path."""
    there = active_pool(hypervisor, pool)
    xml = _VOLUME.format(name=escape(name), capacity=len(content), allocation=len(content),
                         format="raw", compat="", backing="")
    with _making(hypervisor, pool, name, len(content)):
        volume = there.createXML(xml, 0)
        stream = hypervisor.libvirt.newStream(0)
        volume.upload(stream, 0, len(content), 0)
        rest = content
        while rest:
            rest = rest[stream.send(rest):]
        stream.finish()
        return str(volume.path())


@contextlib.contextmanager
def _making(hypervisor: Hypervisor, pool: str, name: str, needed: int) -> Any:
    try:
        with hypervisor.doing(f"make the volume {name}"):
            yield
    except PoolFull:
        raise
    except HypervisorError:
        # qemu-img's failures come without a number: how full the pool is tells more.
        refresh(hypervisor, pool=pool)
        require_space(hypervisor, pool, needed)
        raise


def refresh(hypervisor: Hypervisor, folder: str = "", pool: str = "") -> bool:
    """Have a pool looked through, by its name or its folder; False if that cannot be now."""
    import libvirt

    done = False
    with _refreshing:
        for one in hypervisor.libvirt.listAllStoragePools():
            try:
                if not one.isActive() or (pool and one.name() != pool):
                    continue
                if folder and posixpath.normpath(info_of(one).path) != posixpath.normpath(folder):
                    continue
                one.refresh(0)
                done = True
            except libvirt.libvirtError:
                continue  # busy with volumes that are being made, or gone meanwhile
    return done
