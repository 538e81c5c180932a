"""Is it the server that it was before? Keys are pinned on first sight, or demanded from a file."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path

import paramiko

from rally_deploy.errors import HostKeyMismatch
from rally_deploy.model import Server
from rally_deploy.ssh.base import HostKeys
from rally_deploy.ssh.wire import Link


class HostKeyCheck:
    """The keys that one server may have.

    :param known_hosts: a known_hosts file that has to know the server; empty: pin on first sight.
        The server's fact ``known_hosts`` goes before it.
    """

    def __init__(self, server: Server, host_keys: HostKeys, known_hosts: str = "") -> None:
        self._server, self._host_keys = server, host_keys
        self._pinned = host_keys.get(server.pinned_as)
        self._file = str(server.facts.get("known_hosts") or known_hosts)
        self._demanded = _read(server, self._file) if self._file else None

    def prepare(self, link: Link) -> None:
        """Ask the server for the type of key that we can compare."""
        kinds = [key.split()[0] for key in self._demanded or ()]
        if self._pinned:
            kinds.insert(0, self._pinned.split()[0])
        link.prefer_host_key(kinds)

    def verify(self, link: Link) -> None:
        """Raise HostKeyMismatch unless it is the right one. Call it before any secret is sent."""
        key = link.get_remote_server_key()
        seen = f"{key.get_name()} {key.get_base64()}"
        if self._demanded is not None and seen not in self._demanded:
            raise self._mismatch(seen, *self._demanded)
        if not self._pinned:
            self._pinned = self._host_keys.pin(self._server.pinned_as, seen)
        if seen != self._pinned:
            raise self._mismatch(seen, self._pinned)

    def _mismatch(self, seen: str, *known: str) -> HostKeyMismatch:
        if self._demanded is not None and not known:
            return HostKeyMismatch(
                self._server, f"{self._file} does not know it",
                f"its key is {fingerprint(seen)}",
                f"compare that with the server's own, then add it to {self._file}",
            )
        source = self._file if self._demanded is not None else "this deployment"
        lines = [f"now:   {fingerprint(seen)}", *(f"known: {fingerprint(k)}" for k in known)]
        return HostKeyMismatch(
            self._server, f"its host key is not the one that {source} knows", "\n".join(lines),
            f"if the server was installed anew, put its new key into {self._file}"
            if self._demanded is not None
            else "find out why it changed; if the server was installed anew, destroy this "
            "deployment and create it again; if not, somebody may be reading along",
        )


def fingerprint(key: str) -> str:
    """As ``ssh-keygen -l`` shows it: type and SHA256 in base64."""
    kind, _, data = key.partition(" ")
    try:
        digest = hashlib.sha256(base64.b64decode(data)).digest()
    except binascii.Error:
        return f"{kind} (unreadable)"
    return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def _read(server: Server, file: str) -> list[str]:
    name = server.host if server.port == 22 else f"[{server.host}]:{server.port}"
    try:
        found = paramiko.HostKeys(str(Path(file).expanduser())).lookup(name)
    except OSError as error:
        raise HostKeyMismatch(
            server, f"its known_hosts file cannot be read: {error.strerror}", file,
            "give the path of a known_hosts file that has this server's key",
        ) from error
    return [f"{kind} {key.get_base64()}" for kind, key in (found.items() if found else ())]
