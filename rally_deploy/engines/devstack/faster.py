"""What makes stack.sh faster without changing what it makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally_deploy.engines.devstack.computes import is_compute
from rally_deploy.engines.devstack.local_conf_text import LOCALRC, section_end
from rally_deploy.engines.devstack.node import Node

#: Pip compiles all of a package when it installs it, also what nothing imports. Python does it
#: for the rest when it needs it. For servers that were made for this.
PIP = "PIP_COMPILE=0"

#: DevStack makes about a hundred calls of ``openstack``, and each starts a Python that imports
#: for 1 to 2 s. This service of DevStack's own (2024.2 and later), which its CI always enables,
#: has them imported. An earlier DevStack knows no such name and does nothing about it.
CLIENT_SERVER = "openstack-cli-server"

#: drop_socket user: what that service leaves when it ends, if it is this account's.
DROP_SOCKET = r"""
drop_socket() {
    socket=/tmp/openstack.sock
    if [ -S $socket ] && [ "$(stat -c %U $socket)" = "$1" ]; then rm -f $socket; fi
}
"""

# Nothing uses it after stack.sh. Its unit's file stays: unstack.sh stops it by name.
_STOP_CLIENT_SERVER = DROP_SOCKET + """
if [ -e /etc/systemd/system/devstack@$1.service ]; then
    systemctl disable -q --now devstack@$1.service
fi
drop_socket "$2"
"""


def needs_client_server(handed: Mapping[str, str], local_conf: str | Mapping[str, Any]) -> bool:
    """Whether it is a cloud of its own, and its config does not decide about this itself."""
    return not is_compute(handed, local_conf) and CLIENT_SERVER not in str(local_conf)


def with_client_server(local_conf: str) -> str:
    """A local.conf, with its localrc section, whose stack.sh keeps its client running."""
    lines = local_conf.splitlines()
    header = next(i for i, line in enumerate(lines) if line.split()[:1] == [LOCALRC])
    lines.insert(section_end(lines, header), f"enable_service {CLIENT_SERVER}")
    return "\n".join(lines) + "\n"


def stop_client_server(node: Node) -> None:
    """End what was only for stack.sh: it has the memory of a service."""
    node.shell.script(_STOP_CLIENT_SERVER, CLIENT_SERVER, node.user)
