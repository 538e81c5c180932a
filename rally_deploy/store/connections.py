"""The connections to one database, and transactions on them."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rally_deploy.errors import StoreError
from rally_deploy.store import faults
from rally_deploy.store.database import REVISIONS, VERSION_TABLE

T = TypeVar("T")

#: Seconds that SQLite itself waits for another writer, and that we go on trying after that.
BUSY_TIMEOUT_S = 60.0
_RETRY_S = 120.0
#: Seconds that a server's restart may take without ending the work of hours.
_RETURN_S = 30.0


class Connections:
    """Runs short transactions, again if another process was in the way."""

    def __init__(self, engine: Engine, where: str, path: Path | None) -> None:
        self.engine = engine
        self.where = where  # for people, without the password
        self.path = path  # of the SQLite file
        # SQLite has one writer at a time: our own threads queue here, where nobody has to poll.
        self._writer = threading.Lock()
        self._was_connected = False

    @classmethod
    def to(cls, text: str) -> Connections:
        """To the database of this URL; nothing is connected yet, an SQLite file is made."""
        url = _parsed(text)
        where = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "sqlite":
            path = Path(url.database or "")
            _make_file(path, where)
            return cls(_sqlite_engine(url), where, path)
        try:
            return cls(_postgresql_engine(url), where, None)
        except ImportError as error:
            raise StoreError(
                "the driver for PostgreSQL is not installed", str(error),
                "install it with: pip install 'rally_deploy[postgresql]'",
            ) from error

    def is_present(self) -> bool:
        """One cheap look: the revision is the last one (and an SQLite file is in WAL mode)."""

        def look(connection: Connection) -> bool:
            if self.path and connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
                return False
            found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}")
            return found.scalar() == REVISIONS[-1]

        try:
            return self.run(look, write=False, missing_table=True)
        except DBAPIError:
            return False

    def close(self) -> None:
        self.engine.dispose()

    def _connect(self) -> Connection:
        """A connection; a server that was there before is given time to come back."""
        end = time.monotonic() + _RETURN_S
        while True:
            try:
                connection = self.engine.connect()
            except DBAPIError:
                if self.path or not self._was_connected or time.monotonic() > end:
                    raise
                time.sleep(0.5)
            else:
                self._was_connected = True
                return connection

    def run(
        self, work: Callable[[Connection], T], write: bool, missing_table: bool = False
    ) -> T:
        """What ``work`` returns, in a transaction of its own.

        :param missing_table: raise the DBAPIError itself if a table is not there.
        """
        end = time.monotonic() + _RETRY_S
        pause_s = 0.005
        while True:
            try:
                return self._once(work, write)
            except DBAPIError as error:
                if missing_table and faults.is_missing_table(error):
                    raise
                if not faults.is_transient(error) or time.monotonic() > end:
                    raise faults.translate(error, self.where) from error
            except PoolTimeout as error:
                raise faults.translate(error, self.where) from error
            time.sleep(random.uniform(0, pause_s))
            pause_s = min(pause_s * 2, 1.0)

    def _once(self, work: Callable[[Connection], T], write: bool) -> T:
        with (
            self._writer if write and self.path else nullcontext(),
            self._connect() as connection,
            connection.execution_options(rdeploy_write=write).begin(),
        ):
            return work(connection)


def insert_if_absent(connection: Connection, table: Any, values: dict[str, Any]) -> None:
    """Insert a row unless one of its key is there; both databases do it in one statement."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        connection.execute(sqlite_insert(table).values(values).on_conflict_do_nothing())
    else:
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        connection.execute(postgresql_insert(table).values(values).on_conflict_do_nothing())


def _parsed(text: str) -> URL:
    remedy = "write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"
    try:
        if not text.isprintable():
            raise ValueError("a character that cannot be printed")
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        # The text may hold a password: it is not shown.
        raise StoreError("that is not a database URL", remedy=remedy) from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise StoreError("a database in memory remembers nothing", remedy=remedy)
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise StoreError(f"a database of kind '{url.drivername}' cannot be used", remedy=remedy)
    return url


def _make_file(path: Path, where: str) -> None:
    """Made here, so that nobody but its owner can ever read it."""
    try:
        # Never opened if it is there: closing it would end the locks that SQLite has on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise faults.translate(error, where) from error


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url, max_overflow=-1,  # reads of many threads; each returns its connection at once
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def connect(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # transactions begin when we say so, below
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that is to write takes the lock at once: a later upgrade can fail.
        write = connection.get_execution_options().get("rdeploy_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql_engine(url: URL) -> Engine:
    # Few connections for each process: a server has 100 for all of them.
    return create_engine(
        url, pool_size=1, max_overflow=2, pool_timeout=BUSY_TIMEOUT_S, pool_pre_ping=True,
        connect_args={"connect_timeout": 10, "application_name": "rdeploy"},
    )
