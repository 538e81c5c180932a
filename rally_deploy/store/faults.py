"""Foreign errors of the database become StoreErrors, by their type and code."""

from __future__ import annotations

import os

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from rally_deploy.errors import StoreError
from rally_deploy.store.database import Taken

# SQLite's primary result codes.
_ERROR, _PERM, _BUSY, _LOCKED, _READONLY, _IOERR = 1, 3, 5, 6, 8, 10
_CORRUPT, _FULL, _CANTOPEN, _NOTADB = 11, 13, 14, 26
_UNIQUE_CODES = frozenset({2067, 1555})  # extended: a unique index, a primary key

#: Python 3.10 has no codes yet; these texts of SQLite are fixed, one for each code.
_SQLITE_TEXTS = {
    "database is locked": _BUSY,
    "database table is locked": _LOCKED,
    "attempt to write a readonly database": _READONLY,
    "disk I/O error": _IOERR,
    "database disk image is malformed": _CORRUPT,
    "database or disk is full": _FULL,
    "unable to open database file": _CANTOPEN,
    "file is not a database": _NOTADB,
}

_SQLITE_FAULTS = {
    _PERM: ("the database file may not be used", "make the file and its folder yours"),
    _BUSY: (
        "the database is kept busy by another process",
        "look with 'fuser' who has the file open, end that process, then try again",
    ),
    _READONLY: (
        "the database cannot be written",
        "make the file and its folder writable for you, or name another database with --db",
    ),
    _IOERR: (
        "the disk failed under the database",
        "look for errors of the disk (dmesg) and for space on it, then try again",
    ),
    _CORRUPT: (
        "the database file is damaged",
        "restore it from a backup, or save what is left with sqlite3's .recover",
    ),
    _FULL: ("the disk of the database is full", "free some space there, then try again"),
    _CANTOPEN: (
        "the database file cannot be opened",
        "make its folder, and make it writable for you, or name another database with --db",
    ),
    _NOTADB: (
        "that file is not a database",
        "name another one with --db or RDEPLOY_DB; this file was left as it is",
    ),
}

#: By SQLSTATE, or its class (the first two characters).
_POSTGRESQL_FAULTS = {
    "28": (
        "the database server does not let us in",
        "look at the user and password in --db or RDEPLOY_DB",
    ),
    "3D": ("the server has no such database", "make it with 'createdb', then try again"),
    "42501": (
        "the database user may not do that",
        "let that user own the database, or grant it all rights on its schema",
    ),
    "25006": ("the database server takes no writes", "name the primary server, not a standby"),
    "53100": ("the disk of the database server is full", "free some space there"),
    "53": ("the database server is out of resources", "raise its limits (max_connections)"),
    "57": ("the database server is being stopped or started", "try again once it is up"),
    "08": ("the connection to the database server was lost", "look at the server, try again"),
}

#: libpq gives no code for a refused connection. These are the server's own words in English; a
#: server of another language falls through to "cannot be reached", which quotes it.
_REFUSALS = (
    ("password authentication failed", "28P01"),
    ("no pg_hba.conf entry", "28000"),
    ("no password supplied", "28P01"),
    ("too many clients", "53300"),
    ("remaining connection slots", "53300"),
    ("too many connections", "53300"),
    ("database system is starting up", "57P03"),
    ("database system is shutting down", "57P03"),
    ("role \"", "28000"),
    ("database \"", "3D000"),
)

_RETRIED_SQLSTATES = frozenset({"40001", "40P01", "53300", "57P03"})


def sqlite_code(error: BaseException) -> int:
    """SQLite's extended result code of an error of ``sqlite3``; 1 if it has none."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return int(code)
    text = str(error)
    if text.startswith("UNIQUE constraint failed"):
        return 2067
    return _SQLITE_TEXTS.get(text, _ERROR)


def sqlstate(error: BaseException) -> str:
    """PostgreSQL's code of an error; "" if it never came to a server's answer."""
    code = getattr(error, "sqlstate", None)
    if code:
        return str(code)
    text = str(error)
    # Behind "FATAL:" stands what the server said; before it, the names that we gave.
    said = text.partition("FATAL:")[2]
    return next((code for words, code in _REFUSALS if words in said), "")


def is_sqlite(error: BaseException) -> bool:
    return type(error).__module__ == "sqlite3"


def is_transient(error: DBAPIError) -> bool:
    """Nothing was done, and the same may well go through in a moment."""
    if error.orig is None:
        return False
    if is_sqlite(error.orig):
        return sqlite_code(error.orig) & 0xFF in (_BUSY, _LOCKED)
    return sqlstate(error.orig) in _RETRIED_SQLSTATES


def is_missing_table(error: DBAPIError) -> bool:
    if error.orig is None:
        return False
    if is_sqlite(error.orig):
        return sqlite_code(error.orig) == _ERROR
    return sqlstate(error.orig) == "42P01"


def translate(error: DBAPIError | PoolTimeout | OSError, where: str) -> StoreError:
    """What to tell the user; ``where`` names the database without its password."""
    if isinstance(error, OSError):
        return _of_os_error(error, where)
    if isinstance(error, PoolTimeout) or error.orig is None:
        return StoreError(
            "no connection to the database became free in time", where,
            "the server or its disk is too slow: look at its load",
        )
    cause = error.orig
    details = f"{where}\n{cause}".strip()
    if isinstance(error, IntegrityError):
        unique = (
            sqlite_code(cause) in _UNIQUE_CODES if is_sqlite(cause) else sqlstate(cause) == "23505"
        )
        kind = Taken if unique else StoreError
        return kind("the database refuses a row", details, "report this with the whole output")
    if is_sqlite(cause):
        code = sqlite_code(cause) & 0xFF
        brief, remedy = _SQLITE_FAULTS.get(
            _BUSY if code == _LOCKED else code, ("the database failed", "")
        )
        return StoreError(brief, details, remedy)
    code_text = sqlstate(cause)
    for key in (code_text, code_text[:2]):
        if key in _POSTGRESQL_FAULTS:
            return StoreError(_POSTGRESQL_FAULTS[key][0], details, _POSTGRESQL_FAULTS[key][1])
    if code_text:
        return StoreError("the database failed", details)
    return StoreError(
        "the database server cannot be reached", details,
        "look whether it runs and accepts connections at that address, and at the user, password "
        "and database name in --db or RDEPLOY_DB",
    )


def _of_os_error(error: OSError, where: str) -> StoreError:
    return StoreError(
        f"the database cannot be used: {error.strerror or error}",
        "\n".join(filter(None, [where, str(error.filename or "")])),
        "make its folder, and make it writable for you, or name another database with --db"
        if not isinstance(error, TimeoutError)
        else f"end the process that holds it (see 'fuser'), then try again ({os.getpid()})",
    )
