"""The files that OpenSSH needs for a deployment's servers: configuration, keys, known hosts."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rally_deploy import access, paths
from rally_deploy.cli.options import write_private
from rally_deploy.model import Server

if TYPE_CHECKING:
    from rally_deploy.deployer import Deployer, Overview


@dataclass(frozen=True)
class SshFiles:
    """What was written: the text of the configuration is in ``config``."""

    config: Path
    hosts: Sequence[access.SshHost]

    def alias(self, server: Server) -> str:
        """What ``ssh -F config`` calls this server."""
        return next(
            host.alias for host in self.hosts
            if (host.server.identity, host.server.user) == (server.identity, server.user)
        )


def all_servers(overview: Overview) -> list[Server]:
    """The servers of a deployment and of its parts, each once."""
    found = {(server.identity, server.user): server for server in overview.servers}
    for child in overview.children:
        for server in all_servers(child):
            found.setdefault((server.identity, server.user), server)
    return list(found.values())


def write_ssh_files(deployer: Deployer, uuid: str, servers: Sequence[Server]) -> SshFiles:
    """Write them below the data folder, readable by the user only."""
    folder = folder_of(uuid)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    everyone = list(_with_jumps(servers))
    keys: dict[Server, str] = {}
    for number, server in enumerate(everyone):
        if server.private_key:
            path = folder / f"key-{number}"
            # OpenSSH refuses a key without a line end.
            write_private(path, server.private_key.rstrip("\n") + "\n")
            keys[server] = str(path)
    hosts = access.ssh_hosts(servers, keys)
    pinned = _pinned(deployer, uuid, everyone)
    known = folder / "known_hosts"
    write_private(known, access.known_hosts(hosts, pinned))
    write_private(folder / "config", access.ssh_config(hosts, pinned, str(known)))
    return SshFiles(folder / "config", hosts)


def remove_ssh_files(uuid: str) -> None:
    """The servers are gone, so are the keys to them."""
    shutil.rmtree(folder_of(uuid), ignore_errors=True)


def folder_of(uuid: str) -> Path:
    """Where a deployment's files are until it is destroyed."""
    return paths.data_dir() / "ssh" / uuid


def _with_jumps(servers: Iterable[Server]) -> Iterable[Server]:
    for server in servers:
        if server.jump:
            yield from _with_jumps([server.jump])
        yield server


def _pinned(deployer: Deployer, uuid: str, servers: Iterable[Server]) -> Mapping[str, str]:
    found = {}
    for server in servers:
        key = deployer.store.host_keys.get(uuid, server.pinned_as)
        if key:
            found[server.identity] = key
    return found
