"""Servers' names in a real BIND, by signed updates; and the same with what can go wrong there."""

import json
import signal

import pytest

from rally_deploy.errors import ResourceConflict
from rally_deploy.hosts.dns import NamesInDns
from rally_deploy.model import Server
from rally_deploy.testing.contract import NoShells, open_deployer, open_deployment
from rally_deploy.testing.fakes import plugin_path
from tests.functional.bind_server import ALGORITHMS, KEY_SECRET, ZONE, Bind, named
from tests.functional.conftest import Rdeploy, need

pytestmark = [pytest.mark.functional, pytest.mark.timeout(300)]

FOREIGN = ["somebody-elses"]


@pytest.fixture(scope="module")
def bind(tmp_path_factory):
    if named() is None:
        need("a real name server", "named")
    server = Bind(tmp_path_factory.mktemp("bind") / "bind")
    try:
        yield server.start()
    finally:
        server.stop()


class Place:
    """An rdeploy whose servers are files, and whose names are real."""

    def __init__(self, folder):
        self.rdeploy = Rdeploy(folder / "home")
        self.rdeploy.env["PYTHONPATH"] = plugin_path(folder / "plugins")
        self.world = str(folder / "world")

    def config(self, block, amount=2):
        return self.rdeploy.config("cloud", {
            "type": "FakeEngine", "world": self.world,
            "provider": {
                "type": "FakeProvider", "world": self.world, "amount": amount, "dns": block},
        })

    def create(self, block, amount=2, **options):
        return self.rdeploy(
            "create", "--name", "it", "--file", self.config(block, amount), **options)

    def destroy(self, **options):
        return self.rdeploy("destroy", "it", "--yes", **options)

    def short(self):
        return self.rdeploy.json("list", "--all")[0]["uuid"][:8]

    def warnings(self):
        return [e["title"] for e in self.events() if e["kind"] == "warning"]

    def events(self):
        lines = self.rdeploy("events", "it", "--json").stdout.splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def names(tmp_path, bind):
    """The names of an empty deployment's servers, each of them required."""
    with open_deployer(tmp_path, shells=NoShells) as deployer:
        entity = open_deployment(deployer, {"type": "FakeEngine", "world": str(tmp_path / "w")})
        defaults = {"key_algorithm": "hmac-sha256", "required": True}
        yield NamesInDns(entity, {**defaults, **bind.block})


def test_names_are_there_after_create_and_gone_after_destroy(bind, place):
    place.create(bind.block)
    short = place.short()
    assert bind.ask(f"rd-{short}-server-0.{ZONE}") == ["192.0.2.1"]
    assert bind.ask(f"rd-{short}-server-1.{ZONE}") == ["192.0.2.2"]
    assert place.warnings() == []
    place.destroy()
    assert bind.names() == FOREIGN


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_key_of_each_algorithm_publishes_and_removes_names(bind, place, algorithm):
    place.create({**bind.block, "key_name": algorithm, "key_algorithm": algorithm}, amount=1)
    assert place.warnings() == []
    assert bind.ask(f"rd-{place.short()}-server-0.{ZONE}") == ["192.0.2.1"]
    place.destroy()
    assert bind.names() == FOREIGN


def test_ipv6_address_becomes_an_aaaa_record(bind, names):
    names.publish([Server(host="2001:db8::7", name="six")])
    assert bind.ask(f"six.{ZONE}", "AAAA") == ["2001:db8::7"]
    names.publish([Server(host="2001:db8::8", name="six")])
    assert bind.ask(f"six.{ZONE}", "AAAA") == ["2001:db8::8"]
    names.release_all()
    assert bind.names() == FOREIGN


def test_name_of_somebody_else_is_told_and_stays_as_it_is(bind, names):
    with pytest.raises(ResourceConflict, match=f"somebody-elses.{ZONE} is in DNS already"):
        names.publish([Server(host="192.0.2.1", name="somebody-elses")])
    names.release_all()
    assert bind.ask(f"somebody-elses.{ZONE}") == ["203.0.113.9"]


def test_wrong_key_is_a_warning_with_the_servers_words(bind, place):
    wrong = "d3Jvbmcgc2VjcmV0IG9mIG5vYm9keSwgdGhpcyBpcyBpdC4="
    place.create({**bind.block, "key_secret": wrong}, amount=1)
    warning, = place.warnings()
    assert "did not take" in warning
    assert "BadSignature" in warning
    assert "look at 'key_name', 'key_secret'" in warning
    place.destroy()
    assert bind.names() == FOREIGN


def test_zone_that_the_server_does_not_have_is_a_warning(bind, place):
    place.create({**bind.block, "zone": "other.example.net"}, amount=1)
    assert "NOTAUTH" in place.warnings()[0]
    place.destroy()


def test_required_name_that_cannot_be_had_fails_the_create(bind, place):
    done = place.create(
        {**bind.block, "zone": "other.example.net", "required": True}, check=False)
    assert done.returncode == 1
    assert "NOTAUTH" in done.stderr
    place.destroy()


def test_name_server_that_is_down_keeps_the_record_until_the_next_destroy(bind, place):
    place.create(bind.block, amount=1)
    bind.stop()
    try:
        failed = place.destroy(check=False)
        assert failed.returncode == 1
        assert "cannot be reached" in failed.stderr
        # The servers themselves do not wait for it.
        left = [r["kind"] for r in place.rdeploy.json("show", "it")["resources"]
                if r["state"] != "gone"]
        assert left == ["dns_record"]
    finally:
        bind.start()
    assert len(bind.names()) == 2
    place.destroy()
    assert bind.names() == FOREIGN


def test_key_secret_stands_in_no_file_and_no_event(bind, place):
    place.create(bind.block, amount=1)
    shown = json.dumps(place.events()) + place.rdeploy("config", "it").stdout
    assert KEY_SECRET not in shown
    files = [p for p in place.rdeploy.home.rglob("*") if p.is_file()]
    assert [p for p in files if KEY_SECRET.encode() in p.read_bytes()] == []
    place.destroy()


def test_kill_at_every_update_then_destroy_leaves_only_foreign_names(bind, tmp_path):
    reached = 0
    for point in range(1, 30):
        (tmp_path / str(point)).mkdir()
        place = Place(tmp_path / str(point))
        config = place.config(bind.block)
        done = place.rdeploy(
            "create", "--name", "it", "--file", config, check=False,
            module="tests.functional.killing_outside", RDEPLOY_TEST_KILL_AT=str(point),
        )
        if done.returncode == 0:
            place.destroy()
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        reached += 1
        place.destroy()
        assert bind.names() == FOREIGN, point
    assert reached >= 12
    assert bind.names() == FOREIGN
