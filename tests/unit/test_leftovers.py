import pytest

from rally_deploy.hosts.tagged import Tagged
from rally_deploy.leftovers import in_places, on_known_hosts
from rally_deploy.model import Server
from rally_deploy.on_hosts import HERE, KnownHost
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.testing.contract import NoShells, open_deployer, open_deployment


class Elsewhere(ServerProvider):
    """Makes nothing, and finds in its place what the block says is there."""

    CONFIG_SCHEMA = {
        "type": "object",
        "properties": {
            "place": {"type": "string", "default": ""},
            "there": {"type": "array", "default": []},
            "password": {"type": "string", "x-secret": True},
            "host_provider": {"type": "object", "x-plugin": "provider"},
        },
    }
    asked = []

    def create_servers(self, image_uuid=None, type_id=None, amount=None):
        return []

    def place(self):
        return self.config["place"]

    def tagged(self):
        self.asked.append(self.config["place"])
        if self.config["place"] == "broken":
            raise ValueError(f"not with {self.config['password']}")
        return [Tagged("thing", name, name[3:11]) for name in self.config["there"]]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A deployer, and what makes deployments with a provider of such a block."""
    monkeypatch.setattr(Elsewhere, "asked", [])
    with open_deployer(tmp_path, Elsewhere, shells=NoShells, environ={"SET": "s3cret"}) as found:

        def make(**keys):
            return open_deployment(found, {
                "type": "FakeEngine", "world": str(tmp_path),
                "provider": {"type": "Elsewhere", **keys}})

        yield found, make


def test_host_that_cannot_be_looked_at_is_told(deployer):
    nowhere = Server("127.0.0.1", port=1)
    here, there = on_known_hosts(deployer.store, [KnownHost(HERE), KnownHost(nowhere)])
    assert here.error == ""
    assert there.error
    assert not there.found


def test_only_what_is_in_no_ledger_is_left_over(elsewhere):
    deployer, make = elsewhere
    owner = make()
    name = owner.ledger.name("web")
    owner.ledger.create("thing", "web", lambda row: {}, lambda row: None)
    make(place="far", there=[name, f"{name} port-1", f"{name}-2", "rd-0123abcd-web"])
    look, = in_places(deployer)
    assert (look.where, look.error) == ("far", "")
    assert [thing.name for thing in look.found] == [f"{name}-2", "rd-0123abcd-web"]


def test_each_place_is_asked_once_with_the_latest_login(elsewhere):
    deployer, make = elsewhere
    make(place="far", there=["rd-0123abcd-old"])
    make(place="near", host_provider={"type": "Elsewhere", "place": "below"})
    make(place="far", there=["rd-0123abcd-new"]).destroy()
    looks = in_places(deployer)
    assert sorted(look.where for look in looks) == ["below", "far", "near"]
    assert sorted(Elsewhere.asked) == ["below", "far", "near"]
    assert [t.name for look in looks for t in look.found] == ["rd-0123abcd-new"]


def test_place_that_cannot_be_looked_at_is_told_without_its_secrets(elsewhere):
    deployer, make = elsewhere
    make(place="broken", password="${env:SET}")
    make(place="closed", password="${env:UNSET}")
    make(place="near")
    looks = {look.where: look.error for look in in_places(deployer)}
    assert looks["broken"] == "ValueError: not with ***"
    assert "password: ${env:UNSET} is not set" in looks["closed"]
    assert looks["near"] == ""


def test_deployment_whose_plugin_is_gone_keeps_no_other_from_a_look(elsewhere):
    deployer, make = elsewhere
    make(place="near")
    open_deployment(deployer, {"type": "NoSuchEngine", "provider": {"type": "Elsewhere"}})
    assert [look.where for look in in_places(deployer)] == ["near"]
