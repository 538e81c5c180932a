"""N clones of a domain, defined and started: VirshProvider beside bare libvirt calls, virt-clone.

``python -m bench.virsh.clones [N] [ROUNDS]`` as root. The clones are overlays that have nothing to
boot, so what is measured is the making. The bare side makes the same calls from as many threads,
without ledger, events and checks. virt-clone makes full copies, one after the other, as Rally did.
The sides take turns, and the median of each counts: how busy the machine is changes meanwhile.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rally_deploy.serverprovider.virsh import VirshProvider
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.functional.libvirt_rig import Libvirtd

LIMIT = 1.1

_VOLUME = """<volume><name>{name}</name><capacity>{capacity}</capacity><target>
<format type='qcow2'/><compat>1.1</compat></target><backingStore><path>{path}</path>
<format type='qcow2'/></backingStore></volume>"""


def bare(here: Libvirtd, count: int) -> float:
    """Seconds for the bare calls."""
    import libvirt

    begin = time.monotonic()
    connection = libvirt.open(here.uri)
    template = connection.lookupByName("tpl")
    assert not template.isActive()
    xml = template.XMLDesc(3)
    volume = connection.storageVolLookupByPath(f"{here.pool}/tpl.qcow2")
    capacity, pool = volume.info()[1], volume.storagePoolLookupByVolume()

    def one(number: int) -> Any:
        name = f"bare-{number}"
        made = pool.createXML(_VOLUME.format(name=name, capacity=capacity, path=volume.path()), 0)
        text = xml.replace("<name>tpl<", f"<name>{name}<").replace(volume.path(), made.path())
        for tag, new in (("uuid", f"<uuid>{uuid.uuid4()}</uuid>"), ("mac address", "")):
            start = text.index(f"<{tag}")
            text = text[:start] + new + text[text.index(">" if not new else "</uuid>", start)
                                             + (1 if not new else 7):]
        domain = connection.defineXML(text)
        domain.create()
        return domain

    with ThreadPoolExecutor(count) as pool_of_threads:
        list(pool_of_threads.map(one, range(count)))
    seconds = time.monotonic() - begin
    clean(here, "bare-")
    return seconds


def clean(here: Libvirtd, prefix: str) -> None:
    def end(domain: Any) -> None:
        if domain.isActive():
            domain.destroy()
        domain.undefine()

    domains = [d for d in here.connection.listAllDomains() if d.name().startswith(prefix)]
    with ThreadPoolExecutor(8) as pool_of_threads:
        list(pool_of_threads.map(end, domains))
    pool = here.connection.storagePoolLookupByName("rdt")
    pool.refresh()
    for name in pool.listVolumes():
        if name.startswith(prefix):
            pool.storageVolLookupByName(name).delete()


def by_virt_clone(here: Libvirtd, count: int) -> float:
    """Seconds for virt-clone and virsh start, one clone after the other."""
    begin = time.monotonic()
    for number in range(count):
        name = f"vc-{number}"
        for command in (["virt-clone", "--connect", here.uri, "-o", "tpl", "-n", name,
                         "--file", f"{here.pool}/{name}.qcow2"],
                        ["virsh", "-c", here.uri, "start", name]):
            subprocess.run(command, check=True, capture_output=True)
    seconds = time.monotonic() - begin
    clean(here, "vc-")
    return seconds


def ours(here: Libvirtd, count: int, folder: Path) -> float:
    """Seconds for VirshProvider, from nothing to clones that run."""
    folder.mkdir()
    with open_deployer(folder, VirshProvider) as deployer:
        block = {"type": "VirshProvider", "connection": here.uri, "template_name": "tpl",
                 "template_user": "root", "template_password": "none", "amount": count}
        entity = open_deployment(
            deployer, {"type": "FakeEngine", "world": "/nonexistent", "provider": block})
        provider = entity.provider(entity.config["provider"])
        try:
            begin = time.monotonic()
            rows, _ = provider.make_clones(count)
            assert len(rows) == count
            return time.monotonic() - begin
        finally:
            provider.destroy_servers()


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    seen: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="rdt-bench-") as name, Libvirtd() as here:
        os.environ["RDEPLOY_HOME"] = f"{name}/home"
        for number in range(rounds + 1):
            sides: list[tuple[str, Callable[[], float]]] = [
                ("bare", lambda: bare(here, count)),
                ("ours", lambda n=number: ours(here, count, Path(name) / str(n))),
            ]
            for side, run in sides if number % 2 else reversed(sides):
                seconds = run()
                if number:  # the first time warms both up
                    seen.setdefault(side, []).append(seconds)
        if shutil.which("virt-clone"):
            seen["virt-clone"] = [by_virt_clone(here, count)]
    for side, values in seen.items():
        print(f"{side}: " + " ".join(f"{value:.2f} s" for value in values))
    median = {side: statistics.median(values) for side, values in seen.items()}
    ratio = median["ours"] / median["bare"]
    print(f"{count} clones: ours {median['ours']:.2f} s, bare {median['bare']:.2f} s, "
          f"ratio {ratio:.2f} (limit {LIMIT})")
    if "virt-clone" in median:
        print(f"virt-clone: {median['ours'] / median['virt-clone']:.2f} times")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
