"""What is left on a cloud and is in no ledger, however it came there."""

import threading
from datetime import timedelta

import pytest

from rally_deploy.errors import LeftOver
from rally_deploy.leftovers import in_places
from rally_deploy.serverprovider.openstack import parts
from tests.unit.serverprovider.openstack.test_crashes import PowerCut

OWNER = "-89ab-cdef-0123-456789abcdef"  # the rest of a uuid


def lost(provider):
    """A row of a key pair whose request was sent by a process that was killed."""
    def make(row):
        raise PowerCut(pytest.MonkeyPatch())

    with pytest.raises(PowerCut):
        provider.create(parts.KEY, "key", make, facts={"public_key": provider._login.public})
    name = provider.deployment.ledger.name("key")
    return {"name": name, "public_key": provider._login.public, "fingerprint": ""}


def test_things_of_no_ledger_are_listed_and_those_of_one_are_not(
    cloud, provided, openstack_deployer
):
    provided(amount=1, floating_network="public", volume_size_gb=1)[1].create_servers()
    look, = in_places(openstack_deployer)
    assert (look.found, look.error) == ([], "")
    name = "rd-0123abcd-it"
    cloud.keys[name] = {"name": name, "public_key": "x", "fingerprint": ""}
    cloud.volumes["v"] = {"id": "v", "name": name, "status": "available",
                          "metadata": {"rdeploy": "0123abcd" + OWNER}}
    cloud.groups["g"] = {"id": "g", "name": "any", "description": f"{name} rdeploy:0123abcd"}
    cloud.ports["p"] = {"id": "p", "device_id": "gone", "security_groups": ["g"]}
    cloud.ports["q"] = {"id": "q", "device_id": "gone", "security_groups": ["theirs"]}
    look, = in_places(openstack_deployer)
    assert [(thing.kind, thing.name) for thing in look.found] == [
        ("key pair", name), ("port", f"{name} p"), ("security group", name), ("volume", name)]


def test_things_are_known_by_their_marks_and_not_by_what_they_are_called(
    cloud, provided, openstack_deployer
):
    """Renamed ones of ours, in a ledger and in none; others' with names like ours."""
    provided(amount=1, floating_network="public", volume_size_gb=1)[1].create_servers()
    for thing in (*cloud.servers.values(), *cloud.volumes.values(), *cloud.groups.values()):
        thing["name"] = "renamed"
    owned = next(iter(cloud.servers.values()))
    name = "rd-0123abcd-it"
    mark = {"rdeploy": "0123abcd" + OWNER, "rdeploy_name": name}
    cloud.servers["a"] = {**owned, "id": "a", "name": "web", "metadata": mark}
    cloud.servers["b"] = {**owned, "id": "b", "name": name, "metadata": {"rdeploy": "no uuid"}}
    cloud.volumes["v"] = {"id": "v", "name": "rd-0123abcd-v", "status": "available",
                          "metadata": {}}
    cloud.groups["g"] = {"id": "g", "name": "rd-0123abcd-g", "description": "theirs"}
    cloud.ports["p"] = {"id": "p", "device_id": "a", "network_id": "n"}
    cloud.ports["q"] = {"id": "q", "device_id": "b", "network_id": "n"}
    look, = in_places(openstack_deployer)
    assert [(thing.kind, thing.name) for thing in look.found] == [
        ("port", f"{name} p"), ("server", f"{name} (now called web)")]


def test_cloud_of_several_deployments_is_asked_once_and_of_another_user_again(
    cloud, provided, openstack_deployer
):
    cloud.users["jo"] = "sesame"
    provided()
    provided(amount=3)[0].destroy()
    provided(user="jo")
    looks = in_places(openstack_deployer)
    assert len(looks) == 2
    assert "user jo, project p" in looks[0].where
    assert cloud.count("POST", "/auth/tokens") == 2


def test_cloud_that_does_not_answer_or_let_us_in_is_told(cloud, provided, openstack_deployer):
    provided(password="wrong secret")
    provided(auth_url="http://127.0.0.1:1/v3")
    away, closed = in_places(openstack_deployer)
    assert "no answer" in away.error
    assert "Keystone refuses this user" in closed.error
    assert "wrong secret" not in closed.error


def test_key_pair_that_comes_up_during_the_destroy_is_removed(cloud, provided):
    entity, provider = provided()
    pair = lost(provider)
    threading.Timer(0.3, cloud.keys.update, [{pair["name"]: pair}]).start()
    entity.provider(provider.config).destroy_servers()
    assert cloud.count("DELETE", "/os-keypairs/") == 1
    assert cloud.things() == []


def test_key_pair_that_comes_up_after_the_destroy_is_found_by_a_sweep(
    cloud, provided, openstack_deployer
):
    entity, provider = provided()
    pair = lost(provider)
    entity.provider(provider.config).destroy_servers()
    cloud.keys[pair["name"]] = pair
    look, = in_places(openstack_deployer)
    assert [thing.name for thing in look.found] == [pair["name"]]


def test_what_was_recorded_long_ago_is_looked_for_once(cloud, provided, monkeypatch):
    entity, provider = provided()
    lost(provider)
    monkeypatch.setattr(parts, "_ON_ITS_WAY", timedelta(0))
    entity.provider(provider.config).destroy_servers()
    assert cloud.count("GET", "/os-keypairs/") == 1


def test_removal_that_runs_out_of_time_keeps_what_may_still_come_up(
    cloud, provided, monkeypatch
):
    entity, provider = provided()
    pair = lost(provider)
    monkeypatch.setattr(parts, "_LEAST_REMOVAL_S", 0.01)
    again = entity.provider({**provider.config, "timeout_s": 10})
    again.config["timeout_s"] = 0.01
    with pytest.raises(LeftOver, match="may still come up"):
        again.destroy_servers()
    assert [row.name for row in again.deployment.ledger.alive()] == [pair["name"]]


def test_look_for_what_may_come_up_ends_with_the_time(provided):
    provider = provided()[1]
    provider._patience.begin(0)
    looks = []
    assert provider._cloud.settled(lambda: looks.append(1), 1.0) is None
    assert len(looks) == 1


def test_slow_answer_makes_the_look_last_longer(cloud, provided):
    provider = provided()[1]
    provider._cloud.log_in()
    looks = []

    def look():
        looks.append(1)
        provider._cloud.session.slowest_s = 0.4

    provider._cloud.settled(look, 0.01)
    assert len(looks) > 5
