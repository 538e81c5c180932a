"""The statements on the rows of deployments."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from rally_deploy.errors import NoSuchDeployment
from rally_deploy.model import DeploymentRecord, State
from rally_deploy.store import schema
from rally_deploy.store.database import now_us
from rally_deploy.store.deployments import COLUMNS, Records, record

_table = schema.deployments
_columns = [_table.c[name] for name in COLUMNS]
_UUID_CHARACTERS = frozenset("0123456789abcdef-")


def add(
    connection: Connection, uuid: str, name: str, engine: str, sealed: str, owner: str,
    lease_s: float, parent_uuid: str | None,
) -> DeploymentRecord:
    now = now_us(connection)
    connection.execute(insert(_table).values(
        uuid=uuid, name=name, parent_uuid=parent_uuid, state=State.NEW.value, engine=engine,
        created_at=now, updated_at=now, error="", lease_owner=owner,
        lease_expires_at=now + int(lease_s * 1e6), cancel_requested=False,
    ))
    connection.execute(insert(schema.configs).values(deployment_uuid=uuid, config_sealed=sealed))
    return get(connection, uuid)


def get(connection: Connection, uuid: str) -> DeploymentRecord:
    found = _records(connection, _table.c.uuid == uuid)
    if not found:
        raise NoSuchDeployment(uuid)
    return found[0]


def find(connection: Connection, wanted: str) -> Records:
    exact = _records(connection, _table.c.uuid == wanted.lower())
    named = exact or _records(connection, _table.c.name == wanted)
    if named:
        live = [found for found in named if found.state is not State.DESTROYED]
        return live or named[-1:]
    if not wanted or not _UUID_CHARACTERS.issuperset(wanted.lower()):
        return []
    return _records(connection, _table.c.uuid.startswith(wanted.lower()))


def list_all(connection: Connection) -> Records:
    return _records(connection)


def list_live(connection: Connection) -> Records:
    return _records(
        connection, _table.c.parent_uuid.is_(None), _table.c.state != State.DESTROYED.value
    )


def children(connection: Connection, uuid: str) -> Records:
    return _records(connection, _table.c.parent_uuid == uuid)


def config(connection: Connection, uuid: str) -> str:
    table = schema.configs
    sealed = connection.execute(
        select(table.c.config_sealed).where(table.c.deployment_uuid == uuid)
    ).scalar()
    if sealed is None:
        raise NoSuchDeployment(uuid)
    return str(sealed)


def reconfigure(connection: Connection, uuid: str, sealed: str) -> None:
    table = schema.configs
    connection.execute(
        update(table).where(table.c.deployment_uuid == uuid).values(config_sealed=sealed))


def forget_secrets(connection: Connection, uuid: str) -> None:
    for table in (schema.secrets, schema.credentials, schema.servers, schema.host_keys):
        connection.execute(delete(table).where(table.c.deployment_uuid == uuid))


def _records(connection: Connection, *conditions: Any) -> Records:
    query = select(*_columns).where(*conditions).order_by(_table.c.created_at, _table.c.uuid)
    return [record(*tuple(row)) for row in connection.execute(query)]
