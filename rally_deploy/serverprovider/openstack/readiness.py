"""When a server lets us in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rally_deploy.errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionLost,
    Unreachable,
    WaitTimeout,
)
from rally_deploy.model import Server
from rally_deploy.serverprovider.openstack.refusal import Patience, ServerFailed

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

_TRY_S = 30.0

#: sshd may be up before cloud-init has written the key; a server that refuses us for longer has
#: another user, or another key.
_REFUSED_FOR_S = 180.0

#: What is met while a server is not up yet, or is up for another time.
_NOT_UP = (Unreachable, ConnectionLost, CommandTimeout)


def wait_for_login(
    deployment: Deployment, server: Server, patience: Patience, console: Callable[[], str]
) -> None:
    """Return once we are let in. The key comes from the metadata service, after sshd is up."""
    shell = deployment.ssh(server)
    refused_since: float | None = None

    def let_in() -> bool:
        nonlocal refused_since
        try:
            return shell.run(["true"], quiet=True, timeout_s=_TRY_S).ok
        except AuthenticationFailed as error:
            refused_since = refused_since or time.monotonic()
            if time.monotonic() - refused_since > _REFUSED_FOR_S:
                raise _refused(server, error, console()) from error
            raise
        except _NOT_UP:
            refused_since = None
            raise

    try:
        deployment.wait(
            let_in, patience.left_s,
            f"a login on {server.name} as {server.user} at {server.host}", interval_s=1.0,
            tolerate=(AuthenticationFailed, *_NOT_UP),
        )
    except WaitTimeout as error:
        if patience.left_s > 0:
            raise  # the time limit of the whole command, which tells itself
        raise ServerFailed(
            error.brief, "\n".join(filter(None, [error.details, console()])),
            "is its address reachable from here, and port 22 open in its security group? "
            "'login_user' is who the image lets in; then 'rdeploy resume'",
        ) from error


def _refused(server: Server, error: AuthenticationFailed, console: str) -> ServerFailed:
    return ServerFailed(
        f"{server.name} does not let in 'login_user' {server.user} at {server.host}",
        "\n".join(filter(None, [error.brief, error.details, console])),
        f"if the image lets in another user than {server.user}: destroy this, mend 'login_user', "
        "create again; if its cloud-init has not written the key yet: 'rdeploy resume'",
    )
