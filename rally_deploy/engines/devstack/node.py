"""One server that DevStack runs on, as it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rally_deploy.model import Server
from rally_deploy.ssh.base import Shell

#: Where DevStack keeps everything unless local.conf says otherwise, and the home of its account.
DEST = "/opt/stack"


@dataclass(frozen=True)
class Folders:
    """DEST and DATA_DIR on a server, see the module of that name."""

    dest: str = DEST
    data: str = f"{DEST}/data"

    @property
    def elsewhere(self) -> list[str]:
        """Those that are not /opt/stack or in it by DevStack's own choice."""
        return sorted({self.dest, self.data} - {Folders.dest, Folders.data})


@dataclass(frozen=True)
class Node:
    """A server of the cloud. ``lacks``: what a machine has and this one has not."""

    server: Server
    shell: Shell = field(compare=False, repr=False)
    hostname: str
    address: str
    user: str = "stack"
    home: str = DEST
    has_user: bool = False
    lacks: frozenset[str] = frozenset()  # ksm: /sys is read-only; iscsi: no such kernel sockets
    found: Mapping[str, str] = field(default_factory=dict, compare=False)
    ca_bundle: str = ""  # the certificates to trust, where Python's own would not do
    folders: Folders = Folders()

    @property
    def label(self) -> str:
        return self.server.label

    @property
    def ours(self) -> bool:
        """Made by us, so that all on it goes away with it."""
        return self.server.resource_id is not None

    @property
    def checkout(self) -> str:
        """Where DevStack itself is."""
        return f"{self.home}/devstack"

    @property
    def environment(self) -> list[str]:
        """What a command of the account finds: its own home, and nothing of ours."""
        return [
            "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            f"HOME={self.home}", f"USER={self.user}", f"LOGNAME={self.user}", "SHELL=/bin/bash",
            "TERM=dumb", "LC_ALL=en_US.UTF-8",
            *([f"REQUESTS_CA_BUNDLE={self.ca_bundle}"] if self.ca_bundle else []),
        ]
