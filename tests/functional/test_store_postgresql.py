"""The store over a real PostgreSQL server: the same tests as over SQLite, and the server's own."""

import threading
import time

import pytest

from rally_deploy.errors import StoreError
from rally_deploy.store import Store
from tests.functional.postgresql import running_server
from tests.unit.store.conftest import dead_owner, vault  # noqa: F401
from tests.unit.store.contract import StoreContract, add

pytestmark = [pytest.mark.functional, pytest.mark.postgresql]


@pytest.fixture(scope="module")
def server():
    with running_server("a real server") as server:
        yield server


@pytest.fixture
def url(server):
    return server.new_database()


@pytest.fixture
def empty_url(server):
    return server.new_database()


@pytest.fixture
def store(url, vault):  # noqa: F811
    store = Store.open(url, vault)
    yield store
    store.close()


class TestPostgresql(StoreContract):
    pass


def test_open_missing_database_says_how_to_make_it(server, vault):  # noqa: F811
    with pytest.raises(StoreError, match="no such database") as caught:
        Store.open(server.url("nowhere"), vault)
    assert "createdb" in caught.value.remedy


def test_open_without_a_server_says_where_it_looked(tmp_path, vault):  # noqa: F811
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        Store.open(f"postgresql://me:hidden@/name?host={tmp_path}", vault)
    assert str(tmp_path) in caught.value.details.replace("%2F", "/")
    assert "hidden" not in str(caught.value)


def test_open_refused_port_is_a_store_error(vault):  # noqa: F811
    with pytest.raises(StoreError, match="cannot be reached"):
        Store.open("postgresql://me@127.0.0.1:1/name", vault)


def test_use_over_a_restart_of_the_server_goes_on(server, vault):  # noqa: F811
    store = Store.open(server.new_database(), vault)
    record = add(store)
    restart = threading.Thread(target=server.restart, args=(2.0,))
    restart.start()
    time.sleep(1.0)
    assert store.deployments.get(record.uuid) == record
    assert add(store, "after").name == "after"
    restart.join()
    store.close()


def test_write_to_a_read_only_database_is_a_store_error(server, vault):  # noqa: F811
    url = server.new_database()
    Store.open(url, vault).close()
    name = url.split("/")[3].split("?")[0]
    server._admin(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    store = Store.open(url, vault)
    with pytest.raises(StoreError, match="takes no writes"):
        add(store)
    assert store.deployments.list() == []
    store.close()
