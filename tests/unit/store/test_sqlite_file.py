"""What is peculiar to the SQLite file: its mode, its settings, its faults, what is imported."""

import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys

import pytest
from setuptools import find_packages
from sqlalchemy import event

from rally_deploy.errors import NoSuchDeployment, StoreError
from rally_deploy.store import Store, default_url
from rally_deploy.store.database import REVISIONS
from tests.unit.store.contract import add, first_revision, revision_of


def test_default_url_is_in_the_data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path))
    assert default_url() == f"sqlite:///{tmp_path}/data/rdeploy.sqlite"


def test_new_file_is_only_its_owners_whatever_the_umask(tmp_path, vault):
    old = os.umask(0)
    try:
        store = Store.open(f"sqlite:///{tmp_path / 'x.sqlite'}", vault)
        add(store)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(old)
    assert {"x.sqlite", "x.sqlite-wal", "x.sqlite-shm"} < set(modes)
    assert set(modes.values()) == {0o600}


def test_connection_has_wal_full_synchronous_foreign_keys_and_a_busy_timeout(store):
    def pragma(name):
        return store._database.read(lambda c: c.exec_driver_sql(f"PRAGMA {name}").scalar())

    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    assert [pragma(name) for name in names] == ["wal", 2, 1, 60000]


def test_revisions_are_those_of_the_scripts():
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from rally_deploy.store import migration

    config = Config()
    config.set_main_option(
        "script_location", str(migration.__file__).replace("migration.py", "migrations")
    )
    scripts = ScriptDirectory.from_config(config)
    assert tuple(s.revision for s in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_migrations_are_packages_so_that_a_wheel_has_them():
    assert "rally_deploy.store.migrations.versions" in find_packages(
        include=["rally_deploy", "rally_deploy.*"]
    )


def test_file_in_another_journal_mode_is_brought_back_to_wal(store, url, vault):
    record = add(store)
    store.close()
    path = url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA journal_mode=DELETE")
    raw.close()
    again = Store.open(url, vault)
    assert again.deployments.list() == [record]
    again.close()
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()


def test_failed_upgrade_leaves_the_old_revision_whole(empty_url, vault):
    first_revision(empty_url, vault)
    path = empty_url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE VIEW host_keys AS SELECT 1")  # where the table is to be
    raw.close()
    with pytest.raises(StoreError):
        Store.open(empty_url, vault)
    with sqlite3.connect(path) as raw:
        names = {row[0] for row in raw.execute("SELECT name FROM sqlite_master")}
        assert {"deployments", "configs", "events"} < names
        assert raw.execute("SELECT version_num FROM rdeploy_revision").fetchone() == ("0001",)
        raw.execute("DROP VIEW host_keys")
    raw.close()
    store = Store.open(empty_url, vault)
    assert revision_of(store) == "0002"
    store.close()


@pytest.mark.parametrize(
    ("place", "brief"),
    [("missing/x.sqlite", "cannot be used: No such file"), ("", "cannot be opened")],
)
def test_open_impossible_place_names_it_and_a_remedy(tmp_path, vault, place, brief):
    with pytest.raises(StoreError, match=brief) as caught:
        Store.open(f"sqlite:///{tmp_path}/{place}", vault)
    assert str(tmp_path) in caught.value.details
    assert "--db" in caught.value.remedy


def test_open_in_a_folder_of_somebody_else_names_it_and_a_remedy(tmp_path, vault):
    """As an ordinary user: root may write everywhere."""
    (tmp_path / "x.sqlite").touch(0o600)

    def attempt():
        if os.geteuid() == 0:
            os.seteuid(65534)
        else:
            tmp_path.chmod(0o500)
            (tmp_path / "x.sqlite").chmod(0)
        try:
            for name in ("new.sqlite", "x.sqlite"):
                with pytest.raises(StoreError, match="cannot be (used|opened)") as caught:
                    Store.open(f"sqlite:///{tmp_path}/{name}", vault)
                assert "writable for you" in caught.value.remedy
            told.put("both refused")
        except BaseException as error:
            told.put(repr(error))

    context = multiprocessing.get_context("fork")
    told = context.Queue()
    process = context.Process(target=attempt)
    process.start()
    assert told.get(timeout=30) == "both refused"
    process.join(30)
    tmp_path.chmod(0o700)


def test_open_other_file_is_refused_and_left_alone(tmp_path, vault):
    path = tmp_path / "letter.txt"
    text = "this is a letter, not a database\n" * 100
    path.write_text(text)
    with pytest.raises(StoreError, match="not a database"):
        Store.open(f"sqlite:///{path}", vault)
    assert path.read_text() == text


def test_damaged_file_is_a_store_error(store, url, vault):
    for number in range(50):
        add(store, f"n{number}")
    store.close()
    path = url.removeprefix("sqlite:///")
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (os.path.getsize(path) - 4096))
    with pytest.raises(StoreError, match="damaged"):
        Store.open(url, vault).deployments.list()


def test_full_disk_is_a_store_error_and_nothing_is_half_written(store):
    record = add(store)
    engine = store._database._connections().engine
    engine.dispose()

    @event.listens_for(engine, "connect")
    def connect(raw, _):
        pages = raw.execute("PRAGMA page_count").fetchone()[0]
        raw.execute(f"PRAGMA max_page_count={pages}")

    with pytest.raises(StoreError, match="disk of the database is full") as caught:
        add(store, "b" * 100_000)
    assert "free some space" in caught.value.remedy
    assert store.deployments.list() == [record]


def test_busy_database_is_waited_for(store, url):
    import threading
    import time

    other = sqlite3.connect(url.removeprefix("sqlite:///"), check_same_thread=False)
    other.isolation_level = None
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.5, lambda: other.execute("COMMIT"))
    timer.start()
    before = time.monotonic()
    record = add(store)
    assert time.monotonic() - before > 0.3
    timer.join()
    other.close()
    assert store.deployments.get(record.uuid) == record


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://h/d", "postgresql+psycopg2://h/d",
     "postgresql://me:hidden@h:port/d", "\x00", "sqlite:///a\x00b"],
)
def test_open_bad_url_says_how_to_write_one_and_shows_no_password(url, vault):
    with pytest.raises(StoreError) as caught:
        Store.open(url, vault)
    assert "sqlite:///PATH" in caught.value.remedy
    assert "hidden" not in str(caught.value)


def test_postgresql_without_its_driver_names_the_extra(monkeypatch, vault):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match="driver for PostgreSQL") as caught:
        Store.open("postgresql://me@h/d", vault)
    assert "rally_deploy[postgresql]" in caught.value.remedy


def test_list_imports_neither_sqlalchemy_nor_alembic_nor_cryptography(store, url):
    record = add(store)
    store.close()
    code = (
        "import sys\n"
        "from rally_deploy.store import Store\n"
        "from rally_deploy.vault import Vault\n"
        f"store = Store.open({url!r}, Vault())\n"
        "print(store.deployments.list()[0].uuid)\n"
        "store.close()\n"
        "heavy = ('sqlalchemy', 'alembic', 'cryptography', 'psycopg', 'paramiko', 'click')\n"
        "print([name for name in heavy if name in sys.modules])\n"
    )
    shown = subprocess.check_output([sys.executable, "-c", code], text=True).split("\n")
    assert shown == [record.uuid, "[]", ""]


def test_all_but_a_listing_imports_no_alembic(store, url):
    store.close()
    code = (
        "import sys\n"
        "from rally_deploy.store import Store\n"
        "from rally_deploy.vault import Vault\n"
        f"store = Store.open({url!r}, Vault())\n"
        "store.resources.all_alive()\n"
        "print([name for name in ('alembic', 'cryptography', 'psycopg') if name in sys.modules])\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


def test_list_the_quick_way_equals_the_usual_way(store, monkeypatch):
    top = add(store, "top")
    add(store, "child", parent=top.uuid)
    quick = store.deployments.list(), store.deployments.list(all=True)
    monkeypatch.setattr(store._database, "_quick_path", "")
    assert (store.deployments.list(), store.deployments.list(all=True)) == quick
    assert len(quick[1]) == 2


def test_file_removed_while_open_is_seen_as_missing_rows_not_as_a_crash(store, url):
    record = add(store)
    store.close()
    os.unlink(url.removeprefix("sqlite:///"))
    with pytest.raises((NoSuchDeployment, StoreError)):
        store.deployments.get(record.uuid)
