"""What belongs to one deployment and is read whole: servers, credentials, secrets, host keys.

All but the host keys, which are public, are encrypted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from rally_deploy.model import Server
from rally_deploy.store import schema
from rally_deploy.store.connections import insert_if_absent
from rally_deploy.store.database import Database
from rally_deploy.vault import Vault

Found = list[Server]


class Servers:
    """The servers of a deployment, for ``show``, ``ssh`` and ``logs``."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault

    def replace(self, uuid: str, servers: Sequence[Server]) -> None:
        """From now on these are its servers, in this order."""
        table = schema.servers
        rows = [
            {
                "deployment_uuid": uuid, "position": position,
                "server_sealed": self._vault.encrypt(json.dumps(server.to_dict())),
            }
            for position, server in enumerate(servers)
        ]

        def work(connection: Connection) -> None:
            connection.execute(delete(table).where(table.c.deployment_uuid == uuid))
            if rows:
                connection.execute(insert(table), rows)

        self._db.write(work)

    def list(self, uuid: str) -> Found:
        table = schema.servers
        query = (
            select(table.c.server_sealed)
            .where(table.c.deployment_uuid == uuid)
            .order_by(table.c.position)
        )
        sealed = self._db.read(lambda connection: connection.execute(query).scalars().all())
        return [Server.from_dict(json.loads(self._vault.decrypt(text))) for text in sealed]


class CredentialSets:
    """How to use the cloud of a deployment, as its engine's ``deploy`` returned it."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault

    def replace(self, uuid: str, credentials: Mapping[str, Any]) -> None:
        table = schema.credentials
        sealed = self._vault.encrypt(json.dumps(credentials))

        def work(connection: Connection) -> None:
            connection.execute(delete(table).where(table.c.deployment_uuid == uuid))
            connection.execute(
                insert(table).values(deployment_uuid=uuid, credentials_sealed=sealed)
            )

        self._db.write(work)

    def get(self, uuid: str) -> dict[str, Any] | None:
        """None if it was never ready, or is destroyed."""
        table = schema.credentials
        query = select(table.c.credentials_sealed).where(table.c.deployment_uuid == uuid)
        sealed = self._db.read(lambda connection: connection.execute(query).scalar())
        if sealed is None:
            return None
        found: dict[str, Any] = json.loads(self._vault.decrypt(sealed))
        return found


class Secrets:
    """Passwords and keys that we made for a deployment, by name."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._db = database
        self._vault = vault

    def get(self, uuid: str, name: str) -> str | None:
        sealed = self._db.read(lambda connection: _secret(connection, uuid, name))
        return None if sealed is None else self._vault.decrypt(sealed)

    def put_if_absent(self, uuid: str, name: str, value: str) -> str:
        """Store a secret unless there is one of that name; returns the one that is stored."""
        row = {"deployment_uuid": uuid, "name": name, "value_sealed": self._vault.encrypt(value)}

        def work(connection: Connection) -> str | None:
            insert_if_absent(connection, schema.secrets, row)
            return _secret(connection, uuid, name)

        stored = self._db.write(work)
        return value if stored is None else self._vault.decrypt(stored)


class HostKeys:
    """The host keys pinned for a deployment, by ``Server.pinned_as``."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, uuid: str, identity: str) -> str | None:
        return self._db.read(lambda connection: _host_key(connection, uuid, identity))

    def pin(self, uuid: str, identity: str, key: str) -> str:
        """Pin the key unless there is one already; returns the one that is pinned."""
        row = {"deployment_uuid": uuid, "identity": identity, "key": key}

        def work(connection: Connection) -> str:
            insert_if_absent(connection, schema.host_keys, row)
            return _host_key(connection, uuid, identity) or key

        return self._db.write(work)


def _secret(connection: Connection, uuid: str, name: str) -> str | None:
    table = schema.secrets
    return connection.execute(
        select(table.c.value_sealed)
        .where(table.c.deployment_uuid == uuid, table.c.name == name)
    ).scalar()


def _host_key(connection: Connection, uuid: str, identity: str) -> str | None:
    table = schema.host_keys
    return connection.execute(
        select(table.c.key).where(table.c.deployment_uuid == uuid, table.c.identity == identity)
    ).scalar()
