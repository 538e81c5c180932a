"""LibcloudProvider over libcloud's dummy driver with a memory."""

import json
import time

import pytest

from rally_deploy.errors import EachFailed, RallyDeployError, ResourceConflict
from rally_deploy.model import ResourceState
from rally_deploy.serverprovider.libcloud import LibcloudProvider
from rally_deploy.serverprovider.libcloud.cloud import CloudFailed
from rally_deploy.testing.contract import ProviderContract, open_deployer
from tests.functional.killing_outside import AnsweringShells
from tests.unit.serverprovider.libcloud.kept import KeptCloud

FOREIGN = ["somebody-elses"]


class _Contract(ProviderContract):
    plugin = LibcloudProvider

    @pytest.fixture
    def deployer(self, tmp_path, _known):
        with open_deployer(tmp_path, LibcloudProvider, shells=AnsweringShells) as deployer:
            yield deployer

    def leftovers(self, block):
        return KeptCloud(block["driver_args"]["creds"]).names()


class TestServersOnlyKnownByName(_Contract):
    @pytest.fixture
    def block(self, tmp_path):
        return {
            "type": "LibcloudProvider", "driver": "kept", "image": "Ubuntu 9.10", "amount": 2,
            "driver_args": {"creds": str(tmp_path / "cloud")}, "size": {"ram": 400},
        }


class TestServersWithAllThatThereIs(_Contract):
    @pytest.fixture
    def block(self, tmp_path):
        return {
            "type": "LibcloudProvider", "driver": "marked", "image": "ubuntu-24.04", "amount": 2,
            "driver_args": {"creds": str(tmp_path / "cloud")}, "max_nodes": 2,
            "volumes": {"count": 2, "size": 5},
        }


def names(entity, *keys):
    return sorted([*FOREIGN, *(f"rd-{entity.record.short}-{key}" for key in keys)])


def test_servers_have_the_names_marks_and_key_that_they_are_found_by(provided, cloud):
    entity, provider = provided(amount=2, login_user="ubuntu")
    servers = provider.create_servers()
    short = entity.record.short
    assert [s.name for s in servers] == [f"rd-{short}-server-0", f"rd-{short}-server-1"]
    assert {(s.user, s.become) for s in servers} == {("ubuntu", True)}
    made = cloud.all("node")[0]["extra"]
    assert made["metadata"] == {"rdeploy": entity.uuid}
    assert made["keyname"] == f"rd-{short}-key"
    told = json.loads(made["userdata"].partition("\n")[2])
    assert told["user"] == "ubuntu"
    assert told["ssh_authorized_keys"] == [cloud.all("key")[0]["public"]]
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


def test_networks_groups_and_location_are_those_of_the_block(provided, cloud):
    _, provider = provided(allow_networks="la", security_groups=["ssh"], location="south")
    provider.create_servers()
    made = cloud.all("node")[0]["extra"]
    assert (made["networks"], made["groups"], made["location"]) == (["lab"], ["ssh"], "south")


def test_volumes_are_attached_and_deleted_after_their_servers(provided, cloud):
    entity, provider = provided(amount=2, volumes={"count": 2, "size": 7})
    provider.create_servers()
    by_node = {}
    for volume in cloud.all("volume"):
        assert volume["size"] == 7
        by_node.setdefault(volume["node"], []).append(volume["name"].split("-", 2)[2])
    assert sorted(by_node.values()) == [["volume-0-0", "volume-0-1"], ["volume-1-0", "volume-1-1"]]
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


def test_userdata_of_the_images_os_is_used(provided, cloud):
    _, provider = provided(userdata={
        "debian-12": {"packages": ["no"]},
        "ubuntu-24.04": {"packages": ["git"], "ssh_authorized_keys": ["ssh-rsa AAAA me"]},
    })
    provider.create_servers()
    told = json.loads(cloud.all("node")[0]["extra"]["userdata"].partition("\n")[2])
    assert told["packages"] == ["git"]
    assert told["disable_root"] is False
    assert told["ssh_authorized_keys"][0] == "ssh-rsa AAAA me"
    assert len(told["ssh_authorized_keys"]) == 2


def test_userdata_text_is_taken_as_it_is(provided, cloud):
    _, provider = provided(userdata={"ubuntu-24.04": "#!/bin/sh\ntrue\n"})
    provider.create_servers()
    assert cloud.all("node")[0]["extra"]["userdata"] == "#!/bin/sh\ntrue\n"


@pytest.mark.parametrize(("interface", "host"), [
    ("public_ips", "192.0.2.2"), ("private_ips", "10.0.0.1")])
def test_server_is_reached_by_the_interface_of_the_block(provided, interface, host):
    _, provider = provided(ssh_interface=interface)
    assert [server.host for server in provider.create_servers()] == [host]


def test_arguments_of_create_servers_go_before_the_block(provided, cloud):
    _, provider = provided()
    provider.create_servers(image_uuid="i-1", type_id="f-1", amount=3)
    made = [node["extra"] for node in cloud.all("node") if node["name"] not in FOREIGN]
    assert [(m["image"], m["size"]) for m in made] == [("Ubuntu 22.04", "s.big")] * 3


@pytest.mark.parametrize("fault", ["busy", "stale token", "keystone fails"])
def test_busy_cloud_is_asked_again(provided, cloud, fault):
    _, provider = provided()
    cloud.fault("list_nodes", fault, fault)
    cloud.fault("create_node", fault)
    provider.create_servers()
    assert len(cloud.all("node")) == 2
    cloud.fault("destroy_node", fault)
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


@pytest.mark.parametrize("call", [
    "create_node", "import_key_pair_from_string", "create_volume", "attach_volume"])
def test_call_that_was_cut_after_it_took_effect_makes_no_second_thing(provided, cloud, call):
    entity, provider = provided(volumes={"count": 1, "size": 1})
    cloud.fault(call, "cut")
    provider.create_servers()
    assert cloud.names() == names(entity, "server-0", "key", "volume-0-0")
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


@pytest.mark.parametrize("call", ["destroy_node", "destroy_volume", "delete_key_pair"])
def test_removal_that_was_cut_after_it_took_effect_succeeds(provided, cloud, call):
    _, provider = provided(volumes={"count": 1, "size": 1})
    provider.create_servers()
    cloud.fault(call, "cut")
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


def test_refused_server_is_told_with_the_clouds_words_and_removed(provided, cloud):
    _, provider = provided()
    cloud.fault("create_node", "refused")
    with pytest.raises(CloudFailed, match="did not create a server: Quota exceeded") as caught:
        provider.create_servers()
    assert "quota" in caught.value.remedy
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


def test_some_of_the_servers_failing_keeps_the_others_for_a_resume(provided, cloud):
    entity, provider = provided(amount=3)
    cloud.fault("create_node", "", "refused", "")
    with pytest.raises(EachFailed, match="1 of 3 failed\n.*server-.: .*Quota exceeded"):
        provider.create_servers()
    assert len(cloud.all("node")) == 3
    assert len(provider.create_servers()) == 3
    assert cloud.names() == names(entity, "server-0", "server-1", "server-2", "key")


@pytest.mark.parametrize(("driver", "image"), [
    ("kept", "Ubuntu 9.10"), ("marked", "ubuntu-24.04")])
def test_server_that_ends_in_error_is_told_with_its_fault(provided, cloud, driver, image):
    _, provider = provided(driver=driver, image=image)
    cloud.fault("boot", "error")
    with pytest.raises(CloudFailed, match="could not start .*server-0: no valid host"):
        provider.create_servers()
    provider.destroy_servers()
    assert cloud.names() == FOREIGN


@pytest.mark.parametrize(("driver", "kind", "key"), [
    ("kept", "node", "server-1"), ("marked", "node", "server-0"),
    ("marked", "volume", "volume-0-0"), ("marked", "key", "key"),
])
def test_foreign_thing_of_our_name_is_a_conflict_and_never_touched(
    provided, cloud, driver, kind, key
):
    image, more = ("Ubuntu 9.10", {}) if driver == "kept" else (
        "ubuntu-24.04", {"volumes": {"count": 1, "size": 1}})
    entity, provider = provided(driver=driver, image=image, amount=2, **more)
    name = f"rd-{entity.record.short}-{key}"
    cloud.add(kind, name, state="running", ip="192.0.2.7", extra={}, node=None, size=1, public="")
    before = cloud.names()
    with pytest.raises(ResourceConflict, match=f"{name} that is not ours"):
        provider.create_servers()
    provider.destroy_servers()
    assert cloud.names() == before


def test_marked_servers_removal_leaves_a_foreign_one_that_took_its_name(provided, cloud):
    entity, provider = provided()
    server = provider.create_servers()[0]
    own = next(node for node in cloud.all("node") if node["name"] == server.name)
    cloud.remove("node", own["id"])
    cloud.add("node", server.name, state="running", ip="192.0.2.7", extra={})
    provider.destroy_servers()
    assert cloud.names() == sorted([*FOREIGN, server.name])


def test_driver_that_ignores_names_is_refused_and_nothing_left(provided, tmp_path):
    entity, provider = provided(driver="dummy", image="Ubuntu 9.10", driver_args={"creds": "2"})
    with pytest.raises(RallyDeployError, match="called the server dummy-3"):
        provider.create_servers()
    assert [row.kind for row in provider.deployment.ledger.alive()] == ["libcloud_node"]
    provider.destroy_servers()
    assert provider.deployment.ledger.alive() == []


def test_places_are_counted_over_deployments_and_free_after_destroy(provided):
    first, second = provided(amount=2, max_nodes=3), provided(amount=2, max_nodes=3)
    first[1].create_servers()
    with pytest.raises(RallyDeployError, match="no 2 of the 3 places of marked .* free"):
        second[1].create_servers()
    assert second[1].deployment.ledger.alive() == []
    first[1].destroy_servers()
    assert len(second[1].create_servers()) == 2


def test_places_of_another_pool_are_not_counted(provided):
    provided(max_nodes=1, pool="a")[1].create_servers()
    assert provided(max_nodes=1, pool="b")[1].create_servers()
    with pytest.raises(RallyDeployError, match="no 1 of the 1 places of a free"):
        provided(max_nodes=1, pool="a")[1].create_servers()


def test_second_run_asks_for_no_more_and_knows_what_is_live(provided, cloud):
    _, provider = provided(amount=3, volumes={"count": 1, "size": 1})
    provider.create_servers()
    made = cloud.names()
    provider.create_servers()
    assert cloud.names() == made
    assert {r.state for r in provider.deployment.ledger.alive()} == {ResourceState.LIVE}


def test_listings_are_shared_by_servers_that_wait_at_the_same_time(provided, cloud, recorder):
    _, provider = provided(amount=20)
    started = time.monotonic()
    provider.create_servers()
    provider.destroy_servers()
    assert time.monotonic() - started < 60
    assert cloud.names() == FOREIGN
