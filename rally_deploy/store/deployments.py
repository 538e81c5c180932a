"""The rows of deployments: their names, states, configs and leases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from rally_deploy.errors import NoSuchDeployment, UsageError
from rally_deploy.model import DeploymentRecord, State
from rally_deploy.store import faults, holding, schema
from rally_deploy.store.database import Database, from_us, moment
from rally_deploy.vault import Vault

_table = schema.deployments
#: In the order of DeploymentRecord's fields; a listing builds thousands of these.
_columns = (
    _table.c.uuid, _table.c.name, _table.c.parent_uuid, _table.c.state, _table.c.engine,
    _table.c.created_at, _table.c.updated_at, _table.c.started_at, _table.c.ready_at,
    _table.c.error, _table.c.lease_owner, _table.c.lease_expires_at, _table.c.cancel_requested,
)
_oldest_first = (_table.c.created_at, _table.c.uuid)
_UUID_CHARACTERS = frozenset("0123456789abcdef-")

Records = list[DeploymentRecord]
Durations = list[float]


class Deployments:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault

    def add(
        self,
        uuid: str,
        name: str,
        engine: str,
        config: Mapping[str, Any],
        *,
        owner: str,
        lease_s: float,
        parent_uuid: str | None = None,
    ) -> DeploymentRecord:
        """Write a new deployment, held by ``owner``.

        Raises UsageError if a deployment that is not destroyed has that name.
        """
        sealed = self._vault.encrypt(json.dumps(config))

        def work(connection: Connection) -> DeploymentRecord:
            now = self._db.now_us(connection)
            connection.execute(insert(_table).values(
                uuid=uuid, name=name, parent_uuid=parent_uuid, state=State.NEW.value,
                engine=engine, created_at=now, updated_at=now, error="", lease_owner=owner,
                lease_expires_at=now + int(lease_s * 1e6), cancel_requested=False,
            ))
            connection.execute(
                insert(schema.configs).values(deployment_uuid=uuid, config_sealed=sealed)
            )
            return _get(connection, uuid)

        try:
            return self._db.write(work)
        except faults.Taken as error:
            raise _name_taken(name) from error

    def get(self, uuid: str) -> DeploymentRecord:
        return self._db.read(lambda connection: _get(connection, uuid))

    def find(self, wanted: str) -> DeploymentRecord:
        """By uuid, by name (a live one before destroyed ones), or by a unique beginning of it.

        Raises NoSuchDeployment, which names the candidates if there are several.
        """

        def work(connection: Connection) -> Records:
            exact = _records(connection, _table.c.uuid == wanted.lower())
            named = exact or _records(connection, _table.c.name == wanted)
            if named:
                live = [record for record in named if record.state is not State.DESTROYED]
                return live or named[-1:]
            if not wanted or not _UUID_CHARACTERS.issuperset(wanted.lower()):
                return []
            return _records(connection, _table.c.uuid.startswith(wanted.lower()))

        found = self._db.read(work)
        if len(found) == 1:
            return found[0]
        raise NoSuchDeployment(
            wanted, [f"{record.uuid}  {record.name}  {record.state}" for record in found]
        )

    def list(self, all: bool = False) -> Records:
        """The oldest first: top deployments that are not destroyed; with ``all`` every row."""
        conditions = () if all else (
            _table.c.parent_uuid.is_(None), _table.c.state != State.DESTROYED.value
        )
        return self._db.read(lambda connection: _records(connection, *conditions))

    def children(self, uuid: str) -> Records:
        """Its nested deployments, destroyed ones too, in the order they were made."""
        return self._db.read(lambda connection: _records(connection, _table.c.parent_uuid == uuid))

    def config(self, uuid: str) -> dict[str, Any]:
        """The config as it was given, ``${env:...}`` unread."""
        query = select(schema.configs.c.config_sealed).where(
            schema.configs.c.deployment_uuid == uuid
        )
        sealed = self._db.read(lambda connection: connection.execute(query).scalar())
        if sealed is None:
            raise NoSuchDeployment(uuid)
        config: dict[str, Any] = json.loads(self._vault.decrypt(sealed))
        return config

    def move(
        self, uuid: str, to: State, *, owner: str, lease_s: float, error: str = ""
    ) -> DeploymentRecord:
        """Take the deployment, if nobody alive holds it, and move it to another state.

        A state that is not a moving one ends the hold. Raises DeploymentHeld, IllegalTransition
        or, where its name has been given to another one meanwhile, UsageError.
        """

        def work(connection: Connection) -> DeploymentRecord:
            now = self._db.now_us(connection)
            holding.move(connection, now, uuid, to, owner, int(lease_s * 1e6), error)
            return _get(connection, uuid)

        try:
            return self._db.write(work)
        except faults.Taken as taken:
            raise _name_taken(self.get(uuid).name) from taken

    def renew(self, owner: str, lease_s: float) -> bool:
        """Hold all that ``owner`` holds for longer; True if one of them is asked to cancel."""
        return self._db.write(lambda connection: holding.renew(
            connection, self._db.now_us(connection), owner, int(lease_s * 1e6)
        ))

    def request_cancel(self, uuid: str) -> DeploymentRecord:
        """Tell the process that holds it to end; nothing happens if it moves no more."""

        def work(connection: Connection) -> DeploymentRecord:
            holding.request_cancel(connection, uuid)
            return _get(connection, uuid)

        return self._db.write(work)

    def cancel_unheld(self, uuid: str) -> DeploymentRecord:
        """Move a deployment whose process died to cancelled.

        Raises DeploymentHeld if it is alive, IllegalTransition if there is nothing to cancel.
        """

        def work(connection: Connection) -> DeploymentRecord:
            holding.cancel_unheld(connection, self._db.now_us(connection), uuid)
            return _get(connection, uuid)

        return self._db.write(work)

    def forget_secrets(self, uuid: str) -> None:
        """Delete its generated secrets, credentials, servers and host keys; the config stays."""

        def work(connection: Connection) -> None:
            for table in (schema.secrets, schema.credentials, schema.servers, schema.host_keys):
                connection.execute(delete(table).where(table.c.deployment_uuid == uuid))

        self._db.write(work)

    def durations(self, engine: str, limit: int = 20) -> Durations:
        """Seconds from start to ready of the last runs of this engine, the latest first."""
        query = (
            select((_table.c.ready_at - _table.c.started_at) / 1e6)
            .where(
                _table.c.engine == engine, _table.c.ready_at.is_not(None),
                _table.c.started_at.is_not(None),
            )
            .order_by(_table.c.ready_at.desc())
            .limit(limit)
        )
        return self._db.read(
            lambda connection: [float(value) for value in connection.execute(query).scalars()]
        )


def _name_taken(name: str) -> UsageError:
    return UsageError(
        f"there is a deployment '{name}' already",
        remedy=f"give another --name, or 'rdeploy destroy {name}' first",
    )


def _get(connection: Connection, uuid: str) -> DeploymentRecord:
    found = _records(connection, _table.c.uuid == uuid)
    if not found:
        raise NoSuchDeployment(uuid)
    return found[0]


def _records(connection: Connection, *conditions: Any) -> Records:
    rows = connection.execute(select(*_columns).where(*conditions).order_by(*_oldest_first))
    return [_record(*tuple(row)) for row in rows]


def _record(
    uuid: str, name: str, parent: str | None, state: str, engine: str, created: int, updated: int,
    started: int | None, ready: int | None, error: str, owner: str, expires: int | None,
    cancel: bool,
) -> DeploymentRecord:
    return DeploymentRecord(
        uuid, name, parent, State(state), engine, moment(created), moment(updated),
        from_us(started), from_us(ready), error, owner, from_us(expires), cancel,
    )
