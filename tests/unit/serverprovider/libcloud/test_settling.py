"""A cloud that shows late what it has made, or has lost what was there: nothing twice or left."""

import time
from datetime import timedelta

import pytest

from rally_deploy.errors import LeftOver
from rally_deploy.serverprovider.libcloud import provider as providers
from rally_deploy.serverprovider.libcloud.cloud import CloudFailed
from rally_deploy.serverprovider.libcloud.machines import NODE

FOREIGN = ["somebody-elses"]


def lost(entity, provider, cloud, listed_in_s):
    """A row of a server whose maker was killed; the cloud lists that server a little later."""
    def make(row):
        cloud.add("node", row.name, state="running", ip="192.0.2.9",
                  extra={"metadata": {"rdeploy": entity.uuid}},
                  listed_from=time.time() + listed_in_s)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        provider.create(NODE, "server-0", make)


@pytest.mark.parametrize("driver", ["kept", "marked"])
def test_server_that_comes_up_long_after_its_answer_was_lost_is_made_once(
    provided, cloud, settle, driver
):
    image = "Ubuntu 9.10" if driver == "kept" else "ubuntu-24.04"
    _, provider = provided(driver=driver, image=image)
    settle(3.0)
    cloud.fault("create_node", "late:1.0")
    server, = provider.create_servers()
    assert [node["name"] for node in cloud.all("node")] == [server.name, *FOREIGN]
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


def test_busy_cloud_that_made_nothing_is_asked_again_at_once(provided, cloud, settle):
    _, provider = provided()
    settle(600.0)
    cloud.fault("create_node", "busy", "busy")
    provider.create_servers()
    assert len(cloud.all("node")) == 2


def test_server_that_comes_up_during_the_destroy_is_removed(provided, cloud, settle):
    entity, provider = provided()
    settle(3.0)
    lost(entity, provider, cloud, 1.0)
    entity.provider(provider.config).destroy_servers()
    assert cloud.names() == FOREIGN


def test_server_of_a_killed_create_that_comes_up_during_the_resume_is_not_doubled(
    provided, cloud, settle
):
    entity, provider = provided()
    settle(3.0)
    lost(entity, provider, cloud, 1.0)
    server, = entity.provider(provider.config).create_servers()
    time.sleep(1.0)
    assert [node["name"] for node in cloud.all("node")] == [server.name, *FOREIGN]


def test_live_server_that_is_not_listed_yet_is_not_made_again_by_a_resume(
    provided, cloud, settle
):
    _, provider = provided()
    server, = provider.create_servers()
    own = next(node for node in cloud.all("node") if node["name"] == server.name)
    settle(3.0)
    cloud.change("node", own["id"], listed_from=time.time() + 1.0)
    assert provider.create_servers() == [server]
    assert [node["id"] for node in cloud.all("node") if node["name"] == server.name] == [own["id"]]


def test_what_was_recorded_long_ago_is_not_waited_for(provided, settle, monkeypatch, cloud):
    entity, provider = provided()
    settle(600.0)
    lost(entity, provider, cloud, 3600)
    monkeypatch.setattr(providers, "_ON_ITS_WAY", timedelta(0))
    entity.provider(provider.config).destroy_servers()
    assert provider.deployment.ledger.alive() == []


@pytest.mark.parametrize("driver", ["kept", "marked"])
def test_all_servers_of_one_row_are_removed(provided, cloud, driver):
    image = "Ubuntu 9.10" if driver == "kept" else "ubuntu-24.04"
    entity, provider = provided(driver=driver, image=image)
    server, = provider.create_servers()
    cloud.add("node", server.name, state="running", ip="192.0.2.7",
              extra={"metadata": {"rdeploy": entity.uuid}})
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


def test_server_of_two_of_one_name_is_the_one_whose_id_was_told(provided, cloud):
    entity, provider = provided()
    server, = provider.create_servers()
    for number in range(5):
        cloud.add("node", server.name, state="running", ip=f"192.0.2.{100 + number}",
                  extra={"metadata": {"rdeploy": entity.uuid}})
    assert provider.create_servers() == [server]
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


def test_server_that_somebody_renamed_is_still_ours(provided, cloud):
    _, provider = provided()
    server, = provider.create_servers()
    own = next(node for node in cloud.all("node") if node["name"] == server.name)
    cloud.change("node", own["id"], name="renamed")
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


def test_resume_makes_a_server_in_error_anew_and_keeps_the_others(provided, cloud):
    _, provider = provided(amount=2, volumes={"count": 1, "size": 1})
    cloud.fault("boot", "error")
    with pytest.raises(CloudFailed, match="could not start") as caught:
        provider.create_servers()
    assert "'rdeploy resume' makes it anew" in caught.value.remedy
    good = [node["id"] for node in cloud.all("node") if node["state"] == "running"]
    servers = provider.create_servers()
    assert len(servers) == 2
    assert {node["state"] for node in cloud.all("node")} == {"running"}
    assert set(good) < {node["id"] for node in cloud.all("node")}
    assert {v["node"] for v in cloud.all("volume")} == {
        n["id"] for n in cloud.all("node") if n["name"] not in FOREIGN}


@pytest.mark.parametrize("kind", ["node", "volume", "key"])
def test_resume_makes_anew_what_somebody_has_removed(provided, cloud, kind, recorder):
    _, provider = provided(volumes={"count": 1, "size": 1}, timeout_s=10)
    provider.create_servers()
    made = cloud.names()
    own = next(thing for thing in cloud.all(kind) if thing["name"] not in FOREIGN)
    if kind == "node":
        for volume in cloud.all("volume"):
            cloud.change("volume", volume["id"], node=None)
    cloud.remove(kind, own["id"])
    provider.create_servers()
    assert cloud.names() == made
    node = next(node for node in cloud.all("node") if node["name"] not in FOREIGN)
    assert [volume["node"] for volume in cloud.all("volume")] == [node["id"]]
    assert [e for e in recorder.events if f"{own['name']} is gone or in error" in e.title]


def test_place_is_kept_until_its_server_is_removed(provided, cloud):
    first, second = provided(amount=2, max_nodes=2), provided(max_nodes=1)
    first[1].create_servers()
    cloud.fault("destroy_node", "refused")
    with pytest.raises(LeftOver, match="2 resource.s. could not be removed") as caught:
        first[1].destroy_servers()
    assert "it is taken until" in caught.value.details
    alive = first[1].deployment.ledger.alive()
    assert sorted(row.kind for row in alive) == ["libcloud_node", "libcloud_place"]
    assert len({row.key for row in alive}) == 1
    with pytest.raises(Exception, match="no 1 of the 1 places"):
        second[1].create_servers()
    first[1].destroy_servers()
    assert first[1].deployment.ledger.alive() == []
    assert second[1].create_servers()
