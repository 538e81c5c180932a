"""The shell script that makes a clone of a stacked server a node of its own."""

from __future__ import annotations

from rally_deploy.engines.devstack.node import Node


def clone_script(node: Node) -> str:
    return ""
