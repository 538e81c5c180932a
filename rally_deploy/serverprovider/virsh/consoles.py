"""What the consoles of clones have said."""

from __future__ import annotations

from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.pools import active_pool, refresh
from rally_deploy.serverprovider.virsh.refusal import NO_VOLUME, HypervisorError
from rally_deploy.serverprovider.virsh.removal import console_logs


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
