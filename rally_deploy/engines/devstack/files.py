"""What is placed on a server before stack.sh runs: the config's files, and local.conf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import RallyDeployError


def place(node: Node, wanted: Sequence[Mapping[str, Any]], handed: Mapping[str, str]) -> None:
    """Put each file at its place, for the account."""
    for file in wanted:
        target = str(file["to"])
        if target.startswith("~/"):
            target = f"{node.home}/{target[2:]}"
        elif not target.startswith("/"):
            target = f"{node.checkout}/files/{target}"
        node.shell.put(target, _content(file), mode=int(file.get("mode", "0644"), 8),
                       owner=f"{node.user}:")


def write_local_conf(node: Node, text: str) -> None:
    """It holds the passwords: only the account reads it."""
    node.shell.put(f"{node.checkout}/local.conf", text, mode=0o600, owner=f"{node.user}:")


def _content(file: Mapping[str, Any]) -> bytes:
    if "content" in file:
        return str(file["content"]).encode()
    try:
        return Path(file["from"]).expanduser().read_bytes()
    except OSError as error:
        raise RallyDeployError(
            f"the file {file['from']} cannot be read", str(error), "mend 'files' in the config",
        ) from error
