"""The rows of deployments: their names, states, configs and leases."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rally_deploy.errors import NoSuchDeployment, UsageError
from rally_deploy.model import DeploymentRecord, State
from rally_deploy.store.database import Database, Taken, from_us, moment, storable
from rally_deploy.vault import Vault

#: In the order of DeploymentRecord's fields; a listing builds thousands of these.
COLUMNS = (
    "uuid", "name", "parent_uuid", "state", "engine", "created_at", "updated_at", "started_at",
    "ready_at", "error", "lease_owner", "lease_expires_at", "cancel_requested",
)
_LIST = f"SELECT {', '.join(COLUMNS)} FROM deployments {{}} ORDER BY created_at, uuid"
_LIST_ALL = _LIST.format("")
_LIST_LIVE = _LIST.format(f"WHERE parent_uuid IS NULL AND state <> '{State.DESTROYED.value}'")

Records = list[DeploymentRecord]


class Deployments:
    """What may be done with deployments. The statements are in ``rows`` and ``holding``.

    Those import SQLAlchemy, so they are imported by the methods: a listing does without.
    """

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
        from rally_deploy.store import rows

        sealed = self._vault.encrypt(json.dumps(config))
        try:
            return self._db.write(lambda connection: rows.add(
                connection, uuid, storable(name), engine, sealed, owner, lease_s, parent_uuid
            ))
        except Taken as error:
            raise _name_taken(name) from error

    def get(self, uuid: str) -> DeploymentRecord:
        from rally_deploy.store import rows

        return self._db.read(lambda connection: rows.get(connection, uuid))

    def find(self, wanted: str) -> DeploymentRecord:
        """By uuid, by name (a live one before destroyed ones), or by a unique beginning of it.

        Raises NoSuchDeployment, which names the candidates if there are several.
        """
        from rally_deploy.store import rows

        found = self._db.read(lambda connection: rows.find(connection, storable(wanted)))
        if len(found) == 1:
            return found[0]
        raise NoSuchDeployment(wanted, [f"{row.uuid}  {row.name}  {row.state}" for row in found])

    def list(self, all: bool = False) -> Records:
        """The oldest first: top deployments that are not destroyed; with ``all`` every row."""
        quick = self._db.quickly(_LIST_ALL if all else _LIST_LIVE)
        if quick is not None:
            return [record(*row) for row in quick]
        from rally_deploy.store import rows

        return self._db.read(rows.list_all if all else rows.list_live)

    def children(self, uuid: str) -> Records:
        """Its nested deployments, destroyed ones too, in the order they were made."""
        from rally_deploy.store import rows

        return self._db.read(lambda connection: rows.children(connection, uuid))

    def config(self, uuid: str) -> dict[str, Any]:
        """The config as it was given, ``${env:...}`` unread."""
        from rally_deploy.store import rows

        sealed = self._db.read(lambda connection: rows.config(connection, uuid))
        config: dict[str, Any] = json.loads(self._vault.decrypt(sealed))
        return config

    def reconfigure(self, uuid: str, config: Mapping[str, Any]) -> None:
        """Replace the config of a nested deployment, whose outer one has made it anew."""
        from rally_deploy.store import rows

        sealed = self._vault.encrypt(json.dumps(config))
        self._db.write(lambda connection: rows.reconfigure(connection, uuid, sealed))

    def move(
        self, uuid: str, to: State, *, owner: str, lease_s: float, error: str = ""
    ) -> DeploymentRecord:
        """Take the deployment, if nobody alive holds it, and move it to another state.

        A state that is not a moving one ends the hold. Raises DeploymentHeld, IllegalTransition
        or, where its name has been given to another one meanwhile, UsageError.
        """
        from rally_deploy.store import holding

        try:
            return self._db.write(
                lambda connection: holding.move(connection, uuid, to, owner, lease_s, error)
            )
        except Taken as taken:
            raise _name_taken(self.get(uuid).name) from taken

    def renew(self, owner: str, lease_s: float) -> bool:
        """Hold all that ``owner`` holds for longer; True if one of them is asked to cancel."""
        from rally_deploy.store import holding

        return self._db.write(lambda connection: holding.renew(connection, owner, lease_s))

    def request_cancel(self, uuid: str) -> DeploymentRecord:
        """Tell the process that holds it to end; nothing happens if it moves no more."""
        from rally_deploy.store import holding

        return self._db.write(lambda connection: holding.request_cancel(connection, uuid))

    def cancel_unheld(self, uuid: str) -> DeploymentRecord:
        """Move a deployment whose process died to cancelled.

        Raises DeploymentHeld if it is alive, IllegalTransition if there is nothing to cancel.
        """
        from rally_deploy.store import holding

        return self._db.write(lambda connection: holding.cancel_unheld(connection, uuid))

    def forget_secrets(self, uuid: str) -> None:
        """Delete its generated secrets, credentials, servers and host keys; the config stays."""
        from rally_deploy.store import rows

        self._db.write(lambda connection: rows.forget_secrets(connection, uuid))


def _name_taken(name: str) -> UsageError:
    return UsageError(
        f"there is a deployment '{name}' already",
        remedy=f"give another --name, or 'rdeploy destroy {name}' first",
    )


def record(
    uuid: str, name: str, parent: str | None, state: str, engine: str, created: int, updated: int,
    started: int | None, ready: int | None, error: str, owner: str, expires: int | None,
    cancel: int,
) -> DeploymentRecord:
    return DeploymentRecord(
        uuid, name, parent, State(state), engine, moment(created), moment(updated),
        from_us(started), from_us(ready), error, owner, from_us(expires), bool(cancel),
    )
