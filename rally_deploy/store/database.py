"""One database: its transactions, and a quick way to read from an SQLite file.

SQLAlchemy is imported with the first transaction, not with this module: it takes longer than to
list all deployments.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from rally_deploy.errors import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rally_deploy.store.connections import Connections

T = TypeVar("T")

#: All revisions, the oldest first. A database of the last one is used as it is.
REVISIONS = ("0001", "0002")
#: Not Alembic's usual name: a server's database may be shared with another application.
VERSION_TABLE = "rdeploy_revision"

_SQLITE = "sqlite:///"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


class Taken(StoreError):
    """A row of that key is there already."""


class Database:
    """Short transactions on a database of the present revision."""

    def __init__(self, url: str) -> None:
        self._url = url
        path, _, options = url.removeprefix(_SQLITE).partition("?")
        self._quick_path = path if url.startswith(_SQLITE) and path and not options else ""
        self._opening = threading.Lock()
        self._opened: Connections | None = None
        #: Ids of events are given before a commit; see Events.
        self.event_order = threading.Lock()

    @classmethod
    def open(cls, url: str) -> Database:
        """Connect, and bring the database to the present revision if it is of an older one."""
        database = cls(url)
        if database.quickly(f"SELECT version_num FROM {VERSION_TABLE}") != [(REVISIONS[-1],)]:
            database._connections()
        return database

    def quickly(self, sql: str) -> list[tuple[Any, ...]] | None:
        """The rows of a query, by sqlite3 alone; None: whatever is the matter, use ``read``."""
        if not self._quick_path or not os.path.isfile(self._quick_path):
            return None
        try:
            with closing(sqlite3.connect(self._quick_path)) as connection:
                if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                    return None
                return connection.execute(sql).fetchall()
        except sqlite3.Error:
            return None

    def read(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, in a transaction of its own; it must not write."""
        return self._connections().run(work, write=False)

    def write(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns, committed. It may run more than once: it changes nothing else."""
        return self._connections().run(work, write=True)

    def close(self) -> None:
        if self._opened:
            self._opened.close()

    def _connections(self) -> Connections:
        with self._opening:
            if self._opened is None:
                from rally_deploy.store.connections import Connections

                opened = Connections.to(self._url)
                try:
                    if not opened.is_present():
                        from rally_deploy.store import migration

                        migration.bring_up(opened)
                except BaseException:
                    opened.close()
                    raise
                self._opened = opened
            return self._opened


def now_us(connection: Connection) -> int:
    """The database's own clock: machines that share a server need not agree on the time."""
    if connection.dialect.name == "sqlite":
        return time.time_ns() // 1000
    sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    return int(connection.exec_driver_sql(sql).scalar_one())


def hold(connection: Connection, name: str) -> None:
    """Until the end of this writing transaction no other one holds this name."""
    # SQLite has one writer at a time anyway.
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (storable(name),))


def storable(text: str) -> str:
    """The text without what a database refuses: NUL (PostgreSQL) and halves of surrogate pairs.

    Output of commands and arguments of ours may have both.
    """
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def to_us(moment: datetime) -> int:
    """As it is stored: microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value / 1e6, timezone.utc)


def moment(value: int) -> datetime:
    return datetime.fromtimestamp(value / 1e6, timezone.utc)
