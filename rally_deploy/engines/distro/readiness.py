"""Waits until every compute and agent reports, and says which one does not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from rally_deploy.deployment import Deployment
from rally_deploy.engines.distro import neutron, nova
from rally_deploy.engines.distro.cloud import Cloud
from rally_deploy.errors import CloudBroken, WaitTimeout
from rally_deploy.hosts.remote_cloud import RemoteCloud

#: How long computes and agents may take until they report, once started.
TIMEOUT_S = 600.0
#: ... and as much more for each that is started at the same time elsewhere.
PER_HOST_S = 15.0


def wait_until_ready(
    deployment: Deployment, cloud: Cloud, remote: RemoteCloud,
    started: Mapping[tuple[str, str], float],
) -> None:
    """All services and agents up, every host known to the scheduler; CloudBroken names others.

    :param started: (service, host) -> when it was started, by the controller's clock: a report
        from before does not count, since Nova and Neutron call a service up for a minute after it.
    """
    hosts = (node.hostname for node in cloud.computes)
    _wait(deployment, cloud, remote, _expected(cloud), hosts, started, TIMEOUT_S)


def wait_for_hosts(
    deployment: Deployment, cloud: Cloud, remote: RemoteCloud, hosts: Iterable[str]
) -> None:
    """Wait until computes that are not among the cloud's own nodes are up, and make them known.

    Each must have reported since this call: one that was stopped is called up for a minute more.
    """
    hosts = list(hosts)
    computes = {("nova-compute", host) for host in hosts}
    agents = {("neutron-linuxbridge-agent", host) for host in hosts if cloud.has("neutron")}
    now = clock(cloud)
    _wait(deployment, cloud, remote, computes | agents, hosts, dict.fromkeys(computes, now),
          TIMEOUT_S + PER_HOST_S * len(hosts))


def clock(cloud: Cloud) -> float:
    """Seconds of the epoch by the controller's clock."""
    return float(cloud.controller.shell.run(["date", "+%s"], quiet=True).stdout)


def _wait(
    deployment: Deployment, cloud: Cloud, remote: RemoteCloud, wanted: set[tuple[str, str]],
    computes: Iterable[str], started: Mapping[tuple[str, str], float], timeout_s: float,
) -> None:
    hosts = {host.split(".")[0] for host in computes}
    late: set[str] = set()

    def all_up() -> bool:
        # Both are whole seconds: a report in that of its restart may be the old process's. The new
        # one needs some to report, and does so every 10 s (agents 30 s).
        up = {
            (s["name"], s["host"]) for s in remote.call("services_up")
            if s["up"] and (s["seen"] or math.inf) > started.get((s["name"], s["host"]), 0)
        }
        late.clear()
        late.update(f"{name} on {host}" for name, host in wanted - up)
        # Known to the scheduler is a host only after it has been discovered.
        if late:
            return False
        known = {h["host"].split(".")[0] for h in remote.call("hypervisors") if h["up"]}
        if hosts - known:
            nova.discover_hosts(cloud)
        late.update(f"the hypervisor of {host}" for host in hosts - known)
        return not late

    try:
        deployment.wait(all_up, timeout_s, "computes and agents", interval_s=2)
    except WaitTimeout as error:
        raise CloudBroken(
            "not all computes and agents have come up",
            "\n".join(f"{name} does not report" for name in sorted(late)),
            "their logs are below /var/log/nova and /var/log/neutron on that host; "
            "then 'rdeploy resume'",
        ) from error


def _expected(cloud: Cloud) -> set[tuple[str, str]]:
    expected = {
        (name, cloud.controller.hostname) for name in ("nova-conductor", "nova-scheduler")
    }
    for node in cloud.nodes:
        if node.has("compute"):
            expected.add(("nova-compute", node.hostname))
        expected |= {(unit.name, node.hostname) for unit in neutron.agent_units(cloud, node)}
    return expected
