"""Many real processes on one database at the same time, and processes killed in mid-write."""

import multiprocessing
import os
import queue
import random
import signal
import sqlite3
import time
import traceback
import uuid as uuids
from collections import Counter
from datetime import datetime, timezone

import pytest

from rally_deploy import lease
from rally_deploy.errors import DeploymentHeld, IllegalTransition, UsageError
from rally_deploy.events import Event, Kind
from rally_deploy.model import ResourceState, State
from rally_deploy.store import Store
from tests.functional.postgresql import running_server
from tests.unit.store.conftest import vault  # noqa: F401
from tests.unit.store.contract import first_revision, revision_of

pytestmark = pytest.mark.functional

PROCESSES = 30
DEPLOYMENTS = 4
RESOURCES = 3
PRIZES = 15
fork = multiprocessing.get_context("fork")


@pytest.fixture(scope="module")
def server():
    with running_server("a real server") as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def url(request, tmp_path):
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rdeploy.sqlite'}"
    return request.getfixturevalue("server").new_database()


def at_once(work, *arguments, processes=PROCESSES):
    """Run ``work(number, *arguments)`` in that many processes, all let go at the same moment.

    Returns what each returned; a failure of one is the test's, with its traceback.
    """
    results, gate = fork.Queue(), fork.Barrier(processes)

    def body(number):
        try:
            gate.wait(60)
            results.put((work(number, *arguments), None))
        except BaseException:
            results.put((None, traceback.format_exc()))

    started = [fork.Process(target=body, args=(n,), daemon=True) for n in range(processes)]
    for process in started:
        process.start()
    try:
        ended = [results.get(timeout=240) for _ in started]
    except queue.Empty:
        pytest.fail("a process did not end within 240 s")
    finally:
        for process in started:
            process.join(10)
            if process.is_alive():
                process.kill()
    failures = [text for _, text in ended if text]
    assert not failures, failures[0]
    return [result for result, _ in ended]


def _life(store, me, name):
    """A whole deployment: made, its resources live, ready, and every second one destroyed."""
    uuid = str(uuids.uuid4())
    deployments = store.deployments
    deployments.add(uuid, name, "E", {"name": name}, owner=me, lease_s=30)
    deployments.move(uuid, State.PROVISIONING, owner=me, lease_s=30)
    rows = [
        store.resources.intend(uuid, "engine", "box", f"k{n}", f"rd-{n}")
        for n in range(RESOURCES)
    ]
    for row in rows:
        store.resources.set_state(row.id, ResourceState.LIVE, {"made": row.name})
        store.events.add(Event(uuid, datetime.now(timezone.utc), Kind.STEP_DONE, row.name))
    deployments.renew(me, 30)
    deployments.move(uuid, State.DEPLOYING, owner=me, lease_s=30)
    store.secrets.put_if_absent(uuid, "p", name)
    store.credentials.replace(uuid, {"admin": {"password": name}})
    deployments.move(uuid, State.READY, owner=me, lease_s=30)
    if name.endswith(("0", "2")):
        return uuid
    deployments.move(uuid, State.DESTROYING, owner=me, lease_s=30)
    for row in rows:
        store.resources.mark_gone(row.id)
    store.resources.assert_all_gone(uuid)
    deployments.forget_secrets(uuid)
    deployments.move(uuid, State.DESTROYED, owner=me, lease_s=30)
    return uuid


def _live_in_one_process(number, url, vault):  # noqa: F811
    """Opens the database, which is empty at first, so that all of them race to make it."""
    store, me = Store.open(url, vault), lease.owner_id()
    made = [_life(store, me, f"{number}-{n}") for n in range(DEPLOYMENTS)]
    try:
        store.deployments.add(str(uuids.uuid4()), "the-one", "E", {}, owner=me, lease_s=30)
        made.append("the-one")
    except UsageError:
        pass
    store.close()
    return made


def test_many_processes_create_and_destroy_and_lose_nothing(url, vault):  # noqa: F811
    made = at_once(_live_in_one_process, url, vault)
    store = Store.open(url, vault)
    uuids_made = {uuid for one in made for uuid in one if uuid != "the-one"}
    assert len(uuids_made) == PROCESSES * DEPLOYMENTS
    assert sum("the-one" in one for one in made) == 1
    rows = [row for row in store.deployments.list(all=True) if row.name != "the-one"]
    assert {row.uuid for row in rows} == uuids_made
    kept = {row.uuid for row in rows if row.state is State.READY}
    assert Counter(row.state for row in rows) == {
        State.READY: PROCESSES * DEPLOYMENTS // 2, State.DESTROYED: PROCESSES * DEPLOYMENTS // 2,
    }
    assert Counter(r.deployment_uuid for r in store.resources.all_alive()) == dict.fromkeys(
        kept, RESOURCES
    )
    for row in rows:
        assert store.deployments.config(row.uuid) == {"name": row.name}
        assert len(store.events.list(row.uuid)) == RESOURCES
        assert store.secrets.get(row.uuid, "p") == (row.name if row.uuid in kept else None)
    store.close()


def _grab(number, url, vault, prizes):  # noqa: F811
    """Try to destroy each; returns those that we got to hold."""
    store, me = Store.open(url, vault), lease.owner_id()
    held = []
    order = random.Random(number).sample(prizes, len(prizes))
    for uuid in order:
        try:
            store.deployments.move(uuid, State.DESTROYING, owner=me, lease_s=600)
            held.append(uuid)
        except (DeploymentHeld, IllegalTransition):
            continue
    # Nobody ends before all have tried: an ended process' deployment may be taken over.
    store.deployments.add(str(uuids.uuid4()), f"done-{number}", "E", {}, owner=me, lease_s=600)
    end = time.monotonic() + 200
    while time.monotonic() < end:
        done = [r for r in store.deployments.list() if r.name.startswith("done-")]
        if len(done) == PROCESSES:
            break
        time.sleep(0.2)
    store.close()
    return held


@pytest.mark.parametrize("before", ["unheld", "dead", "expired"])
def test_processes_racing_for_one_deployment_only_one_holds_it(url, vault, before):  # noqa: F811
    store, prizes = Store.open(url, vault), []
    dead = at_once(lambda number: lease.owner_id(), processes=1)[0]
    for number in range(PRIZES):
        uuid = str(uuids.uuid4())
        owner = "elsewhere:b:n:1:1" if before == "expired" else dead
        lease_s = -1 if before == "expired" else 600
        store.deployments.add(uuid, f"p{number}", "E", {}, owner=owner, lease_s=lease_s)
        to = State.FAILED if before == "unheld" else State.PROVISIONING
        store.deployments.move(uuid, to, owner=owner, lease_s=lease_s)
        prizes.append(uuid)
    store.close()
    held = at_once(_grab, url, vault, prizes)
    assert Counter(uuid for one in held for uuid in one) == dict.fromkeys(prizes, 1)


def _open_and_look(number, url, vault):  # noqa: F811
    store = Store.open(url, vault)
    found = store.deployments.find("old").name, revision_of(store)
    store.close()
    return found


def test_many_processes_upgrade_an_old_database_at_once(url, vault):  # noqa: F811
    first_revision(url, vault)
    assert set(at_once(_open_and_look, url, vault)) == {("old", "0002")}


def _put_one_secret(number, url, vault, uuid):  # noqa: F811
    store = Store.open(url, vault)
    stored = store.secrets.put_if_absent(uuid, "p", str(number))
    pinned = store.host_keys.pin(uuid, "h", str(number))
    store.close()
    return stored, pinned


def test_secret_and_host_key_of_many_processes_are_one(url, vault):  # noqa: F811
    store, uuid = Store.open(url, vault), str(uuids.uuid4())
    store.deployments.add(uuid, "n", "E", {}, owner="o", lease_s=30)
    store.close()
    stored = at_once(_put_one_secret, url, vault, uuid)
    assert len({secret for secret, _ in stored}) == 1
    assert len({key for _, key in stored}) == 1


def _write_until_killed(url, vault, uuid, told):  # noqa: F811
    store = Store.open(url, vault)
    number = 0
    while True:
        number += 1
        row = store.resources.intend(uuid, "engine", "box", f"{os.getpid()}-{number}", "n")
        os.write(told, b"%d\n" % row.id)


def test_writer_killed_in_mid_write_leaves_what_it_was_told(url, vault):  # noqa: F811
    store, uuid, acknowledged = Store.open(url, vault), str(uuids.uuid4()), set()
    store.deployments.add(uuid, "n", "E", {}, owner="o", lease_s=30)
    store.close()
    for _ in range(8):
        reader, told = os.pipe()
        writers = [
            fork.Process(target=_write_until_killed, args=(url, vault, uuid, told), daemon=True)
            for _ in range(3)
        ]
        for writer in writers:
            writer.start()
        os.close(told)
        time.sleep(random.uniform(0.1, 0.5))
        for writer in writers:
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
        with os.fdopen(reader) as file:
            acknowledged |= {int(line) for line in file if line.endswith("\n")}
    store = Store.open(url, vault)
    found = {row.id for row in store.resources.list(uuid)}
    store.close()
    assert acknowledged
    assert acknowledged <= found
    # A row may be committed whose writer did not live to tell: one for each killed writer.
    assert len(found - acknowledged) <= 8 * 3
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as raw:
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


def test_opener_killed_in_mid_upgrade_leaves_a_database_that_opens(url, vault):  # noqa: F811
    first_revision(url, vault)
    for attempt in range(10):
        opener = fork.Process(target=_open_and_look, args=(0, url, vault), daemon=True)
        opener.start()
        time.sleep(0.01 * attempt)
        os.kill(opener.pid, signal.SIGKILL)
        opener.join()
    assert _open_and_look(0, url, vault) == ("old", "0002")
