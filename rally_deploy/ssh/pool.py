"""The connections of one running command of ours: one per server and user."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rally_deploy.model import Server
from rally_deploy.ssh.base import HostKeys, Observer, Shell
from rally_deploy.ssh.become import Sudo
from rally_deploy.ssh.local import LocalShell

if TYPE_CHECKING:
    from rally_deploy.ssh.auth import Keys
    from rally_deploy.ssh.connection import Connection

CONNECT_TIMEOUT_S = 20.0


class Pool:
    """Gives shells. Thread-safe; connects on the first command, not before.

    It serves one top deployment: a connection's host key is checked when it is made.

    :param connect_timeout_s: how long a server may take until it answers; the login comes on top.
    :param known_hosts: a file that has to know every server, instead of pinning on first sight.
        A server's fact ``known_hosts`` goes before it.
    """

    def __init__(
        self, connect_timeout_s: float = CONNECT_TIMEOUT_S, known_hosts: str = ""
    ) -> None:
        self._timeout_s, self._known_hosts = connect_timeout_s, known_hosts
        self._lock = threading.RLock()
        self._connections: dict[tuple[str, str], Connection] = {}
        self._keys: Keys | None = None
        self._sudo = Sudo()

    def get(self, server: Server, observer: Observer, host_keys: HostKeys) -> Shell:
        """A shell on the server. It costs nothing: no connection is made yet."""
        if server.connection == "local":
            return LocalShell(server, observer, self._sudo)
        from rally_deploy.ssh.remote import SshShell

        return SshShell(server, observer, host_keys, self._connection(server))

    def _connection(self, server: Server) -> Connection:
        from rally_deploy.ssh.auth import Keys
        from rally_deploy.ssh.connection import Connection

        with self._lock:
            key = (server.identity, server.user)
            if key not in self._connections:
                jump = server.jump
                # A local server is where we are: nothing to jump over.
                behind = self._connection(jump) if jump and jump.connection != "local" else None
                self._keys = self._keys or Keys()
                self._connections[key] = Connection(
                    self._keys, self._timeout_s, self._known_hosts, behind
                )
            return self._connections[key]

    def close(self) -> None:
        """End all connections; a later command opens its own again."""
        with self._lock:
            connections, self._connections = list(self._connections.values()), {}
        for connection in connections:
            connection.close()
