"""The store over SQLite; tests/functional has the same over PostgreSQL."""

from tests.unit.store.contract import StoreContract


class TestSqlite(StoreContract):
    pass
