"""Why stack.sh failed: what the server shows, put into words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import CloudBroken
from rally_deploy.ssh.base import Result

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment
    from rally_deploy.engines.devstack.watch import Watch


def broken(deployment: Deployment, node: Node, ended: Result, watch: Watch) -> CloudBroken:
    tail = "\n".join(ended.stdout.splitlines()[-30:])
    return CloudBroken(
        f"{node.label}: stack.sh ended with status {ended.status}", deployment.mask(tail))
