"""Brings a database to the present revision, one process at a time."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError

from rally_deploy.errors import StoreError
from rally_deploy.store import faults
from rally_deploy.store.connections import BUSY_TIMEOUT_S, Connections
from rally_deploy.store.database import REVISIONS, VERSION_TABLE

_LOCK_S = 300.0
#: The key of our advisory lock on a PostgreSQL server: "rdeploy" as a number.
_ADVISORY_LOCK = int.from_bytes(b"rdeploy", "big")


def bring_up(database: Connections) -> None:
    """Make the tables, or change those of an older revision, all or nothing.

    Raises StoreError for a newer database, and for one that holds something else.
    """
    if database.path is None:
        database.run(lambda connection: _upgrade(connection, database.where), write=True)
        return
    with _file_lock(database.path, database.where):
        _use_wal(database)
        database.run(lambda connection: _upgrade(connection, database.where), write=True)


def _upgrade(connection: Connection, where: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
    found = _revision(connection, where)
    if found == REVISIONS[-1]:
        return  # another process was faster
    if found and found not in REVISIONS:
        raise StoreError(
            "this database is of a newer rdeploy",
            f"{where}\nits revision is {found}, this rdeploy knows {REVISIONS[-1]}",
            "use that newer rdeploy (pip install --upgrade rally_deploy), or another database "
            "with --db or RDEPLOY_DB",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%")
    )
    config.attributes["connection"] = connection
    command.upgrade(config, REVISIONS[-1])


def _revision(connection: Connection, where: str) -> str:
    """Of the database; "" for one without any tables of ours."""
    from rally_deploy.store.schema import metadata

    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE in tables:
        found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
        if found:
            return str(found)
    foreign = tables & set(metadata.tables)
    if foreign:
        raise StoreError(
            "this database holds something else",
            f"{where}\nit has tables of our names: {', '.join(sorted(foreign))}",
            "name another database with --db or RDEPLOY_DB; this one was left as it is",
        )
    return ""


@contextmanager
def _file_lock(path: Path, where: str) -> Iterator[None]:
    """Only one process at a time; the lock ends with its process, however that ends."""
    try:
        handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise faults.translate(error, where) from error
    try:
        end = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    raise StoreError(
                        "another process has been making this database ready for minutes", where,
                        f"look with 'fuser {path}.lock' which one, end it, then try again",
                    ) from error
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def _use_wal(database: Connections) -> None:
    """Readers do not wait for a writer then. It stays so in the file.

    The change needs the file for a moment alone, and SQLite does not wait for that by itself.
    """
    end = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            with database.engine.connect() as connection:
                raw = connection.connection.dbapi_connection
                assert isinstance(raw, sqlite3.Connection)
                raw.execute("PRAGMA journal_mode=WAL")
                return
        except sqlite3.Error as error:
            wrapped = DBAPIError("PRAGMA journal_mode=WAL", None, error)
            if not faults.is_transient(wrapped) or time.monotonic() > end:
                raise faults.translate(wrapped, database.where) from error
            time.sleep(0.02)
        except DBAPIError as error:
            raise faults.translate(error, database.where) from error
