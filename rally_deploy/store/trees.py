"""Everything below a row: nested deployments, things inside of things."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Select, bindparam, select

from rally_deploy.store.schema import deployments


def below(key: Column[Any], parent: Column[Any], root: Any) -> Select[Any]:
    """The key of ``root`` and of all below it; ``parent`` names the row above."""
    tree = select(bindparam("root", root, key.type).label("key")).cte("tree", recursive=True)
    tree = tree.union(select(key).where(parent == tree.c.key))
    return select(tree.c.key)


def family(deployment_uuid: str) -> Select[Any]:
    """The uuids of a deployment and of all nested ones."""
    return below(deployments.c.uuid, deployments.c.parent_uuid, deployment_uuid)
