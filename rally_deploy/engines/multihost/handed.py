"""What a controller's nodes are told of it, whichever engine it has."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rally_deploy.config import path_text
from rally_deploy.config.strings import each_string
from rally_deploy.deployment import Deployment
from rally_deploy.engines.multihost.schema import HANDED_ON, MISSPELT
from rally_deploy.errors import RallyDeployError
from rally_deploy.model import Server

#: The address by which a machine goes out to others.
_MAIN_ADDRESS = """
ip -4 route get 192.0.2.1 | awk '{for (i = 1; i < NF; i++) if ($i == "src") print $(i + 1)}'
"""


def values_of(controller: Deployment) -> dict[str, str]:
    """Name -> text of all that is known of a controller that is ready.

    Its engine's own answers come first; what every engine's deployment tells is found here.
    """
    given = {k: v for k, v in controller.engine().hand_on().items() if v}
    admin = controller.result().get("admin") or {}
    address = given.get("controller_ip", "")
    first = next(iter(controller.servers()), None)
    found = {
        "controller_host": _host_name(controller, first) or address,
        "controller_machine_ip": _machine_address(controller, first) or address,
        "controller_auth_url": str(admin.get("auth_url") or ""),
        "controller_admin_password": str(admin.get("password") or ""),
    }
    # An empty certificate is an answer too: there is no TLS.
    known = {"controller_ca": _certificate(admin)}
    return {**known, **{k: v for k, v in found.items() if v}, **given}


def require_values(nodes: Sequence[Mapping[str, Any]], values: Mapping[str, str]) -> None:
    """Every value that a node asks for is there, else an error that names the places."""
    missing = list(_missing(nodes, values))
    if missing:
        names = ", ".join(sorted({f"{{{name}}}" for _, name in missing}))
        raise RallyDeployError(
            f"the controller does not tell {names}",
            "\n".join(f"{where}: {{{name}}}" for where, name in missing),
            "destroy this deployment, write the values themselves there, and create it again",
        )


def _missing(
    nodes: Sequence[Mapping[str, Any]], values: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    absent = [name for name in HANDED_ON if name not in values]
    if "controller_ip" in absent:
        absent.append(MISSPELT)
    for path, text in each_string(list(nodes)):
        for name in absent:
            if f"{{{name}}}" in text:
                yield f"nodes{path_text(path)}", name


def _host_name(controller: Deployment, server: Server | None) -> str:
    if server is None:
        return ""
    if server.resource_id is not None and server.name:
        return server.name  # made by us under that name
    return controller.ssh(server).run(["uname", "-n"], quiet=True).stdout.strip()


def _machine_address(controller: Deployment, server: Server | None) -> str:
    """Of the machine that carries the controller's container; empty if it is in none."""
    if server is None or server.resource_id is None:
        return ""
    containers = controller.family_resources("lxc_container")
    row = next((r for r in containers if r.id == server.resource_id), None)
    if row is None or row.host is None:
        return ""
    machine = row.host
    try:
        if machine.connection != "local":
            return str(ipaddress.IPv4Address(machine.host))
    except ValueError:
        pass  # a name: the machine knows its addresses best
    return controller.ssh(machine).script(_MAIN_ADDRESS, quiet=True).stdout.strip()


def _certificate(admin: Mapping[str, Any]) -> str:
    if admin.get("https_ca"):
        return str(admin["https_ca"])
    path = Path(str(admin.get("https_cacert") or "")).expanduser()
    return path.read_text() if path.is_file() else ""
