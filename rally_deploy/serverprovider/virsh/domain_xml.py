"""A clone's definition from its template's: what must differ does, all else stays as it is."""

from __future__ import annotations

import re
import uuid as uuids
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Our element in a domain's metadata: whose it is.
TAG = "urn:rally-deploy:domain"
TAG_PREFIX = "rdeploy"

ET.register_namespace(TAG_PREFIX, TAG)
ET.register_namespace("qemu", "http://libvirt.org/schemas/domain/qemu/1.0")
ET.register_namespace("libosinfo", "http://libosinfo.org/xmlns/libvirt/domain/1.0")


@dataclass(frozen=True)
class NewDisk:
    """What takes the place of one of the template's disks."""

    path: str
    format: str
    block: bool = False  # a device, not a file


@dataclass(frozen=True)
class Clone:
    """What is to be a clone's own."""

    name: str
    uuid: str
    macs: Sequence[str]  # one for each interface
    disks: Mapping[str, NewDisk]  # by target: vda ...
    deployment_uuid: str
    deployment_name: str = ""
    memory_mb: int | None = None
    vcpus: int | None = None
    network: str | None = None
    console_log: str = ""
    seed: str = ""  # path of a disk that cloud-init is to read


def definition(template: str, clone: Clone) -> str:
    """The XML by which the clone is defined, from the template's inactive one."""
    root = ET.fromstring(template)
    root.attrib.pop("id", None)
    _text(root, "name", clone.name)
    _text(root, "uuid", clone.uuid)
    if root.find("genid") is not None:
        _text(root, "genid", str(uuids.uuid4()))
    _tag(root, clone)
    _size(root, clone)
    # A clone has its own firmware variables, made from the loader's template.
    nvram = root.find("os/nvram")
    if nvram is not None:
        nvram.text = None
        nvram.attrib.pop("type", None)
        for source in nvram.findall("source"):
            nvram.remove(source)
    for entry in root.iterfind("sysinfo/system/entry[@name='uuid']"):
        entry.text = clone.uuid
    devices = root.find("devices")
    if devices is None:
        devices = ET.SubElement(root, "devices")
    _disks(devices, clone)
    _interfaces(devices, clone)
    _consoles(devices, clone)
    _shared_places(devices)
    return ET.tostring(root, encoding="unicode")


def tag_of(metadata: str) -> str:
    """The deployment's uuid in our element of a domain's metadata."""
    return ET.fromstring(metadata).get("uuid") or ""


def disks_of(template: str) -> list[ET.Element]:
    """The disks that every clone needs one of its own of."""
    return [
        disk for disk in ET.fromstring(template).iterfind("devices/disk")
        if disk.get("device", "disk") == "disk" and disk.find("source") is not None
        and disk.find("readonly") is None and disk.find("shareable") is None
    ]


def target_of(disk: ET.Element) -> str:
    target = disk.find("target")
    return (target.get("dev") if target is not None else "") or ""


def interfaces_of(domain: str) -> list[tuple[str, str, str]]:
    """(kind, network or bridge, MAC) of each interface."""
    found = []
    for nic in ET.fromstring(domain).iterfind("devices/interface"):
        kind, source, mac = nic.get("type") or "", nic.find("source"), nic.find("mac")
        where = source.get(kind, "") if source is not None else ""
        found.append((kind, where, (mac.get("address") or "") if mac is not None else ""))
    return found


def has_agent(domain: str) -> bool:
    """Whether there is a channel to QEMU's guest agent."""
    path = "devices/channel/target[@name='org.qemu.guest_agent.0']"
    return ET.fromstring(domain).find(path) is not None


def _text(root: ET.Element, name: str, text: str) -> ET.Element:
    element = root.find(name)
    if element is None:
        element = ET.SubElement(root, name)
    element.text = text
    return element


def _tag(root: ET.Element, clone: Clone) -> None:
    metadata = root.find("metadata")
    if metadata is None:
        metadata = ET.SubElement(root, "metadata")
    for old in metadata.findall(f"{{{TAG}}}deployment"):
        metadata.remove(old)
    ET.SubElement(metadata, f"{{{TAG}}}deployment",
                  {"uuid": clone.deployment_uuid, "name": clone.deployment_name})


def _size(root: ET.Element, clone: Clone) -> None:
    if clone.memory_mb:
        for name in ("memory", "currentMemory"):
            element = _text(root, name, str(clone.memory_mb))
            element.attrib.clear()
            element.set("unit", "MiB")
    if clone.vcpus:
        vcpu = _text(root, "vcpu", str(clone.vcpus))
        vcpu.attrib.pop("current", None)
        _drop(root, "vcpus")
        for tuning in root.findall("cputune"):
            for one in [*tuning.iterfind("*[@vcpu]"), *tuning.iterfind("*[@vcpus]")]:
                which = one.get("vcpu") or one.get("vcpus") or "0"
                if max(map(int, re.findall(r"\d+", which))) >= clone.vcpus:
                    tuning.remove(one)
    cpu = root.find("cpu")
    if cpu is not None and (clone.vcpus or clone.memory_mb):
        _drop(cpu, "topology")  # counts CPUs, too, and would contradict
    if clone.memory_mb or (clone.vcpus and root.find("cpu/numa") is not None):
        _one_node(root)


def _one_node(root: ET.Element) -> None:
    """Drop the nodes that the guest would see CPUs and memory in, and what needs such nodes."""
    for path, name in (("cpu", "numa"), ("numatune", "memnode"), (".", "maxMemory"),
                       ("devices", "memory")):
        for parent in root.findall(path):
            _drop(parent, name)
    for page in root.iterfind("memoryBacking/hugepages/page"):
        page.attrib.pop("nodeset", None)


def _disks(devices: ET.Element, clone: Clone) -> None:
    for disk in devices.findall("disk"):
        _drop(disk, "backingStore")
        new = clone.disks.get(target_of(disk))
        if new is None:
            continue
        disk.set("type", "block" if new.block else "file")
        _drop(disk, "source")
        ET.SubElement(disk, "source", {"dev" if new.block else "file": new.path})
        driver = disk.find("driver")
        if driver is None:
            driver = ET.SubElement(disk, "driver", {"name": "qemu"})
        driver.set("type", new.format)
    if clone.seed:
        _seed(devices, clone.seed)


def _seed(devices: ET.Element, path: str) -> None:
    """One more disk, on the bus of the first: there cloud-init's drivers find it."""
    targets = [target_of(disk) for disk in devices.iterfind("disk")]
    first = devices.find("disk/target")
    bus = (first.get("bus") or "") if first is not None else ""
    # IDE has room for four only, and CD drives are mostly behind the disks.
    letters = "dcb" if bus == "ide" else "zyxwvutsrq"
    prefix = (targets[0] if targets else "vda")[:-1]
    free = next((f"{prefix}{c}" for c in letters if f"{prefix}{c}" not in targets), "vdz")
    disk = ET.SubElement(devices, "disk", {"type": "file", "device": "disk"})
    ET.SubElement(disk, "driver", {"name": "qemu", "type": "raw"})
    ET.SubElement(disk, "source", {"file": path})
    ET.SubElement(disk, "target", {"dev": free, **({"bus": bus} if bus else {})})
    ET.SubElement(disk, "readonly")


def _interfaces(devices: ET.Element, clone: Clone) -> None:
    nics = devices.findall("interface")
    if not nics and clone.network:
        nics = [ET.SubElement(devices, "interface", {"type": "network"})]
        ET.SubElement(nics[0], "model", {"type": "virtio"})
    for number, (nic, mac) in enumerate(zip(nics, clone.macs, strict=True)):
        if number == 0 and clone.network:
            nic.set("type", "network")
            for name in ("source", "virtualport", "vlan", "portForward", "backend"):
                _drop(nic, name)
            ET.SubElement(nic, "source", {"network": clone.network})
        source = nic.find("source")
        if source is not None:
            for name in ("portid", "bridge") if nic.get("type") == "network" else ():
                source.attrib.pop(name, None)
        _drop(nic, "mac")
        _drop(nic, "target")  # the interface on the host, which cannot be there twice
        ET.SubElement(nic, "mac", {"address": mac})


def _consoles(devices: ET.Element, clone: Clone) -> None:
    for port in [*devices.findall("serial"), *devices.findall("console")]:
        _drop(port, "log")
        listens = port.find("source[@mode='bind']") is not None
        if port.get("type") in ("pty", "file") or listens:
            port.set("type", "pty")
            port.attrib.pop("tty", None)
            for name in ("source", "protocol"):
                _drop(port, name)
    first = devices.find("serial")
    if first is None and devices.find("console") is None and clone.console_log:
        first = ET.SubElement(devices, "serial", {"type": "pty"})
    # A console that only shows the first serial port is the same device.
    first = first if first is not None else devices.find("console")
    if first is not None and clone.console_log:
        ET.SubElement(first, "log", {"file": clone.console_log, "append": "on"})


def _shared_places(devices: ET.Element) -> None:
    """Sockets and ports on the host that two domains cannot have at the same time."""
    for channel in devices.findall("channel"):
        source = channel.find("source")
        if channel.get("type") == "unix" and source is not None:
            channel.remove(source)
    for screen in devices.findall("graphics"):
        for name in ("port", "tlsPort", "websocket"):
            screen.attrib.pop(name, None)
        if screen.get("type") in ("vnc", "spice", "rdp"):
            screen.set("autoport", "yes")
        for listener in [screen, *screen.findall("listen")]:
            listener.attrib.pop("socket", None)
    for cid in devices.iterfind("vsock/cid"):
        cid.attrib.clear()
        cid.set("auto", "yes")


def _drop(parent: ET.Element, name: str) -> None:
    for element in parent.findall(name):
        parent.remove(element)
