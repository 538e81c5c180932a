"""Who may move a deployment: each move is one guarded UPDATE, so only one process holds it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, case, false, or_, select, update

from rally_deploy import lease
from rally_deploy.errors import DeploymentHeld, IllegalTransition, NoSuchDeployment
from rally_deploy.model import MOVING, TRANSITIONS, DeploymentRecord, State
from rally_deploy.store import rows
from rally_deploy.store.database import now_us, storable
from rally_deploy.store.schema import deployments as _table

_MOVING = [state.value for state in MOVING]

#: Times that the row may change between our look and our UPDATE before we give up.
_ATTEMPTS = 10


def move(
    connection: Connection, uuid: str, to: State, owner: str, lease_s: float, error: str
) -> DeploymentRecord:
    """Take the deployment and move it, or raise DeploymentHeld or IllegalTransition."""
    now = now_us(connection)
    values: dict[Any, Any] = {"state": to.value, "error": storable(error)}
    if to in MOVING:
        values["lease_owner"] = owner
        values["lease_expires_at"] = now + int(lease_s * 1e6)
        # A wish to cancel was meant for the holder of that time.
        values["cancel_requested"] = case(
            (_table.c.lease_owner == owner, _table.c.cancel_requested), else_=false()
        )
    else:
        values.update(_unheld())
    if to is State.PROVISIONING:
        values["started_at"], values["ready_at"] = now, None
    if to is State.READY:
        values["ready_at"] = now
    sources = [state.value for state, targets in TRANSITIONS.items() if to in targets]
    return _guarded_update(connection, now, uuid, to, owner, sources, values)


def cancel_unheld(connection: Connection, uuid: str) -> DeploymentRecord:
    """Move a deployment that nobody alive moves to cancelled."""
    values = {
        "state": State.CANCELLED.value,
        "error": "cancelled after the process that worked on it had ended",
        **_unheld(),
    }
    now = now_us(connection)
    return _guarded_update(connection, now, uuid, State.CANCELLED, "", _MOVING, values)


def renew(connection: Connection, owner: str, lease_s: float) -> bool:
    """Prolong the leases of ``owner``; True if one of its deployments is asked to cancel."""
    expires_at = now_us(connection) + int(lease_s * 1e6)
    connection.execute(
        update(_table).where(_table.c.lease_owner == owner).values(lease_expires_at=expires_at)
    )
    asked = select(_table.c.uuid).where(_table.c.lease_owner == owner, _table.c.cancel_requested)
    return connection.execute(asked.limit(1)).first() is not None


def request_cancel(connection: Connection, uuid: str) -> DeploymentRecord:
    connection.execute(
        update(_table)
        .where(_table.c.uuid == uuid, _table.c.state.in_(_MOVING), _table.c.lease_owner != "")
        .values(cancel_requested=True)
    )
    return rows.get(connection, uuid)


def _unheld() -> dict[str, Any]:
    return {"lease_owner": "", "lease_expires_at": None, "cancel_requested": False}


def _guarded_update(
    connection: Connection, now: int, uuid: str, to: State, owner: str, sources: list[str],
    values: dict[Any, Any],
) -> DeploymentRecord:
    name = held_by = ""
    for _ in range(_ATTEMPTS):
        row = connection.execute(
            select(_table.c.name, _table.c.state, _table.c.lease_owner, _table.c.lease_expires_at)
            .where(_table.c.uuid == uuid)
        ).first()
        if row is None:
            raise NoSuchDeployment(uuid)
        name, held_by = row.name, row.lease_owner
        free: list[ColumnElement[bool]] = [
            _table.c.lease_owner == "", _table.c.lease_expires_at <= now,
        ]
        if owner:
            free.append(_table.c.lease_owner == owner)
        if row.lease_owner not in ("", owner) and lease.is_dead(row.lease_owner):
            free.append(_table.c.lease_owner == row.lease_owner)
        moved = connection.execute(
            update(_table)
            .where(_table.c.uuid == uuid, _table.c.state.in_(sources), or_(*free))
            .values(updated_at=now, **values)
        )
        if moved.rowcount == 1:
            return rows.get(connection, uuid)
        held = row.lease_owner not in ("", owner) and row.lease_expires_at > now
        if held and not lease.is_dead(row.lease_owner):
            raise DeploymentHeld(name, lease.describe(held_by))
        if row.state not in sources:
            raise IllegalTransition(
                f"deployment {row.name} is {row.state}: it cannot become {to}",
                remedy=f"'rdeploy show {uuid[:8]}' tells where it stands",
            )
    raise DeploymentHeld(name, lease.describe(held_by))
