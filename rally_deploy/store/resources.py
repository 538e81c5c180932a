"""The rows of the ledger: every outside thing that we made, or may have made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, literal_column, select, update
from sqlalchemy.sql.functions import count

from rally_deploy.errors import LeftOver, ResourceConflict, StoreError
from rally_deploy.model import Resource, ResourceState, Server
from rally_deploy.store import schema, trees
from rally_deploy.store.database import Database, Taken, hold, moment, now_us, storable
from rally_deploy.vault import Vault

_table = schema.resources
#: Written out, not a parameter: the partial index on the living ones is used only then.
_alive = _table.c.state != literal_column(f"'{ResourceState.GONE.value}'")

Found = list[Resource]


class Resources:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault

    def intend(
        self,
        deployment_uuid: str,
        owner: str,
        kind: str,
        key: str,
        name: str,
        *,
        host: Server | None = None,
        inside_id: int | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> Resource:
        """Record what is about to be made; it is on the disk when this returns.

        Raises ResourceConflict if one of this key is there that is not gone.
        """
        sealed = self._vault.encrypt(json.dumps(host.to_dict())) if host else None

        def work(connection: Connection) -> Row[Any]:
            now = now_us(connection)
            added = connection.execute(insert(_table).values(
                deployment_uuid=deployment_uuid, owner=owner, kind=kind, key=storable(key),
                name=storable(name), state=ResourceState.INTENDED.value, host_sealed=sealed,
                facts=json.dumps(dict(facts or {})), inside_id=inside_id,
                created_at=now, updated_at=now,
            ))
            return _row(connection, added.inserted_primary_key[0])  # type: ignore[index]

        try:
            return self._resource(self._db.write(work))
        except Taken as error:
            raise ResourceConflict(
                f"{kind.replace('_', ' ')} '{key}' is recorded already for this deployment"
            ) from error

    def claim(
        self, deployment_uuid: str, owner: str, kind: str, keys: Sequence[str], name: str,
        at_most: int,
    ) -> bool:
        """Take a place for each key, all of them or none; False while too many are taken.

        :param name: what the places are of: over all deployments not more than ``at_most`` that
            are not gone may be of this kind and name.
        """
        mine = (_table.c.deployment_uuid == deployment_uuid, _table.c.owner == owner,
                _table.c.kind == kind, _alive)
        alike = (_table.c.kind == kind, _table.c.name == storable(name), _alive)

        def work(connection: Connection) -> bool:
            hold(connection, f"{kind} {name}")
            held = connection.execute(select(_table.c.key).where(*mine)).scalars().all()
            new = [key for key in keys if key not in held]
            taken = connection.execute(select(count()).where(*alike)).scalar_one()
            if new and taken + len(new) > at_most:
                return False
            now = now_us(connection)
            for key in new:
                connection.execute(insert(_table).values(
                    deployment_uuid=deployment_uuid, owner=owner, kind=kind, key=storable(key),
                    name=storable(name), state=ResourceState.LIVE.value, facts="{}",
                    created_at=now, updated_at=now,
                ))
            return True

        return self._db.write(work)

    def set_state(
        self, id: int, state: ResourceState, facts: Mapping[str, Any] | None = None
    ) -> Resource:
        """Move a resource; ``facts``, if given, replace what was known of it."""
        values: dict[str, Any] = {"state": state.value}
        if facts is not None:
            values["facts"] = json.dumps(dict(facts))

        def work(connection: Connection) -> Row[Any]:
            now = now_us(connection)
            connection.execute(
                update(_table).where(_table.c.id == id).values(updated_at=now, **values)
            )
            return _row(connection, id)

        return self._resource(self._db.write(work))

    def mark_gone(self, id: int) -> None:
        """It, and all that was inside it, however deep, is not there any more."""

        def work(connection: Connection) -> None:
            inside = trees.below(_table.c.id, _table.c.inside_id, id)
            connection.execute(
                update(_table)
                .where(_table.c.id.in_(inside), _alive)
                .values(state=ResourceState.GONE.value, updated_at=now_us(connection))
            )

        self._db.write(work)

    def list(
        self,
        deployment_uuid: str,
        owner: str | None = None,
        kind: str | None = None,
        alive: bool = False,
    ) -> Found:
        """In the order in which they were recorded; ``alive``: those that are not gone."""
        conditions = [_table.c.deployment_uuid == deployment_uuid]
        if owner is not None:
            conditions.append(_table.c.owner == owner)
        if kind is not None:
            conditions.append(_table.c.kind == kind)
        if alive:
            conditions.append(_alive)
        return self._select(*conditions)

    def list_family(self, deployment_uuid: str, kind: str) -> Found:
        """What is not gone of this kind, in a deployment and all nested ones."""
        family = trees.family(deployment_uuid)
        return self._select(_table.c.deployment_uuid.in_(family), _table.c.kind == kind, _alive)

    def all_alive(self) -> Found:
        """What is not gone, over all deployments."""
        return self._select(_alive)

    def assert_all_gone(self, deployment_uuid: str) -> None:
        """Raise LeftOver, naming what is left of it and of its nested deployments, if anything."""
        family = trees.family(deployment_uuid)
        left = self._select(_table.c.deployment_uuid.in_(family), _alive)
        if left:
            raise LeftOver(
                f"{len(left)} resource(s) are left",
                "\n".join(_described(resource) for resource in left),
                "run 'rdeploy destroy' again; 'rdeploy show' lists them",
            )

    def _select(self, *conditions: Any) -> Found:
        query = select(_table).where(*conditions).order_by(_table.c.id)
        rows = self._db.read(lambda connection: connection.execute(query).all())
        # Many resources are on one host, whose text is decrypted once.
        hosts = {row.host_sealed: self._host(row.host_sealed) for row in rows}
        return [_resource(row, hosts[row.host_sealed]) for row in rows]

    def _resource(self, row: Row[Any]) -> Resource:
        return _resource(row, self._host(row.host_sealed))

    def _host(self, sealed: str | None) -> Server | None:
        return Server.from_dict(json.loads(self._vault.decrypt(sealed))) if sealed else None


def _row(connection: Connection, id: int) -> Row[Any]:
    row = connection.execute(select(_table).where(_table.c.id == id)).first()
    if row is None:
        raise StoreError(f"there is no resource {id} in the database")
    return row


def _resource(row: Row[Any], host: Server | None) -> Resource:
    return Resource(
        id=row.id, deployment_uuid=row.deployment_uuid, owner=row.owner, kind=row.kind,
        key=row.key, name=row.name, state=ResourceState(row.state), host=host,
        facts=json.loads(row.facts), inside_id=row.inside_id,
        created_at=moment(row.created_at), updated_at=moment(row.updated_at),
    )


def _described(resource: Resource) -> str:
    where = f" on {resource.host.label}" if resource.host else ""
    return f"{resource.kind} {resource.name}{where} ({resource.state})"
