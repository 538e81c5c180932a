"""The SQLite file on a real disk that is full."""

import sqlite3
import subprocess
import uuid as uuids
from datetime import datetime, timezone

import pytest

from rally_deploy.errors import StoreError
from rally_deploy.events import Event, Kind
from rally_deploy.store import Store
from tests.functional.conftest import need
from tests.unit.store.conftest import vault  # noqa: F401

pytestmark = pytest.mark.functional


@pytest.fixture
def small_disk(tmp_path):
    need("a file system of its own", "mount", "umount")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_full_disk_is_told_and_after_it_was_freed_all_goes_on(small_disk, vault):  # noqa: F811
    path, filler = small_disk / "rdeploy.sqlite", small_disk / "filler"
    store, uuid, stored = Store.open(f"sqlite:///{path}", vault), str(uuids.uuid4()), []
    store.deployments.add(uuid, "n", "E", {}, owner="o", lease_s=30)
    filler.write_bytes(b"x" * 100_000)

    def note(number):
        event = Event(uuid, datetime.now(timezone.utc), Kind.NOTE, f"{number} " + "y" * 2000)
        stored.append(store.events.add(event))

    with pytest.raises(StoreError, match="is full") as caught:
        list(map(note, range(1000)))
    assert "free some space" in caught.value.remedy
    assert store.events.list(uuid) == stored
    filler.unlink()
    note("again")
    store.close()
    store = Store.open(f"sqlite:///{path}", vault)
    assert store.events.list(uuid) == stored
    store.close()
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()


def test_new_database_on_a_full_disk_is_a_store_error(small_disk, vault):  # noqa: F811
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * 10_000_000)
    with pytest.raises(StoreError, match="full"):
        Store.open(f"sqlite:///{small_disk / 'rdeploy.sqlite'}", vault)
    filler.unlink()
    store = Store.open(f"sqlite:///{small_disk / 'rdeploy.sqlite'}", vault)
    assert store.deployments.list() == []
    store.close()
