"""Servers that were asked for: until they run, have an address, and let us log in."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import (
    AuthenticationFailed,
    CommandFailed,
    ConnectionLost,
    Unreachable,
    WaitTimeout,
)
from rally_deploy.model import Resource, Server
from rally_deploy.serverprovider.libcloud.cloud import CloudFailed
from rally_deploy.serverprovider.libcloud.machines import Machines, state_of

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

_POLL_S = 3.0
_LOGIN_POLL_S = 2.0

#: A server that has run for so long without an address of the wanted kind hardly gets one.
_ADDRESS_S = 60.0
#: sshd may answer before cloud-init has written our key; a user still refused then is a wrong one.
_REFUSED_FOR_S = 180.0

_INTERFACES = ("public_ips", "private_ips")


def await_running(
    deployment: Deployment, machines: Machines, rows: Sequence[Resource], interface: str,
    timeout_s: float,
) -> dict[int, Any]:
    """The libcloud node of each row, by the row's id, once it runs and has such an address."""
    seen: dict[int, Any] = {}
    running_since: dict[int, float] = {}
    warned: set[int] = set()
    begin = time.monotonic()

    def is_ready(row: Resource) -> bool:
        node = seen.get(row.id)
        return node is not None and state_of(node) == "running" and bool(getattr(node, interface))

    def look() -> bool:
        for row in [row for row in rows if not is_ready(row)]:
            node = machines.find(row)
            if node is None and row.id not in seen:
                continue  # a cloud may list a new server a little later
            seen[row.id] = node
            if node is None or state_of(node) == "error":
                raise _failed(row, node and machines.in_full(node))
            if state_of(node) == "running":
                running_since.setdefault(row.id, time.monotonic())
        late = [
            row for row in rows if not is_ready(row) and row.id not in warned
            and time.monotonic() - running_since.get(row.id, float("inf")) > _ADDRESS_S
        ]
        for row in late:
            deployment.note(
                f"{_told(row, seen[row.id])}; it is waited for, as 'ssh_interface' is {interface}",
                warning=True)
            warned.add(row.id)
        return all(map(is_ready, rows))

    try:
        deployment.wait(
            look, timeout_s, f"servers that run and have one of their {interface}",
            interval_s=_POLL_S)
    except WaitTimeout as error:
        if time.monotonic() - begin < timeout_s:
            raise  # of one call, or of the whole command: it tells itself
        missing = [row for row in rows if not is_ready(row)]
        raise CloudFailed(
            f"{len(missing)} of {len(rows)} servers do not run with an address of {interface} "
            f"within {timeout_s:g} s", "\n".join(_told(row, seen.get(row.id)) for row in missing),
            "'ssh_interface' says which addresses we log in to; where they are in a private "
            "network that is reached from here, set it to private_ips; then 'rdeploy resume'",
        ) from error
    return seen


def _told(row: Resource, node: Any) -> str:
    """What the cloud shows of a server: its state and all its addresses."""
    if node is None:
        return f"{row.name}: the cloud does not list it"
    addresses = ", ".join(
        f"{name} {' '.join(map(str, getattr(node, name))) or 'none'}" for name in _INTERFACES)
    return f"{row.name}: state {state_of(node)}, {addresses}"


def _failed(row: Resource, node: Any) -> CloudFailed:
    if node is None:
        return CloudFailed(
            f"the server {row.name} is gone", "somebody else has removed it",
            "'rdeploy resume' makes it anew",
        )
    fault = (node.extra or {}).get("fault") or {}
    said = fault.get("message", "") if isinstance(fault, Mapping) else str(fault)
    return CloudFailed(
        f"the cloud could not start {row.name}: {said or 'it says no more'}",
        remedy="look at the cloud's own log; another size or image may do; 'rdeploy resume' makes "
               "it anew",
    )


def wait_for_login(deployment: Deployment, server: Server, timeout_s: float) -> None:
    """Return once the server lets us in; CloudFailed if it goes on to refuse the user."""
    refused: list[float] = []

    def let_in() -> bool:
        try:
            return deployment.ssh(server).run(["true"], quiet=True).ok
        except (Unreachable, ConnectionLost):
            refused.clear()
            raise
        except (AuthenticationFailed, CommandFailed) as error:
            # Cloud images let root in only to run a command that tells whom to log in as.
            refused.append(time.monotonic())
            if refused[-1] - refused[0] < _REFUSED_FOR_S:
                return False
            raise CloudFailed(
                f"{server.label} at {server.host} refuses the login of {server.user}", str(error),
                "'login_user' is who the image lets in with our key (debian, ubuntu, admin ...); "
                "then destroy the deployment and create it again",
            ) from error

    deployment.wait(
        let_in, timeout_s, f"a login on {server.label} as {server.user} at {server.host}",
        interval_s=_LOGIN_POLL_S, tolerate=(Unreachable, ConnectionLost))
