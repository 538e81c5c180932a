"""N servers on Nova's fake driver: OpenStackProvider beside a bare loop of novaclient.

``python -m bench.openstack.servers OPENRC [N] [ROUNDS]``: OPENRC is what ``rdeploy openrc`` writes
for a cloud of samples/deployments/distro-fake-driver.json. The bare loop makes a key pair and a
security group, creates all servers and then waits for each, as a person's script does; the end is
when all are ACTIVE. The rounds alternate, the best of each side counts, and calls are counted by
a proxy in front of both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rally_deploy.serverprovider.openstack.cloud import Cloud
from tests.functional import openstack_rig
from tests.functional.fault_proxy import FaultProxy

LIMIT = 1.1


class Given:
    """``rdeploy openrc`` of a file instead of a deployment."""

    def __init__(self, path: str) -> None:
        self._text = Path(path).read_text()

    def __call__(self, *arguments: str) -> Any:
        return subprocess.CompletedProcess(arguments, 0, self._text)


def login(cloud: openstack_rig.RealCloud, auth_url: str) -> Cloud:
    return Cloud({
        "auth_url": auth_url, "user": "admin", "password": cloud.password, "tenant": "admin",
        "user_domain_name": "Default", "project_domain_name": "Default",
    }, openstack_rig.no_patience())


@dataclass(frozen=True)
class Seen:
    """One round of one side, without the clearing up after it."""

    elapsed_s: float
    calls: Mapping[str, int]


def bare(cloud: openstack_rig.RealCloud, proxy: FaultProxy, count: int) -> Seen:
    """From the login until all are ACTIVE."""
    begin = time.monotonic()
    client = login(cloud, proxy.auth_url)
    nova = client.nova
    key = nova.keypairs.create("rdt-bench")
    group = client.network.create_security_group(name="rdt-bench")
    servers: list[Any] = []
    try:
        for port in (22, None):
            client.network.create_security_group_rule(
                security_group_id=group.id, direction="ingress",
                protocol="tcp" if port else "icmp", port_range_min=port, port_range_max=port)
        flavor = next(f for f in nova.flavors.list() if f.name == "rdeploy-guest")
        image = client.glance.images.get(cloud.guest_image)
        network = next(client.network.networks(name="private"))
        for number in range(count):
            servers.append(nova.servers.create(
                f"rdt-bench-{number}", image["id"], flavor, key_name=key.name,
                nics=[{"net-id": network.id}], security_groups=[group.id]))
        for server in servers:
            while server.status != "ACTIVE":
                assert server.status != "ERROR", server.fault
                time.sleep(0.5)
                server.get()
        return Seen(time.monotonic() - begin, dict(proxy.asked))
    finally:
        for server in servers:
            server.delete()
        while any(s.name.startswith("rdt-bench") for s in nova.servers.list()):
            time.sleep(1)
        client.network.delete_security_group(group.id)
        nova.keypairs.delete(key)


def ours(
    cloud: openstack_rig.RealCloud, proxy: FaultProxy, count: int, folder: Path
) -> Seen:
    """OpenStackProvider, with its ledger, events and checks."""
    with openstack_rig.deployer(folder / "store") as rig:
        block = cloud.block(amount=count, auth_url=proxy.auth_url, nics=[{"net-id": "private"}])
        _, provider = openstack_rig.deployment(rig, block)
        try:
            begin = time.monotonic()
            servers = provider.create_servers()
            assert len(servers) == count
            return Seen(time.monotonic() - begin, dict(proxy.asked))
        finally:
            provider.destroy_servers()


def raise_quota(cloud: openstack_rig.RealCloud, count: int) -> None:
    cloud.client.nova.quotas.update(
        cloud.client.project_id, instances=count + 10, cores=count + 20, ram=(count + 10) * 1024)


def main() -> int:
    cloud = openstack_rig.RealCloud(Given(sys.argv[1]), "given")
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    raise_quota(cloud, count)
    seen: dict[str, list[Seen]] = {"bare": [], "ours": []}
    with tempfile.TemporaryDirectory(prefix="rdt-bench-") as name, \
            FaultProxy(cloud.auth_url) as proxy:
        os.environ["RDEPLOY_HOME"] = str(Path(name) / "home")
        for number in range(rounds):
            proxy.forget()
            seen["bare"].append(bare(cloud, proxy, count))
            proxy.forget()
            seen["ours"].append(ours(cloud, proxy, count, Path(name) / str(number)))
    for side, rows in seen.items():
        calls = rows[-1].calls
        print(f"{side}: " + " ".join(f"{row.elapsed_s:.2f} s" for row in rows))
        print(f"  {sum(calls.values())} calls, of them "
              f"{calls.get('GET /v2.1/servers/detail', 0)} listings of servers, "
              f"{calls.get('GET /v2.1/servers/ID', 0)} looks at one server, "
              f"{calls.get('POST /v2.1/servers', 0)} creations")
    best = {side: min(row.elapsed_s for row in rows) for side, rows in seen.items()}
    ratio = best["ours"] / best["bare"]
    print(f"{count} servers: ours {best['ours']:.2f} s, bare {best['bare']:.2f} s, "
          f"ratio {ratio:.2f} (limit {LIMIT})")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
