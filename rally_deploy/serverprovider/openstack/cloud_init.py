"""cloud-init of a server: waited for until it has ended, and what it complains of."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionLost,
    HostError,
    Unreachable,
)
from rally_deploy.model import Server
from rally_deploy.serverprovider.openstack.readiness import wait_for_login
from rally_deploy.serverprovider.openstack.refusal import Patience, ServerFailed
from rally_deploy.ssh.base import Shell

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

_LOG = "/var/log/cloud-init-output.log"

# Tells what it writes meanwhile. "cloud-init status --wait" of itself does not do: that of Debian
# 12 comes back at the first error of an early stage, while the later ones are still at work, and
# others never come back where the last stage did not run.
_WAIT = r"""
command -v cloud-init >/dev/null 2>&1 || exit 0
told=0
tell() {
    [ -r "$1" ] || return 0
    now=$(wc -l <"$1")
    [ "$now" -gt "$told" ] || return 0
    sed -n "$((told + 1)),${now}p" "$1"
    told=$now
}
is_restarting() {
    # It does so by a process that waits for the end of the last stage.
    pgrep -f 'cloud-init (modules --mode[= ]final|--all-stages)' >/dev/null 2>&1 ||
        [ "$(systemctl is-system-running 2>/dev/null)" = stopping ]
}
is_over() {
    ! is_restarting || return 1
    for mark in /run/cloud-init/result.json /run/cloud-init/disabled \
            /etc/cloud/cloud-init.disabled; do
        [ ! -e "$mark" ] || return 0
    done
    [ -d /run/systemd/system ] || return 1
    # Without a result its last stage may have failed, or may not be going to run at all.
    state=$(systemctl show -p Job,ActiveState cloud-final.service 2>/dev/null) || return 1
    case $state in
        *Job=[1-9]*|*=activating*|*=deactivating*|*=reloading*) return 1 ;;
    esac
}
until is_over; do
    tell "$1"
    sleep 1
done
tell "$1"
"""

# Older ones have no JSON; those before 23.4 keep what they got over to their log, of all boots.
_REPORT = r"""
command -v cloud-init >/dev/null 2>&1 || exit 0
shown=$(cloud-init status --format json 2>/dev/null || :)
[ -n "$shown" ] || shown=$(cloud-init status --long 2>/dev/null || :)
printf '=== status\n%s\n=== result\n' "$shown"
cat /run/cloud-init/result.json 2>/dev/null || :
printf '\n=== failed\n'
systemctl list-units --state=failed --plain --no-legend --no-pager cloud-init-local.service \
    cloud-init-main.service cloud-init-network.service cloud-init.service cloud-config.service \
    cloud-final.service 2>/dev/null || :
printf '=== log\n'
awk '/ running .init-local./ {split("", found)}
    /\[(WARNING|ERROR|CRITICAL)\]: / {found[NR] = $0}
    END {for (line = 1; line <= NR; line++) if (line in found) print found[line]}
' /var/log/cloud-init.log 2>/dev/null || :
"""


def wait_for_cloud_init(
    deployment: Deployment, server: Server, patience: Patience, console: Callable[[], str]
) -> None:
    """Return once cloud-init has ended, if there is one; ServerFailed with its errors."""
    shell = deployment.ssh(server)
    while True:
        try:
            shell.script(_WAIT, _LOG, timeout_s=max(patience.left_s, 1.0))
            report = shell.script(_REPORT, quiet=True).stdout
            break
        except CommandTimeout as error:
            raise ServerFailed(
                f"cloud-init of {server.name} does not end", _last_lines(shell),
                "'rdeploy resume' waits on, 'timeout_s' tells how long; 'rdeploy logs' shows all "
                "that it has written",
            ) from error
        except (Unreachable, ConnectionLost, AuthenticationFailed):
            # It may restart the server, and goes on once that is up again.
            if patience.left_s <= 0:
                raise
            patience.pause(1.0)
            wait_for_login(deployment, server, patience, console)
    errors, warnings = parse(report)
    for text in warnings:
        deployment.note(f"cloud-init: {text}", server, warning=True)
    if errors:
        raise ServerFailed(
            f"cloud-init of {server.name} has ended with errors",
            "\n".join([*errors, _last_lines(shell)]),
            "destroy this, mend 'userdata', create again; or set \"wait_for_cloud_init\": false. "
            "/var/log/cloud-init.log on the server tells more",
        )


def _last_lines(shell: Shell) -> str:
    try:
        said = shell.run(["tail", "-n", "15", _LOG], check=False, quiet=True).stdout.strip()
    except HostError:
        return ""  # it is a detail of another error, which must not be hidden by this one
    return f"the end of {_LOG}:\n{said}" if said else ""


def parse(report: str) -> tuple[list[str], list[str]]:
    """(errors, what went wrong but was got over) of what the script printed."""
    pieces = re.split(r"^=== (\w+)\n", report, flags=re.MULTILINE)
    parts = dict(zip(pieces[1::2], pieces[2::2], strict=True))
    shown = parts.get("status", "")
    status = _json(shown)
    errors = _texts(status.get("errors")) or _texts(
        (_json(parts.get("result", "")).get("v1") or {}).get("errors"))
    if not errors:
        units = [line.split()[0] for line in parts.get("failed", "").splitlines() if line.strip()]
        errors = [f"{unit} has failed" for unit in units]
    if not errors and (status.get("status") == "error" or "status: error" in shown):
        errors = [f"status: error, detail: {status.get('detail')}" if status
                  else " ".join(shown.split())]
    recoverable = status.get("recoverable_errors")
    warnings = _in_log(parts.get("log", "")) if recoverable is None else _recoverable(recoverable)
    in_one_line = [" ".join(text.split()) for text in warnings]
    return list(dict.fromkeys(errors)), list(dict.fromkeys(in_one_line))


def _recoverable(found: Mapping[str, Any]) -> Iterator[str]:
    for level, messages in found.items():
        yield from (f"{level.lower()}: {message}" for message in _texts(messages))


def _in_log(text: str) -> Iterator[str]:
    for level, message in re.findall(r"\[(WARNING|ERROR|CRITICAL)\]: (.*)", text):
        yield f"{level.lower()}: {message}"


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
