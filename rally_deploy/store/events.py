"""What happened, step by step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, insert, select

from rally_deploy.events import Event, Kind
from rally_deploy.store import schema, trees
from rally_deploy.store.database import Database, moment, storable, to_us

_table = schema.events
_columns = (
    _table.c.deployment_uuid, _table.c.at, _table.c.kind, _table.c.title, _table.c.server,
    _table.c.step, _table.c.parent_step, _table.c.elapsed_s, _table.c.detail, _table.c.id,
)


class Events:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, event: Event) -> Event:
        """Store an event; returns it as it is stored, with its id."""
        event = replace(
            event, title=storable(event.title), detail=storable(event.detail),
            server=storable(event.server),
        )
        values = {
            "deployment_uuid": event.deployment_uuid, "at": to_us(event.at),
            "kind": event.kind.value, "title": event.title, "server": event.server,
            "step": event.step, "parent_step": event.parent_step, "elapsed_s": event.elapsed_s,
            "detail": event.detail,
        }

        def work(connection: Connection) -> int:
            added = connection.execute(insert(_table).values(values))
            return int(added.inserted_primary_key[0])  # type: ignore[index]

        # One at a time: ids are given before a commit, and a reader that asks for all after an
        # id must not pass one by. Only the process that holds a deployment writes its events.
        with self._db.event_order:
            return replace(event, id=self._db.write(work))

    def list(self, uuid: str, after_id: int = 0, children: bool = False) -> list[Event]:
        """The events of a deployment that came after that id, in their order.

        ``children``: those of its nested deployments too.
        """
        whose = trees.family(uuid) if children else [uuid]
        query = (
            select(*_columns)
            .where(_table.c.deployment_uuid.in_(whose), _table.c.id > after_id)
            .order_by(_table.c.id)
        )
        rows = self._db.read(lambda connection: connection.execute(query).all())
        return [_event(*tuple(row)) for row in rows]


def _event(
    uuid: str, at: int, kind: str, title: str, server: str, step: str, parent_step: str,
    elapsed_s: float | None, detail: str, id: Any,
) -> Event:
    return Event(
        uuid, moment(at), Kind(kind), title, server, step, parent_step, elapsed_s, detail, id
    )
