"""The contract of a shell: one abstract method, everything else is built on it.

A transport implements :meth:`Shell.execute` (and nothing else has to be): one command line in,
exit status and output back, with each line given to the observer as it comes, and an end as soon
as the observer says that the work is cancelled.
"""

from __future__ import annotations

import copy
import shlex
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from rally_deploy.errors import CommandFailed, CommandTimeout, NoSpace
from rally_deploy.model import Server
from rally_deploy.ssh.become import Sudo

AnyShell = TypeVar("AnyShell", bound="Shell")

#: Seconds that a command may take when its caller says nothing.
DEFAULT_TIMEOUT_S = 120.0

#: Where locks and detached commands are kept on a server.
STATE_DIR = "/var/lib/rdeploy"

#: Where the marks of ended commands are kept on a server: for seconds, never over a restart.
RUN_DIR = "/run/rdeploy"

_STILL_LOCKED = 75
_SHOWN = 200  # characters of a command line in an error


class Observer(Protocol):
    """What a shell tells of a running command, and asks."""

    def line(self, server: Server, line: str) -> None:
        """A line of output, without its line end."""

    def check(self) -> None:
        """Raise :class:`~rally_deploy.errors.Cancelled` if the work is to end."""

    def secrets(self) -> Sequence[str]:
        """Values that must not be shown in an error's text."""


class NoObserver:
    """Nobody watches, and nothing is cancelled."""

    def line(self, server: Server, line: str) -> None:
        pass

    def check(self) -> None:
        pass

    def secrets(self) -> Sequence[str]:
        return ()


class HostKeys(Protocol):
    """The pinned host keys of one deployment. ``identity`` is ``Server.pinned_as``."""

    def get(self, identity: str) -> str | None:
        """The pinned key as ``type base64``, None before the first sight."""

    def pin(self, identity: str, key: str) -> str:
        """Pin the key if there is none yet; return the one that is pinned."""


@dataclass(frozen=True)
class Result:
    """How a command ended. ``status`` is its exit status, 0 to 255."""

    command: str
    status: int
    stdout: str
    stderr: str
    elapsed_s: float

    @property
    def ok(self) -> bool:
        return self.status == 0


class Shell(ABC):
    """Commands on one server. Thread-safe: many commands may run at the same time."""

    def __init__(
        self, server: Server, observer: Observer, sudo: Sudo | None = None
    ) -> None:
        self.server = server
        self.observer = observer
        self._sudo = sudo or Sudo()

    def observed_by(self: AnyShell, observer: Observer) -> AnyShell:
        """The same shell, on the same connection, that tells another observer."""
        view = copy.copy(self)
        view.observer = observer
        return view

    @property
    def needs_sudo(self) -> bool:
        """Whether commands are run as root by way of sudo."""
        return self.server.become and self.server.user != "root"

    @abstractmethod
    def execute(self, command: str, stdin: bytes, timeout_s: float, quiet: bool) -> Result:
        """Run one command line of ``/bin/sh``; never raises for its exit status.

        ``quiet`` keeps the output from the observer's ``line``. Raises Unreachable,
        AuthenticationFailed, HostKeyMismatch, ConnectionLost, CommandTimeout or Cancelled;
        the last two end the command.
        """

    def close(self) -> None:  # noqa: B027 (most shells have nothing to give up)
        """Give up the connection; a later command opens it again."""

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | bytes = b"",
        timeout_s: float = DEFAULT_TIMEOUT_S,
        check: bool = True,
        quiet: bool = False,
        env: Mapping[str, str] | None = None,
        lock: str = "",
        user: str = "",
        title: str = "",
    ) -> Result:
        """Run an argument list and wait for it.

        :param check: raise CommandFailed (NoSpace if that is the reason) on a status other than 0.
        :param env: variables without secrets; they stand on the command line.
        :param lock: run it under this lock of the server, so that a removal waits for its end
            even when our own process was killed in between.
        :param user: run it as this user (needs root or ``become``), in ``/``.
        :param title: what an error calls it, if not by its argument list.
        """
        title = title or shlex.join(argv)
        words = list(argv)
        if env:
            words = ["env", *(f"{name}={value}" for name, value in env.items()), *words]
        if user:
            # From a folder that every user may read: root's own, where a login begins, is none,
            # and Python's editable installs (Nova's in DevStack) look for modules where they are.
            words = ["env", "-C", "/", "runuser", "-u", user, "--", *words]
        if lock:
            words = self._locked(words, lock)
        data = stdin.encode() if isinstance(stdin, str) else stdin
        line = shlex.join(words)
        if self.needs_sudo:
            line, data = self._sudo.wrap(self, line, data)
        try:
            result = self.execute(line, data, timeout_s, quiet)
        except CommandTimeout as error:
            # The transport knows the whole line only, with lock, user and sudo around it.
            raise self.timeout(title, timeout_s, error.details) from error
        if check and result.status != 0:
            raise self.failure(title, result)
        return result

    def script(
        self,
        text: str,
        *args: str,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        check: bool = True,
        quiet: bool = False,
        lock: str = "",
        user: str = "",
    ) -> Result:
        """Run a ``/bin/sh -e`` script that is sent by stdin, so it may hold secrets.

        Its own stdin is /dev/null. ``args`` are its ``$1``, ``$2`` ...
        """
        # A function is parsed whole before it runs: no command in it can eat the rest of the text.
        body = f"set -e\nmain() {{\n:\n{text}\n}}\nmain \"$@\" </dev/null\nexit 0\n"
        first = next((line for line in text.splitlines() if line.strip()), "script")
        return self.run(
            ["sh", "-s", "--", *args], stdin=body, timeout_s=timeout_s, check=check, quiet=quiet,
            lock=lock, user=user, title=first.strip(),
        )

    def put(
        self, path: str, content: str | bytes, mode: int = 0o644, owner: str = ""
    ) -> None:
        """Write a file at once (a reader sees the old or the new one); makes its folder."""
        data = content.encode() if isinstance(content, str) else content
        # If we are killed, cat sees an end too: hence the length.
        text = (
            'd=$(dirname -- "$1"); mkdir -p -- "$d"; t=$(mktemp "$d/.rd.XXXXXX"); '
            'trap \'rm -f -- "$t"\' EXIT; cat >"$t"; '
            'if [ "$(wc -c <"$t")" -ne "$4" ]; then echo "only a part came" >&2; exit 1; fi; '
            'chmod "$2" "$t"; '
            'if [ -n "$3" ]; then chown "$3" "$t"; fi; mv -fT -- "$t" "$1"'
        )
        self.run(
            ["sh", "-ec", text, "put", path, f"{mode:o}", owner, str(len(data))],
            stdin=data, timeout_s=600, quiet=True,
        )

    def get(self, path: str) -> str:
        """A text file's content."""
        return self.run(["cat", "--", path], quiet=True).stdout

    def exists(self, path: str) -> bool:
        return self.run(["test", "-e", path], check=False, quiet=True).ok

    def wait_unlocked(self, lock: str, timeout_s: float = 600.0) -> None:
        """Return once nothing runs under this lock of ``run``; CommandTimeout otherwise."""
        self._with_lock(lock, timeout_s, ":")

    def remove_lock(self, lock: str, timeout_s: float = 600.0) -> None:
        """Wait until nothing runs under this lock, then remove its file; harmless if it is gone.

        A command that waits for the lock meanwhile makes the file anew and takes that one.
        """
        # The folders go with the last lock, so that nothing of ours is left on the server.
        self._with_lock(lock, timeout_s, 'rm -f -- "$f"; rmdir -p -- "$1" 2>/dev/null || :')

    def _with_lock(self, lock: str, timeout_s: float, then: str) -> None:
        text = (
            'f="$1/$2.lock"; while [ -e "$f" ]; do command exec 9<"$f" || continue; '
            'flock -w "$3" -E 75 9 || exit; [ "$f" -ef /proc/self/fd/9 ] || continue; '
            f"{then}; exit 0; done 2>/dev/null"
        )
        result = self.run(
            ["sh", "-c", text, "lock", f"{STATE_DIR}/locks", lock, f"{timeout_s:.2f}"],
            timeout_s=timeout_s + 15, check=False, quiet=True,
        )
        if result.status == _STILL_LOCKED:
            raise CommandTimeout(
                self.server, f"'{lock}' is still worked on after {timeout_s:g} s",
                remedy="look what runs there with 'rdeploy ssh', end it, then try again",
            )
        if result.status:
            raise self.failure(f"flock {lock}", result)

    @staticmethod
    def _locked(words: Sequence[str], lock: str) -> list[str]:
        # The shell holds the lock and not the command, so a daemon that it leaves behind does not
        # keep it. The file may have been removed while we waited: then it is another file's lock.
        text = (
            'd=$1 f="$1/$2.lock" n=0; shift 2; '
            'until mkdir -p -- "$d" && command exec 9>>"$f" && flock 9 && '
            '[ "$f" -ef /proc/self/fd/9 ]; do n=$((n + 1)); [ "$n" -lt 50 ] || exit 1; done; '
            '"$@" 9>&-'
        )
        return ["sh", "-c", text, "lock", f"{STATE_DIR}/locks", lock, *words]

    def _masked(self, text: str) -> str:
        for secret in self.observer.secrets():
            text = text.replace(secret, "***")
        return text

    def timeout(
        self, command: str, timeout_s: float, output: str, then: str = "has been ended"
    ) -> CommandTimeout:
        shown = self._masked(command)
        shown = shown if len(shown) < _SHOWN else shown[:_SHOWN] + " ..."
        return CommandTimeout(
            self.server, f"'{shown}' was not done within {timeout_s:g} s and {then}",
            "\n".join(self._masked(output).splitlines()[-12:]),
            "the whole output is in 'rdeploy logs'; 'rdeploy resume' goes on from here",
        )

    def failure(self, command: str, result: Result) -> CommandFailed:
        command = self._masked(command)
        stdout, stderr = self._masked(result.stdout), self._masked(result.stderr)
        if "No space left on device" in stderr or "No space left on device" in stdout:
            return NoSpace(
                self.server, command, result.status, stdout, stderr,
                "free some space on that server's disk, then 'rdeploy resume'",
            )
        return CommandFailed(self.server, command, result.status, stdout, stderr)
