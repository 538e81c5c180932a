"""Who holds a deployment: an identity of this process, and whether another one is still alive.

An owner is ``host:boot id:pid namespace:pid:start time``. A pid alone says nothing: it is used
again after a while, after a boot, and in every container.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from rally_deploy.model import MOVING, DeploymentRecord

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_GONE = frozenset({"Z", "X", "x"})  # a process that ended, but that nobody has reaped


@dataclass(frozen=True)
class _Owner:
    host: str
    boot_id: str
    namespace: str
    pid: int
    started: str  # in clock ticks since the boot

    def __str__(self) -> str:
        return f"{self.host}:{self.boot_id}:{self.namespace}:{self.pid}:{self.started}"


def owner_id() -> str:
    """The identity of this process, unique over machines, boots and containers."""
    pid = os.getpid()
    _, started = _process(pid) or ("", "")
    return str(_Owner(_host(), _boot_id(), _namespace(), pid, started))


def is_dead(owner: str) -> bool:
    """True only if the process is certainly gone: it was of this boot and of our pid namespace.

    Of a process on another machine (or in another container) nothing is known: False.
    """
    who = _parse(owner)
    if who is None or not who.boot_id or not who.namespace or not who.started:
        return False
    if (who.host, who.boot_id, who.namespace) != (_host(), _boot_id(), _namespace()):
        return False
    try:
        now = _process(who.pid)
    except OSError:
        return False
    return now is None or now[0] in _GONE or now[1] != who.started


def is_stale(record: DeploymentRecord, now: datetime | None = None) -> bool:
    """In a moving state, but nobody moves it: no holder, a dead one, or an expired lease."""
    if record.state not in MOVING:
        return False
    if not record.lease_owner or record.lease_expires_at is None:
        return True
    if record.lease_expires_at <= (now or datetime.now(timezone.utc)):
        return True
    return is_dead(record.lease_owner)


def describe(owner: str) -> str:
    """What a person is told of an owner: its process and its machine."""
    who = _parse(owner)
    return f"process {who.pid} on {who.host}" if who else owner


def _parse(owner: str) -> _Owner | None:
    parts = owner.split(":")
    if len(parts) != 5 or not parts[3].isdecimal():
        return None
    return _Owner(parts[0], parts[1], parts[2], int(parts[3]), parts[4])


def _host() -> str:
    return socket.gethostname().replace(":", "_")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return ""


def _process(pid: int) -> tuple[str, str] | None:
    """Its state letter and start time; None if there is no such process.

    Raises OSError where /proc does not tell. Under a /proc that hides other users' processes
    (hidepid) a missing entry proves nothing: the kernel is asked once more, by signal 0.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        raise
    # The name in parentheses may hold anything, also blanks and parentheses.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]
