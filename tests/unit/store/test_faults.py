"""Foreign errors by type and code; also those of a Python whose sqlite3 gives no codes."""

import sqlite3

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from rally_deploy.errors import StoreError
from rally_deploy.store import faults
from rally_deploy.store.database import Taken


class WithoutCode(sqlite3.OperationalError):
    """As Python 3.10 raises it."""

    __module__ = "sqlite3"


class OfServer(Exception):
    """As psycopg raises it."""

    def __init__(self, text, sqlstate=None):
        super().__init__(text)
        self.sqlstate = sqlstate


def wrapped(error):
    return OperationalError("SELECT 1", None, error)


@pytest.mark.parametrize(
    ("text", "brief", "transient"),
    [
        ("database is locked", "kept busy", True),
        ("database table is locked", "kept busy", True),
        ("database or disk is full", "disk of the database is full", False),
        ("unable to open database file", "cannot be opened", False),
        ("file is not a database", "not a database", False),
        ("attempt to write a readonly database", "cannot be written", False),
        ("disk I/O error", "the disk failed", False),
        ("near \"x\": syntax error", "the database failed", False),
    ],
)
def test_sqlite_error_without_a_code_is_told_by_its_fixed_text(text, brief, transient):
    error = wrapped(WithoutCode(text))
    assert brief in faults.translate(error, "db").brief
    assert faults.is_transient(error) is transient


@pytest.mark.parametrize(
    ("code", "brief", "transient"),
    [
        ("53100", "disk of the database server is full", False),
        ("53300", "out of resources", True),
        ("40P01", "the database failed", True),
        ("28P01", "does not let us in", False),
        ("42501", "may not do that", False),
        ("57P01", "stopped or started", False),
        ("57P03", "stopped or started", True),
        ("XX000", "the database failed", False),
    ],
)
def test_postgresql_error_is_told_by_its_sqlstate(code, brief, transient):
    error = wrapped(OfServer("whatever", code))
    told = faults.translate(error, "db")
    assert brief in told.brief
    assert "whatever" in told.details
    assert faults.is_transient(error) is transient


@pytest.mark.parametrize(
    ("text", "brief", "transient"),
    [
        ("FATAL:  sorry, too many clients already", "out of resources", True),
        ('FATAL:  password authentication failed for user "x"', "does not let us in", False),
        ('FATAL:  role "x" does not exist', "does not let us in", False),
        ('FATAL:  database "x" does not exist', "no such database", False),
        ("FATAL:  the database system is starting up", "stopped or started", True),
        ('Connection refused for database "x"', "cannot be reached", False),
        ("FATAL:  etwas anderes", "cannot be reached", False),
    ],
)
def test_refused_connection_is_told_by_the_servers_words(text, brief, transient):
    error = wrapped(OfServer(text))
    assert brief in faults.translate(error, "db").brief
    assert faults.is_transient(error) is transient


def test_unique_and_other_constraints_are_told_apart():
    def translated(error):
        return type(faults.translate(IntegrityError("INSERT", None, error), "db"))

    assert translated(WithoutCode("UNIQUE constraint failed: a.b")) is Taken
    assert translated(WithoutCode("FOREIGN KEY constraint failed")) is StoreError
    assert translated(OfServer("x", "23505")) is Taken
    assert translated(OfServer("x", "23503")) is StoreError
