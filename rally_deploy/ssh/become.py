"""Root by way of sudo, for a server whose user is not root."""

from __future__ import annotations

import secrets
import shlex
import threading
from typing import TYPE_CHECKING

from rally_deploy.errors import AuthenticationFailed

if TYPE_CHECKING:
    from rally_deploy.ssh.base import Shell

_PROBE_TIMEOUT_S = 60.0
_NOT_FOUND = 127


class Sudo:
    """How sudo is asked on one server: found out at the first command, once for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.known = False
        self._needs_password = False

    def wrap(self, shell: Shell, command: str, stdin: bytes) -> tuple[str, bytes]:
        """The command line that runs ``command`` as root, and its stdin.

        Raises AuthenticationFailed if sudo refuses.
        """
        while not self.known:
            if self._lock.acquire(timeout=0.2):
                try:
                    if not self.known:
                        self._needs_password = self._find_out(shell)
                        self.known = True
                finally:
                    self._lock.release()
            shell.observer.check()
        if not self._needs_password:
            return f"sudo -n -- {command}", stdin
        return _with_password(shell.server.password or "", command, stdin)

    def _find_out(self, shell: Shell) -> bool:
        server = shell.server
        probe = shell.execute("sudo -n -- true", b"", _PROBE_TIMEOUT_S, True)
        if probe.ok:
            return False
        if probe.status == _NOT_FOUND:
            raise AuthenticationFailed(
                server, f"user {server.user} cannot become root: there is no sudo",
                remedy="install sudo there, or log in as root",
            )
        if not server.password:
            raise AuthenticationFailed(
                server, f"sudo wants a password for user {server.user}", probe.stderr,
                "give the server's 'password', or allow this user sudo without one (NOPASSWD)",
            )
        asked = shell.execute(
            *_with_password(server.password, "true", b""), _PROBE_TIMEOUT_S, True
        )
        if not asked.ok:
            raise AuthenticationFailed(
                server, f"sudo does not let user {server.user} become root", asked.stderr,
                "check the server's 'password' and that its user may run everything by sudo",
            )
        return True


def _with_password(password: str, command: str, stdin: bytes) -> tuple[str, bytes]:
    # Whether sudo reads the password depends on its rules and cached credentials. A mark after
    # it lets the command's own stdin begin at the same place in both cases.
    mark = secrets.token_hex(8)
    skip = f'while IFS= read -r l && [ "$l" != {mark} ]; do :; done; exec {command}'
    line = f"sudo -S -p '' -- sh -c {shlex.quote(skip)}"
    return line, f"{password}\n{mark}\n".encode() + stdin
