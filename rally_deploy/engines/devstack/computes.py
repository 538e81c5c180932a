"""Computes that join a cloud: found by their cell, and waited for until all report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.engines.devstack.dropped import signed_services
from rally_deploy.engines.devstack.local_conf import compute_defaults, variables
from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import CloudBroken, CommandFailed, WaitTimeout
from rally_deploy.hosts.remote_cloud import RemoteCloud

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: A compute reports every two minutes unless NOVA_SERVICE_REPORT_INTERVAL says otherwise.
TIMEOUT_S = 420.0
#: What those that have reported have at least until they are mapped and up.
MAP_TIMEOUT_S = 30.0

_DISCOVER = """
for tool in /usr/local/bin/nova-manage "$1/venv/bin/nova-manage"; do
    if [ -x "$tool" ]; then exec "$tool" cell_v2 discover_hosts --verbose; fi
done
exec nova-manage cell_v2 discover_hosts --verbose
"""


#: What a cloud has and a compute of another one has not.
_CONTROL = frozenset({"key", "keystone", "n-api"})


def services(handed: Mapping[str, str], local_conf: str | Mapping[str, Any]) -> frozenset[str]:
    """The services that a local.conf enables; none if that is left to DevStack.

    :param handed: what a node of another deployment's controller was told of that one.
    """
    given = variables(local_conf)
    listed = given.get("ENABLED_SERVICES") or compute_defaults(handed, local_conf).get(
        "ENABLED_SERVICES", "")
    names = frozenset(signed_services(listed))
    if names:
        names |= frozenset(signed_services(given.get("ENABLED_SERVICES+", "")))
    off = {name for name in names if name.startswith("-")}
    return names - off - {name[1:] for name in off}


def is_compute(handed: Mapping[str, str], local_conf: str | Mapping[str, Any]) -> bool:
    """Whether a server with this local.conf is a compute of a cloud elsewhere, as it says."""
    if handed:
        return True
    named = services(handed, local_conf)
    return "SERVICE_HOST" in variables(local_conf) and bool(named) and not named & _CONTROL


def discover(node: Node) -> None:
    """Map computes that Nova's cell knows and Nova's API does not yet."""
    node.shell.run(
        [*node.environment, "sh", "-c", _DISCOVER, "discover", node.folders.data],
        user=node.user, timeout_s=300, quiet=True, title="nova-manage cell_v2 discover_hosts",
    )


def admit(
    deployment: Deployment, node: Node, cloud: RemoteCloud, hosts: Sequence[str],
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Wait until each of these hosts reports to the controller, is mapped, and is up.

    What counts are reports from now on: those of before may be of hosts that are gone again.
    """
    begin = float(node.shell.run(["date", "+%s"], quiet=True).stdout)
    known: Mapping[str, bool] = {}
    late = list(hosts)

    def all_report() -> bool:
        nonlocal late, known
        services = {s["host"]: s for s in cloud.call("services_up")
                    if s["name"] == "nova-compute"}
        late = [h for h in hosts if not _fresh(services.get(h), begin)]
        known = {h: h in services for h in hosts}
        return not late

    def all_up() -> bool:
        nonlocal late
        up = {h["host"] for h in cloud.call("hypervisors") if h["up"]}
        up |= {name.partition(".")[0] for name in up}
        late = [h for h in hosts if h not in up]
        if late:
            discover(node)
        return not late

    end = time.monotonic() + timeout_s
    with deployment.step(f"wait for {len(hosts)} computes", node.server):
        try:
            deployment.wait(all_report, timeout_s, "reports of the computes", interval_s=1,
                            tolerate=(CloudBroken,))
            # Nova may refuse to discover hosts for a moment; what it said last is told at the end.
            left = max(MAP_TIMEOUT_S, end - time.monotonic())
            deployment.wait(all_up, left, "hypervisors that are up", interval_s=1,
                            tolerate=(CloudBroken, CommandFailed))
        except WaitTimeout as error:
            raise CloudBroken(
                f"{len(late)} of {len(hosts)} computes are not up at {node.label}",
                "\n".join([*(f"{h}: {_state(h, known)}" for h in late), error.details]).strip(),
                "'journalctl -u devstack@n-cpu*' on these computes tells more; "
                "then 'rdeploy resume'",
            ) from error


def _fresh(service: Mapping[str, Any] | None, begin: float) -> bool:
    return bool(service and service["up"] and service["seen"] and service["seen"] > begin)


def _state(host: str, known: Mapping[str, bool]) -> str:
    return "has not reported for a while" if known.get(host) else "has never reported"
