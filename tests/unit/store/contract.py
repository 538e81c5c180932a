"""What a store does, over any database: inherit this, give ``store``, ``url`` and ``vault``."""

import uuid as uuids
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from rally_deploy.errors import (
    DeploymentHeld,
    IllegalTransition,
    LeftOver,
    NoSuchDeployment,
    ResourceConflict,
    StoreError,
    UsageError,
)
from rally_deploy.events import Event, Kind
from rally_deploy.model import MOVING, TRANSITIONS, ResourceState, Server, State

ME = "here:boot:1:100:5"
OTHER = "there:boot:1:200:6"
CONFIG = {"type": "FakeEngine", "password": "${env:PASSWORD}", "nodes": [1, {"a": None}]}


def add(store, name="cloud", owner=ME, lease_s=30.0, parent=None, uuid=None):
    return store.deployments.add(
        uuid or str(uuids.uuid4()), name, "FakeEngine", CONFIG, owner=owner, lease_s=lease_s,
        parent_uuid=parent,
    )


def bring(store, record, *states, owner=ME, lease_s=30.0):
    for state in states:
        record = store.deployments.move(record.uuid, state, owner=owner, lease_s=lease_s)
    return record


def make_ready(store, record):
    return bring(store, record, State.PROVISIONING, State.DEPLOYING, State.READY)


def make_destroyed(store, record):
    return bring(store, record, State.DESTROYING, State.DESTROYED)


def event(record, kind=Kind.NOTE, title="it goes on", **fields):
    return Event(record.uuid, datetime.now(timezone.utc), kind, title, **fields)


class DeploymentRows:
    def test_add_new_name_is_new_and_held(self, store):
        before = datetime.now(timezone.utc) - timedelta(seconds=5)
        record = add(store)
        assert (record.state, record.lease_owner, record.engine) == (State.NEW, ME, "FakeEngine")
        assert before < record.created_at < record.lease_expires_at
        assert record.started_at is None
        assert record.ready_at is None
        assert store.deployments.get(record.uuid) == record

    def test_add_live_name_again_is_a_usage_error(self, store):
        add(store)
        with pytest.raises(UsageError, match="'cloud' already"):
            add(store)
        assert len(store.deployments.list(all=True)) == 1

    def test_add_name_of_a_destroyed_one_succeeds(self, store):
        make_destroyed(store, add(store))
        assert add(store).name == "cloud"

    def test_add_child_may_have_a_name_that_is_taken_elsewhere(self, store):
        first, second = add(store, "a"), add(store, "b")
        add(store, "node", parent=first.uuid)
        child = add(store, "node", parent=second.uuid)
        assert [c.uuid for c in store.deployments.children(second.uuid)] == [child.uuid]
        with pytest.raises(UsageError):
            add(store, "node", parent=second.uuid)

    def test_add_odd_names_come_back_as_they_are(self, store):
        for name in ("ü%_'\"\\", "a" * 5000, "\N{ROCKET}", "x; DROP TABLE deployments"):
            assert store.deployments.find(add(store, name).uuid).name == name

    def test_config_comes_back_as_it_was_given(self, store):
        assert store.deployments.config(add(store).uuid) == CONFIG

    def test_get_and_config_of_unknown_uuid_name_it(self, store):
        for call in (store.deployments.get, store.deployments.config, store.deployments.find):
            with pytest.raises(NoSuchDeployment, match="0000"):
                call("0000")

    def test_list_hides_destroyed_ones_and_children_unless_asked(self, store):
        top, gone = add(store, "top"), add(store, "gone")
        child = add(store, "child", parent=top.uuid)
        make_destroyed(store, gone)
        assert [r.uuid for r in store.deployments.list()] == [top.uuid]
        everything = store.deployments.list(all=True)
        assert [r.uuid for r in everything] == [top.uuid, gone.uuid, child.uuid]
        assert everything[0] == store.deployments.get(top.uuid)

    def test_forget_secrets_leaves_the_config(self, store):
        record = add(store)
        store.secrets.put_if_absent(record.uuid, "p", "x")
        store.servers.replace(record.uuid, [Server("h")])
        store.credentials.replace(record.uuid, {"admin": None})
        store.host_keys.pin(record.uuid, "h:22", "ssh-ed25519 AAAA")
        store.deployments.forget_secrets(record.uuid)
        assert store.secrets.get(record.uuid, "p") is None
        assert store.servers.list(record.uuid) == []
        assert store.credentials.get(record.uuid) is None
        assert store.host_keys.get(record.uuid, "h:22") is None
        assert store.deployments.config(record.uuid) == CONFIG


class Finding:
    def test_find_by_name_uuid_and_beginning(self, store):
        record = add(store, uuid="abcdef00-0000-4000-8000-000000000000")
        for wanted in ("cloud", record.uuid, record.uuid.upper(), "abcdef", "a"):
            assert store.deployments.find(wanted).uuid == record.uuid

    def test_find_ambiguous_beginning_names_the_candidates(self, store):
        one = add(store, "one", uuid="abcdef00-0000-4000-8000-000000000000")
        two = add(store, "two", uuid="abcdef11-0000-4000-8000-000000000000")
        with pytest.raises(NoSuchDeployment) as caught:
            store.deployments.find("abcdef")
        assert one.uuid in caught.value.details
        assert two.uuid in caught.value.details

    def test_find_name_prefers_the_live_one(self, store):
        make_destroyed(store, add(store))
        live = add(store)
        assert store.deployments.find("cloud").uuid == live.uuid

    def test_find_name_of_destroyed_ones_gives_the_last(self, store):
        make_destroyed(store, add(store))
        last = make_destroyed(store, add(store))
        assert store.deployments.find("cloud").uuid == last.uuid

    def test_find_name_that_is_another_ones_beginning_gives_the_name(self, store):
        add(store, "other", uuid="abcdef00-0000-4000-8000-000000000000")
        named = add(store, "abcdef")
        assert store.deployments.find("abcdef").uuid == named.uuid

    @pytest.mark.parametrize(
        "wanted", ["", "%", "_", "a%", "'", "\x01", "\0", "\udcff", "g" * 300]
    )
    def test_find_odd_text_finds_nothing(self, store, wanted):
        add(store, uuid="abcdef00-0000-4000-8000-000000000000")
        with pytest.raises(NoSuchDeployment):
            store.deployments.find(wanted)


def _place(store, state):
    """A deployment in this state, held by nobody; straight into the row."""
    from sqlalchemy import update

    from rally_deploy.store import schema

    record = add(store, str(uuids.uuid4()))
    store._database.write(lambda c: c.execute(
        update(schema.deployments).where(schema.deployments.c.uuid == record.uuid)
        .values(state=state.value, lease_owner="", lease_expires_at=None)
    ))
    return record


class Moving:
    @pytest.mark.parametrize("source", list(State))
    def test_move_follows_the_table_of_transitions(self, store, source):
        for target in State:
            record = _place(store, source)
            if target in TRANSITIONS[source]:
                moved = bring(store, record, target)
                assert moved.state is target
                assert moved.lease_owner == (ME if target in MOVING else "")
                assert (moved.lease_expires_at is not None) == (target in MOVING)
            else:
                with pytest.raises(IllegalTransition):
                    bring(store, record, target)
                assert store.deployments.get(record.uuid).state is source

    def test_move_held_by_another_is_refused_and_changes_nothing(self, store):
        record = bring(store, add(store), State.PROVISIONING)
        with pytest.raises(DeploymentHeld, match="cloud is held"):
            bring(store, record, State.DESTROYING, owner=OTHER)
        assert store.deployments.get(record.uuid) == record

    def test_move_with_expired_lease_takes_over(self, store):
        record = bring(store, add(store), State.PROVISIONING, lease_s=-1)
        moved = bring(store, record, State.DESTROYING, owner=OTHER)
        assert moved.lease_owner == OTHER

    def test_move_of_a_dead_process_takes_over_at_once(self, store, dead_owner):
        record = bring(store, add(store, owner=dead_owner), State.PROVISIONING, owner=dead_owner,
                       lease_s=3600)
        assert bring(store, record, State.DESTROYING).lease_owner == ME

    def test_move_after_being_taken_over_is_refused(self, store):
        record = bring(store, add(store), State.PROVISIONING, lease_s=-1)
        bring(store, record, State.DESTROYING, owner=OTHER)
        with pytest.raises(DeploymentHeld):
            bring(store, record, State.FAILED)

    def test_move_sets_times_and_error(self, store):
        record = bring(store, add(store), State.PROVISIONING)
        assert record.started_at is not None
        failed = store.deployments.move(
            record.uuid, State.FAILED, owner=ME, lease_s=30, error="no route\nTry: that"
        )
        assert failed.error == "no route\nTry: that"
        ready = make_ready(store, failed)
        assert ready.error == ""
        assert ready.ready_at >= ready.started_at > record.started_at
        again = bring(store, make_destroyed(store, ready), State.PROVISIONING)
        assert again.ready_at is None

    def test_move_unknown_uuid_is_no_such_deployment(self, store):
        with pytest.raises(NoSuchDeployment):
            store.deployments.move("nope", State.FAILED, owner=ME, lease_s=30)

    def test_recreate_under_a_name_that_was_given_away_is_a_usage_error(self, store):
        old = make_destroyed(store, add(store))
        add(store)
        with pytest.raises(UsageError, match="already"):
            bring(store, old, State.PROVISIONING)
        assert store.deployments.get(old.uuid).state is State.DESTROYED

    def test_renew_prolongs_only_our_own(self, store):
        mine, other = add(store, "a", lease_s=1), add(store, "b", owner=OTHER, lease_s=1)
        assert store.deployments.renew(ME, 1000) is False
        assert store.deployments.get(mine.uuid).lease_expires_at > (
            mine.lease_expires_at + timedelta(seconds=900)
        )
        assert store.deployments.get(other.uuid).lease_expires_at == other.lease_expires_at


class Cancelling:
    def test_request_cancel_is_told_to_the_holder_only(self, store):
        record = bring(store, add(store), State.PROVISIONING)
        add(store, "b", owner=OTHER)
        store.deployments.request_cancel(record.uuid)
        assert store.deployments.get(record.uuid).cancel_requested is True
        assert store.deployments.renew(ME, 30) is True
        assert store.deployments.renew(OTHER, 30) is False

    def test_request_survives_the_holders_own_move_and_ends_with_the_hold(self, store):
        record = add(store)
        store.deployments.request_cancel(record.uuid)
        assert bring(store, record, State.PROVISIONING).cancel_requested is True
        assert bring(store, record, State.CANCELLED).cancel_requested is False

    def test_request_is_not_inherited_by_a_new_holder(self, store):
        record = bring(store, add(store), State.PROVISIONING, lease_s=-1)
        store.deployments.request_cancel(record.uuid)
        assert bring(store, record, State.DESTROYING, owner=OTHER).cancel_requested is False

    def test_request_of_a_ready_one_does_nothing(self, store):
        record = make_ready(store, add(store))
        assert store.deployments.request_cancel(record.uuid) == record

    def test_cancel_unheld_of_a_dead_process_is_cancelled(self, store, dead_owner):
        record = add(store, owner=dead_owner, lease_s=3600)
        cancelled = store.deployments.cancel_unheld(record.uuid)
        assert (cancelled.state, cancelled.lease_owner) == (State.CANCELLED, "")
        assert "had ended" in cancelled.error

    def test_cancel_unheld_of_a_held_one_is_refused(self, store):
        record = add(store)
        with pytest.raises(DeploymentHeld):
            store.deployments.cancel_unheld(record.uuid)

    def test_cancel_unheld_of_a_ready_one_is_illegal(self, store):
        with pytest.raises(IllegalTransition):
            store.deployments.cancel_unheld(make_ready(store, add(store)).uuid)


def intend(store, record, key="c0", **fields):
    return store.resources.intend(
        record.uuid, fields.pop("owner", "engine"), fields.pop("kind", "box"), key, f"rd-{key}",
        **fields,
    )


class ResourceRows:
    def test_intend_then_live_then_gone(self, store):
        record = add(store)
        host = Server("h", password="secret", jump=Server("j", key="/k"), resource_id=7)
        row = intend(store, record, host=host, facts={"a": [1]})
        assert (row.state, row.host, row.facts) == (ResourceState.INTENDED, host, {"a": [1]})
        live = store.resources.set_state(row.id, ResourceState.LIVE, {"b": 2})
        assert (live.state, live.facts, live.host) == (ResourceState.LIVE, {"b": 2}, host)
        assert store.resources.set_state(row.id, ResourceState.RELEASING).facts == {"b": 2}
        store.resources.mark_gone(row.id)
        assert store.resources.list(record.uuid, alive=True) == []
        assert [r.state for r in store.resources.list(record.uuid)] == [ResourceState.GONE]

    def test_intend_same_key_twice_is_a_conflict_until_it_is_gone(self, store):
        record = add(store)
        row = intend(store, record)
        with pytest.raises(ResourceConflict, match="box 'c0'"):
            intend(store, record)
        intend(store, record, owner="engine.provider")
        intend(store, record, kind="tunnel")
        store.resources.mark_gone(row.id)
        assert intend(store, record).id > row.id

    def test_intend_for_no_deployment_is_an_error(self, store):
        record = add(store)
        with pytest.raises(StoreError):
            store.resources.intend("nope", "engine", "box", "k", "n")
        assert store.resources.list(record.uuid) == []

    def test_set_state_of_no_resource_is_an_error(self, store):
        with pytest.raises(StoreError, match="no resource 99"):
            store.resources.set_state(99, ResourceState.LIVE)

    def test_mark_gone_takes_all_inside_along(self, store):
        record, other = add(store), add(store, "other")
        box = intend(store, record, "box")
        inner = intend(store, record, "inner", inside_id=box.id)
        intend(store, other, "innermost", inside_id=inner.id)
        beside = intend(store, record, "beside")
        store.resources.mark_gone(box.id)
        assert [r.id for r in store.resources.all_alive()] == [beside.id]

    def test_list_filters_by_owner_kind_and_life(self, store):
        record = add(store)
        a = intend(store, record, "a")
        b = intend(store, record, "b", owner="engine.provider")
        c = intend(store, record, "c", kind="tunnel")
        store.resources.mark_gone(a.id)
        listed = store.resources.list
        assert [r.id for r in listed(record.uuid)] == [a.id, b.id, c.id]
        assert [r.id for r in listed(record.uuid, owner="engine")] == [a.id, c.id]
        assert [r.id for r in listed(record.uuid, owner="engine", alive=True)] == [c.id]
        assert [r.id for r in listed(record.uuid, kind="box")] == [a.id, b.id]

    def test_assert_all_gone_names_what_is_left_of_children_too(self, store):
        record = add(store)
        child = add(store, "node", parent=record.uuid)
        row = intend(store, child, "left", host=Server("h", name="node-7"))
        with pytest.raises(LeftOver) as caught:
            store.resources.assert_all_gone(record.uuid)
        assert "box rd-left on node-7 (intended)" in caught.value.details
        store.resources.mark_gone(row.id)
        store.resources.assert_all_gone(record.uuid)
        assert store.resources.all_alive() == []

    def test_claim_takes_all_places_or_none(self, store):
        first, second = add(store, "first"), add(store, "second")

        def claim(record, *keys, name="pool", at_most=3):
            return store.resources.claim(record.uuid, "engine", "place", keys, name, at_most)

        assert claim(first, "a", "b")
        assert not claim(second, "a", "b")
        assert store.resources.list(second.uuid) == []
        assert claim(second, "a")
        assert claim(first, "a", "b"), "places that are held already need no free ones"
        assert claim(second, "b", name="another pool")
        row = store.resources.list(first.uuid)[0]
        assert (row.kind, row.key, row.name, row.state) == (
            "place", "a", "pool", ResourceState.LIVE)
        store.resources.mark_gone(row.id)
        assert claim(second, "a", "c")
        assert not claim(first, "a", "b")

    def test_claims_at_the_same_time_never_give_more_places_than_there_are(self, store):
        records = [add(store, f"n{number}") for number in range(20)]

        def claim(record):
            return store.resources.claim(record.uuid, "engine", "place", ["0"], "pool", 7)

        with ThreadPoolExecutor(20) as pool:
            assert sum(pool.map(claim, records)) == 7
        taken = [row for row in store.resources.all_alive() if row.kind == "place"]
        assert len(taken) == 7


class Sealed:
    def test_servers_replace_keeps_order_and_all_fields(self, store):
        record = add(store)
        servers = [
            Server("a", user="u", port=2222, name="n", password="p", become=True),
            Server("b", private_key="k", jump=Server("c"), facts={"bridge": "br0"}),
            Server("localhost", connection="local", resource_id=3),
        ]
        store.servers.replace(record.uuid, [Server("old")])
        store.servers.replace(record.uuid, servers)
        found = store.servers.list(record.uuid)
        assert found == servers
        assert found[1].facts == {"bridge": "br0"}
        store.servers.replace(record.uuid, [])
        assert store.servers.list(record.uuid) == []

    def test_credentials_replace_and_get(self, store):
        record = add(store)
        assert store.credentials.get(record.uuid) is None
        store.credentials.replace(record.uuid, {"admin": None})
        wanted = {"admin": {"password": "s"}, "users": [], "services": {"identity": "u"}}
        store.credentials.replace(record.uuid, wanted)
        assert store.credentials.get(record.uuid) == wanted

    def test_secret_put_twice_keeps_the_first(self, store):
        record = add(store)
        assert store.secrets.get(record.uuid, "p") is None
        assert store.secrets.put_if_absent(record.uuid, "p", "first") == "first"
        assert store.secrets.put_if_absent(record.uuid, "p", "second") == "first"
        assert store.secrets.get(record.uuid, "p") == "first"

    def test_secret_put_by_many_threads_is_one(self, store):
        record = add(store)
        with ThreadPoolExecutor(20) as pool:
            found = set(pool.map(
                lambda n: store.secrets.put_if_absent(record.uuid, "p", str(n)), range(40)
            ))
        assert len(found) == 1

    def test_host_key_pinned_first_stays(self, store):
        record = add(store)
        assert store.host_keys.get(record.uuid, "h:22") is None
        assert store.host_keys.pin(record.uuid, "h:22", "ssh-ed25519 A") == "ssh-ed25519 A"
        assert store.host_keys.pin(record.uuid, "h:22", "ssh-ed25519 B") == "ssh-ed25519 A"
        assert store.host_keys.get(record.uuid, "h:22") == "ssh-ed25519 A"


class EventRows:
    def test_add_gives_rising_ids_and_list_goes_on_after_one(self, store):
        record, other = add(store), add(store, "other")
        first = store.events.add(event(record, Kind.STEP_DONE, "install", server="s", step="1",
                                       parent_step="0", elapsed_s=1.25, detail="d"))
        store.events.add(event(other))
        last = store.events.add(event(record))
        assert store.events.list(record.uuid) == [first, last]
        assert store.events.list(record.uuid, after_id=first.id) == [last]
        assert store.events.list(record.uuid, after_id=last.id) == []

    def test_list_with_children_has_those_of_grandchildren(self, store):
        record = add(store)
        child = add(store, "c", parent=record.uuid)
        grandchild = add(store, "g", parent=child.uuid)
        added = [store.events.add(event(r)) for r in (grandchild, record, child)]
        assert store.events.list(record.uuid, children=True) == added
        assert store.events.list(record.uuid) == [added[1]]

    def test_add_bytes_that_no_database_takes_are_replaced(self, store):
        record = add(store, "n\0\udcff")
        added = store.events.add(event(record, title="a\0b", detail="c\udc80d", server="\0"))
        assert (added.title, added.detail, added.server) == ("a\ufffdb", "c?d", "\ufffd")
        assert store.events.list(record.uuid) == [added]
        moved = store.deployments.move(record.uuid, State.FAILED, owner=ME, lease_s=1, error="\0")
        assert moved.error == "\ufffd"
        assert intend(store, record, "k\0").key == "k\ufffd"
        assert store.deployments.find("n\0\udcff").uuid == record.uuid

    def test_follow_while_many_threads_add_misses_none(self, store):
        record = add(store)
        seen = []
        with ThreadPoolExecutor(20) as pool:
            added = [pool.submit(store.events.add, event(record, title=str(n))) for n in range(99)]
            ended = False
            while not ended:
                ended = all(future.done() for future in added)
                last = seen[-1].id if seen else 0
                seen += store.events.list(record.uuid, after_id=last)
        assert sorted(int(e.title) for e in seen) == list(range(99))


class Opening:
    """Needs ``url`` beside ``store``: a second process's view."""

    def test_all_is_there_after_reopening(self, store, url, vault):
        from rally_deploy.store import Store

        record = add(store)
        intend(store, record, host=Server("h"))
        again = Store.open(url, vault)
        assert again.deployments.list() == [record]
        assert again.resources.list(record.uuid) == store.resources.list(record.uuid)
        again.close()

    def test_many_threads_write_at_once_without_loss(self, store):
        record = add(store)
        with ThreadPoolExecutor(50) as pool:
            rows = list(pool.map(lambda n: intend(store, record, f"k{n}"), range(100)))
        assert {r.id for r in store.resources.list(record.uuid)} == {r.id for r in rows}

    def test_secrets_are_not_in_clear_in_any_table(self, store):
        from sqlalchemy import select

        from rally_deploy.store import schema

        record = store.deployments.add(
            str(uuids.uuid4()), "n", "E", {"p": "SECRET"}, owner=ME, lease_s=30
        )
        server = Server("h", password="SECRET", private_key="SECRET")
        intend(store, record, host=server)
        store.servers.replace(record.uuid, [server])
        store.secrets.put_if_absent(record.uuid, "n", "SECRET")
        store.credentials.replace(record.uuid, {"admin": {"password": "SECRET"}})
        for table in schema.metadata.sorted_tables:
            query = select(table)
            rows = store._database.read(lambda c, query=query: c.execute(query).all())
            assert "SECRET" not in str(rows), table.name

    def test_tables_after_all_revisions_are_those_of_the_schema(self, store):
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        from rally_deploy.store import schema
        from rally_deploy.store.database import VERSION_TABLE

        def differences(connection):
            context = MigrationContext.configure(
                connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
            )
            return compare_metadata(context, schema.metadata)

        assert store._database.read(differences) == []


    def test_living_resources_are_found_by_an_index(self, store):
        from sqlalchemy import select

        from rally_deploy.store import resources, schema

        query = str(select(schema.resources.c.id).where(resources._alive).compile(
            dialect=store._database._connections().engine.dialect
        ))
        # A parameter there would hide from the database that its partial index fits.
        assert "state != 'gone'" in query


class Upgrading:
    """Needs ``empty_url``: a database without any table."""

    def test_older_revision_is_upgraded_in_place_with_its_rows(self, empty_url, vault):
        from rally_deploy.store import Store

        first_revision(empty_url, vault)
        store = Store.open(empty_url, vault)
        found = store.deployments.find("old")
        assert found.state is State.READY
        assert store.deployments.config(found.uuid) == {"type": "FakeEngine"}
        assert store.host_keys.pin(found.uuid, "h:22", "k") == "k"
        assert revision_of(store) == "0002"
        store.close()

    def test_newer_revision_is_refused_and_left_alone(self, empty_url, vault):
        from sqlalchemy import text

        from rally_deploy.store import Store

        store = Store.open(empty_url, vault)
        store._database.write(
            lambda c: c.execute(text("UPDATE rdeploy_revision SET version_num = '9999'"))
        )
        store.close()
        with pytest.raises(StoreError, match="newer rdeploy") as caught:
            Store.open(empty_url, vault)
        assert "9999" in caught.value.details
        assert "upgrade" in caught.value.remedy

    def test_database_of_something_else_is_refused_and_left_alone(self, empty_url, vault):
        from rally_deploy.store import Store
        from rally_deploy.store.connections import Connections

        raw = Connections.to(empty_url)
        raw.run(lambda c: c.exec_driver_sql("CREATE TABLE events (x integer)"), write=True)
        with pytest.raises(StoreError, match="something else") as caught:
            Store.open(empty_url, vault)
        assert "events" in caught.value.details
        assert raw.run(lambda c: c.exec_driver_sql("SELECT x FROM events").all(), False) == []
        raw.close()


class StoreContract(
    DeploymentRows, Finding, Moving, Cancelling, ResourceRows, Sealed, EventRows, Opening,
    Upgrading,
):
    """All of it."""


def revision_of(store):
    return store._database.read(
        lambda c: c.exec_driver_sql("SELECT version_num FROM rdeploy_revision").scalar()
    )


def first_revision(url, vault):
    """A database as the first release left it, with one deployment in it."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text

    from rally_deploy.store import migration
    from rally_deploy.store.connections import Connections

    raw = Connections.to(url)

    def fill(connection):
        config = Config()
        config.set_main_option(
            "script_location", str(migration.__file__).replace("migration.py", "migrations")
        )
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(text(
            "INSERT INTO deployments (uuid, name, state, engine, created_at, updated_at, error,"
            " lease_owner, cancel_requested) VALUES"
            " ('11111111-0000-4000-8000-000000000000', 'old', 'ready', 'FakeEngine', 1, 1, '',"
            " '', false)"
        ))
        connection.execute(
            text("INSERT INTO configs VALUES ('11111111-0000-4000-8000-000000000000', :sealed)"),
            {"sealed": vault.encrypt('{"type": "FakeEngine"}')},
        )

    raw.run(fill, write=True)
    raw.close()
