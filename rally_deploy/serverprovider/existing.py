"""ExistingServers: machines that are there already (Rally's DummyProvider)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.errors import UsageError
from rally_deploy.hosts.credentials import TEXT_FORM, own_path, server_of
from rally_deploy.model import Server
from rally_deploy.serverprovider.base import ServerProvider

_PATH_RULE = "~ is the user's home; a relative path is relative to the working directory"

_LOGIN: dict[str, Any] = {
    "host": {"type": "string", "pattern": r"^[^\s@/\[\]-][^\s@/\[\]]*\Z",
             "x-empty-is-absent": True, "description": "address or name, without user and port"},
    "user": {"type": "string", "pattern": r"^[^\s-]\S*\Z", "description": "who logs in",
             "x-empty-is-absent": True},
    "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 22,
             "description": "sshd's port"},
    "key": {"type": "string", "x-empty-is-absent": True,
            "description": f"private key file; {_PATH_RULE}"},
    "password": {"type": "string", "x-secret": True, "x-empty-is-absent": True,
                 "description": "of the user; also for sudo if it asks for one"},
    "connection": {"enum": ["ssh", "local"], "default": "ssh",
                   "description": "local: this machine itself, without sshd"},
    "become": {"type": "boolean", "default": False,
               "description": "work as root by sudo; for a user who is not root"},
    "known_hosts": {"type": "string", "x-empty-is-absent": True,
                    "description": "a file that has to have the host's key, instead of pinning "
                                   f"the key on first sight; {_PATH_RULE}"},
}

_SERVER: Mapping[str, Any] = {
    "type": ["object", "string"],
    "pattern": TEXT_FORM,
    "description": "a server: {host, user, ...} or \"user@host\", \"user@host:port\", "
                   "\"user@[IPv6]\"",
    "required": ["host", "user"],
    "additionalProperties": False,
    "properties": {
        **_LOGIN,
        "jump": {"$ref": "#/properties/credentials/items", "type": ["object", "string"],
                 "description": "the host to go through, in the same form; it may have a jump"},
    },
}


class ExistingServers(ServerProvider):
    """Machines that are there already, each looked at whether it answers."""

    CONFIG_SCHEMA: Mapping[str, Any] = {
        "type": "object",
        "required": ["type", "credentials"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"],
                     "description": "ExistingServers; in old configs DummyProvider"},
            "credentials": {"type": "array", "minItems": 1, "items": _SERVER,
                            "description": "the servers"},
        },
        "examples": [
            {
                "type": "ExistingServers",
                "credentials": [
                    {"host": "192.0.2.11", "user": "root"},
                    {"host": "node2.example.net", "user": "ops", "port": 2222, "become": True,
                     "jump": {"host": "gate.example.net", "user": "ops"}},
                    {"host": "localhost", "user": "root", "connection": "local"},
                ],
            },
            {"type": "DummyProvider", "credentials": ["root@192.0.2.11", "root@[2001:db8::7]:22"]},
        ],
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Files are there, and no server is named twice."""
        seen: dict[str, int] = {}
        for number, credential in enumerate(config["credentials"]):
            path = f"credentials[{number}]"
            yield from _missing_files(credential, path)
            server = server_of(credential)
            if not 1 <= server.port <= 65535:
                yield path, f"{server.port} is no port"
            first = seen.setdefault(server.identity, number)
            if first != number:
                yield path, f"the same server as credentials[{first}]"

    @classmethod
    def plan(cls, config: Mapping[str, Any]) -> Iterator[str]:
        """The way to each server."""
        return (_way(credential) for credential in config["credentials"])

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        """The first ``amount`` of the config's servers (all if None), once each has answered."""
        servers = [server_of(credential) for credential in self.config["credentials"]]
        if amount is not None and amount > len(servers):
            raise UsageError(
                f"{amount} servers are wanted, but 'credentials' names {len(servers)}",
                remedy="name more servers in the config",
            )
        servers = servers[:amount]
        self.deployment.each(self._look, servers)
        return servers

    def _look(self, server: Server) -> None:
        with self.deployment.step("log in", server):
            self.deployment.ssh(server).run(["true"], quiet=True)


def _way(credential: Any) -> str:
    """How a server is reached, for a person; its strings may still hold ``${env:NAME}``."""
    if isinstance(credential, str):
        return f"SSH to {credential}"
    if credential.get("connection") == "local":
        return "this machine itself"
    way = f"SSH to {credential.get('user')}@{credential.get('host')}:{credential.get('port', 22)}"
    jump = credential.get("jump")
    return f"{way}, through {_way(jump)}" if jump else way


def _missing_files(credential: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(credential, str):
        return
    for key in ("key", "known_hosts"):
        if key in credential and not os.path.isfile(own_path(credential[key])):
            yield f"{path}.{key}", f"there is no file {own_path(credential[key])}"
        elif key in credential and not os.access(own_path(credential[key]), os.R_OK):
            yield f"{path}.{key}", f"{own_path(credential[key])} must not be read by this user"
    if "jump" in credential:
        yield from _missing_files(credential["jump"], f"{path}.jump")
