"""Long commands that outlive our connection, and ourselves.

A job is a folder on the server, named like the resource that it makes::

    STATE_DIR/jobs/NAME/script   what it runs (0700: it may hold secrets)
                        env      its variables (0600)
                        log      what it prints
                        pid      of its session's leader, with that one's start time
                        running  renamed to ended.STATUS at the end: that needs no disk space

Whatever is killed and whenever, ``start`` again either finds the job or begins it.
"""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from rally_deploy.errors import CommandFailed, CommandTimeout, ConnectionLost, Unreachable
from rally_deploy.model import Server
from rally_deploy.ssh import base, remote_scripts
from rally_deploy.ssh.base import Observer, Result, Shell

#: How long ``attach`` tries to reach the server again after the link was lost.
PATIENCE_S = 180.0

_LINES_KEPT = 500
_ENDED_BEFORE = 76  # see remote_scripts
_RETRY_S = 2.0


class JobState(str, Enum):
    ABSENT = "absent"  # never begun, or forgotten
    RUNNING = "running"
    ENDED = "ended"  # by itself: it has a status
    DIED = "died"  # without a status: ended by us or another, or the server was restarted

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class JobStatus:
    state: JobState
    status: int | None = None  # the exit status of an ended one


def start(
    shell: Shell, name: str, script: str, *args: str, env: Mapping[str, str] | None = None
) -> None:
    """Begin the job unless it runs or has ended already; one that died begins again.

    :param script: with a ``#!`` line, or else for ``/bin/sh -e``. Its stdin is /dev/null.
    :param env: may hold secrets.
    """
    values = "".join(f"export {k}={shlex.quote(v)}\n" for k, v in (env or {}).items())
    sent = remote_scripts.start(script, values)
    result = shell.script(sent, _folder(name), _tombstone(name), "", *args, check=False)
    if result.status == _ENDED_BEFORE:
        # Nobody but a living caller gets here: a start that was on its way when the job was
        # ended stays without effect.
        result = shell.script(sent, _folder(name), _tombstone(name), "anew", *args, check=False)
    _raise_failure(shell, f"start of {name}", result)


def attach(
    shell: Shell,
    name: str,
    timeout_s: float,
    on_line: Callable[[str], None] | None = None,
) -> Result:
    """Follow the job's log until it ends; at once if it has. Survives a dropped link.

    Its whole log is told, from the first line, to ``on_line`` and to the shell's observer. The
    result's ``stdout`` holds the last lines. CommandTimeout and Cancelled leave the job running.
    """
    begin = time.monotonic()
    follower = _Follower(shell.observer, on_line)
    view = shell.observed_by(follower)
    lost_at = 0.0
    while True:
        left = timeout_s - (time.monotonic() - begin)
        if left <= 0:
            raise shell.timeout(name, timeout_s, "\n".join(follower.lines), "goes on there")
        seen = follower.count
        try:
            with suppress(CommandTimeout):  # of the look, not of the job
                view.run(
                    ["sh", "-c", remote_scripts.FOLLOW, "follow", _folder(name), str(seen)],
                    timeout_s=left + 1, check=False,
                )
            found = status(shell, name)
        except (ConnectionLost, Unreachable):
            now = time.monotonic()
            lost_at = now if follower.count > seen or not lost_at else lost_at
            if now - lost_at > PATIENCE_S:
                raise
            _pause(shell)
            continue
        lost_at = 0.0
        if found.state is not JobState.RUNNING:
            return _result(shell, name, found, follower, time.monotonic() - begin)


def run(shell: Shell, name: str, script: str, *args: str, timeout_s: float) -> Result:
    """Start the job or attach to it, follow it to its end, and forget it once it has ended."""
    start(shell, name, script, *args)
    result = attach(shell, name, timeout_s)
    forget(shell, name)
    return result


def status(shell: Shell, name: str) -> JobStatus:
    result = shell.script(remote_scripts.STATUS, _folder(name), quiet=True)
    word, _, number = result.stdout.strip().partition(" ")
    return JobStatus(JobState(word), int(number) if number else None)


def end(shell: Shell, name: str) -> None:
    """End the job and all that it started; it has no effect on one that has ended.

    A start that was sent but has not begun yet stays without effect too.
    """
    result = shell.script(
        remote_scripts.END, _folder(name), _tombstone(name), check=False, quiet=True
    )
    _raise_failure(shell, f"end of {name}", result)


def forget(shell: Shell, name: str) -> None:
    """Remove the job's files. End it first."""
    result = shell.script(
        remote_scripts.FORGET, _folder(name), _tombstone(name), check=False, quiet=True
    )
    _raise_failure(shell, f"removal of {name}", result)


class _Follower:
    """Counts the lines that came, so that a new connection goes on after them."""

    def __init__(self, observer: Observer, on_line: Callable[[str], None] | None) -> None:
        self._observer, self._on_line = observer, on_line
        self.count = 0
        self.lines: deque[str] = deque(maxlen=_LINES_KEPT)

    def line(self, server: Server, line: str) -> None:
        self.count += 1
        self.lines.append(line)
        self._observer.line(server, line)
        if self._on_line:
            self._on_line(line)

    def check(self) -> None:
        self._observer.check()

    def secrets(self) -> Sequence[str]:
        return self._observer.secrets()


def _result(
    shell: Shell, name: str, found: JobStatus, follower: _Follower, elapsed_s: float
) -> Result:
    text = "".join(line + "\n" for line in follower.lines)
    if found.state is JobState.ABSENT:
        raise CommandFailed(
            shell.server, name, 127, "", "no such job there",
            "'rdeploy resume' begins it again",
        )
    if found.status is None:
        why = "it was ended, or the server was restarted, before it came to an exit status"
        return Result(name, 255, text, why, elapsed_s)
    return Result(name, found.status, text, "", elapsed_s)


def _pause(shell: Shell) -> None:
    end_at = time.monotonic() + _RETRY_S
    while time.monotonic() < end_at:
        shell.observer.check()
        time.sleep(0.2)


def _raise_failure(shell: Shell, what: str, result: Result) -> None:
    if result.status:
        raise shell.failure(what, result)


def _folder(name: str) -> str:
    return f"{base.STATE_DIR}/jobs/{name}"


def _tombstone(name: str) -> str:
    return f"{base.RUN_DIR}/{name}.ended"
