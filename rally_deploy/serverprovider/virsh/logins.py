"""From a clone with an address to one that lets us in, by a key of ours if it takes one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rally_deploy.errors import (
    AuthenticationFailed,
    CommandFailed,
    CommandTimeout,
    ConnectionLost,
    Unreachable,
    WaitTimeout,
)
from rally_deploy.model import Server
from rally_deploy.serverprovider.virsh.addresses import Surroundings
from rally_deploy.serverprovider.virsh.consoles import console_of
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.refusal import CloneFailed

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: A guest may listen before it knows its user's key; one that goes on refusing will for ever.
_REFUSED_FOR_S = 60.0

_PLACE_KEY = """
umask 077
mkdir -p "$HOME/.ssh"
file=$HOME/.ssh/authorized_keys
grep -qxF -- "$1" "$file" 2>/dev/null || printf '%s\\n' "$1" >>"$file"
"""


def wait_for_login(
    deployment: Deployment, hypervisor: Hypervisor, ways: Sequence[Server],
    around: Surroundings, timeout_s: float,
) -> Server:
    """The first of these ways into one clone by which it lets us in.

    Raises CloneFailed or AuthenticationFailed if it does not.
    """
    server = ways[0]
    refused: list[float] = []

    def let_in() -> Server | None:
        for way in ways:
            try:
                deployment.ssh(way).run(["true"], quiet=True)
                return way
            except AuthenticationFailed:
                refused.append(time.monotonic())
                if refused[-1] - refused[0] > _REFUSED_FOR_S:
                    raise
        return None

    try:
        found = deployment.wait(
            let_in, timeout_s, f"a login on {server.name} as {server.user} at {server.host}",
            interval_s=1.0, tolerate=(Unreachable, ConnectionLost, CommandTimeout),
        )
        return found or server
    except AuthenticationFailed as error:
        error.remedy = "check 'template_user', and that the template lets that user in with " \
                       "'template_key' or 'template_password' (PasswordAuthentication of its " \
                       "sshd); with neither of them it needs cloud-init"
        raise
    except WaitTimeout as error:
        behind, remedy = _behind(hypervisor, around)
        console = console_of(hypervisor, around.pool, server.name, around.mark)
        raise CloneFailed(
            error.brief, "\n".join(filter(None, [error.details, behind, console])),
            remedy or "does sshd start in the template, and do its host keys get made? is the "
            "clone's network reached from here? then 'rdeploy resume'",
        ) from error


def _behind(hypervisor: Hypervisor, around: Surroundings) -> tuple[str, str]:
    """Why no way leads to the clones, and what to do; empty if one does."""
    way = hypervisor.way
    if not (around.behind and way.host and not way.by_ssh):
        return "", ""
    return (
        f"its address is of the network {around.network} on {way.host}, which is reached from "
        f"that machine only, and no SSH login there is known from {way.uri}",
        "connect by user@host (or qemu+ssh://), and we go through that machine; or name a network "
        "that is bridged to yours as 'network'",
    )


def place_key(deployment: Deployment, server: Server, public: str) -> bool:
    """Have the clone let in this key, too; False with a note if its user cannot do that."""
    try:
        deployment.ssh(server).script(_PLACE_KEY, public, quiet=True)
    except CommandFailed as error:
        deployment.note(f"no key of ours could be put there: {error}", server, warning=True)
        return False
    return True
