"""When a server is fit for work: it lets us in, and cloud-init has ended without errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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

# Three generations of cloud-init: with JSON, with a status, with a result file only. Its status
# command may say "error" while it is still at work, and of itself never ends if it hangs.
_CLOUD_INIT = r"""
command -v cloud-init >/dev/null 2>&1 || { echo absent; exit 0; }
if cloud-init status --help 2>/dev/null | grep -q -e --format; then
    cloud-init status --wait --format json 2>/dev/null || :
elif cloud-init status --help >/dev/null 2>&1; then
    cloud-init status --wait --long || :
else
    until [ -e /run/cloud-init/result.json ]; do sleep 1; done
fi
echo
echo "=== result"
cat /run/cloud-init/result.json 2>/dev/null || :
"""


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


def wait_for_cloud_init(
    deployment: Deployment, server: Server, patience: Patience, console: Callable[[], str]
) -> None:
    """Return once cloud-init has ended; ServerFailed with its errors if it has any."""
    shell = deployment.ssh(server)
    while True:
        try:
            done = shell.script(_CLOUD_INIT, timeout_s=max(patience.left_s, 1.0), quiet=True)
            break
        except (Unreachable, ConnectionLost, AuthenticationFailed):
            # It may restart the server, and goes on once that is up again.
            if patience.left_s <= 0:
                raise
            patience.pause(1.0)
            wait_for_login(deployment, server, patience, console)
    if done.stdout.strip() == "absent":
        return
    errors, recoverable = parse(done.stdout)
    for text in recoverable:
        deployment.note(f"cloud-init: {text}", server, warning=True)
    if errors:
        log = shell.run(["tail", "-n", "15", "/var/log/cloud-init-output.log"], check=False,
                        quiet=True).stdout
        raise ServerFailed(
            f"cloud-init of {server.name} has ended with errors",
            "\n".join([*errors, *filter(None, ["", log.strip()])]),
            "mend 'userdata', or set \"wait_for_cloud_init\": false; "
            "/var/log/cloud-init.log on the server tells more",
        )


def parse(text: str) -> tuple[list[str], list[str]]:
    """(errors, what went wrong but was mended) of what the script printed."""
    shown, _, result = text.partition("=== result")
    errors: list[str] = []
    recoverable: list[str] = []
    status = _json(shown)
    if status:
        errors += _texts(status.get("errors"))
        for level, messages in (status.get("recoverable_errors") or {}).items():
            recoverable += [f"{level.lower()}: {m}" for m in _texts(messages)]
        if status.get("status") == "error" and not errors:
            errors.append(str(status.get("detail") or "status: error"))
    elif "status: error" in shown:
        errors.append(" ".join(shown.split()))
    if not errors:
        errors += _texts((_json(result).get("v1") or {}).get("errors"))
    return errors, recoverable


def _texts(found: Any) -> list[str]:
    items: Sequence[Any] = found if isinstance(found, list) else []
    return [str(item) for item in items]


def _json(text: str) -> dict[str, Any]:
    begin = text.find("{")
    try:
        found = json.loads(text[begin:]) if begin >= 0 else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
