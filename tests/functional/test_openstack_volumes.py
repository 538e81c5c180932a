"""OpenStackProvider on a real DevStack with Cinder behind TLS with a CA of its own.

Needs DevStack's repositories and Cinder's (RDEPLOY_DEVSTACK_REPOS, see devstack_repos).
``RDEPLOY_TEST_DEVSTACK="HOME NAME"`` names such a cloud that is there already, for work on these
tests: it is used and stays.
"""

import json
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, CloudUnfit
from tests.functional import devstack_volumes, openstack_rig
from tests.functional.openstack_rig import Whole

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(3600),
    pytest.mark.xdist_group("machine"),
]


@pytest.fixture(scope="module")
def node(tmp_path_factory, lxc):
    """The cloud as its maker sees it."""
    with devstack_volumes.standing_or_made(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture(scope="module")
def cloud(node):
    """The cloud as its users see it."""
    devstack_volumes.give_network(node)
    return openstack_rig.RealCloud(node.rdeploy, node.name, image="empty", flavor="m1.tiny")


@pytest.fixture
def foreign(cloud, clean):
    """Makes volumes that no deployment has made; they have to be there at the end."""
    with cloud.foreign_volumes() as make:
        yield make


# TLS

def test_cloud_with_its_own_ca_takes_servers_once_that_is_given(cloud, made):
    assert cloud.auth_url.startswith("https://")
    entity, provider = made(amount=2)
    names = {server.name for server in provider.create_servers()}
    assert names == {f"rd-{entity.record.short}-it-{number:03d}" for number in range(2)}
    assert names <= set(cloud.things()["servers"])


def other_ca(folder):
    path = folder / "other.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=another", "-keyout", folder / "other.key", "-out", path],
        check=True, capture_output=True)
    return path


@pytest.mark.parametrize("given", ["none", "another"])
def test_cloud_with_an_unknown_ca_says_what_to_give_before_anything_is_made(
    cloud, made, tmp_path, given
):
    before = cloud.things()
    provider = made(https_cacert=str(other_ca(tmp_path)) if given == "another" else None)[1]
    with pytest.raises(CloudRefusal, match="is not trusted") as caught:
        provider.create_servers()
    assert "https_cacert" in caught.value.remedy
    assert provider.deployment.ledger.alive() == []
    assert cloud.things() == before


def test_person_at_the_command_line_is_told_of_the_ca(cloud, clean, tmp_path):
    whole = Whole(tmp_path / "untrusted", cloud.block(https_cacert=None))
    told = whole.create(check=False)
    assert told.returncode != 0
    assert "is not trusted" in told.stderr
    assert "https_cacert" in told.stderr
    whole.destroy()


def test_clouds_yaml_of_rdeploy_names_the_ca(cloud, node, made, tmp_path, monkeypatch):
    path = tmp_path / "clouds.yaml"
    path.write_text(node.rdeploy("clouds-yaml", node.name).stdout)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    gone = dict.fromkeys(("user", "password", "tenant", "auth_url", "https_cacert"))
    assert made(cloud=node.name, **gone)[1].create_servers()


# Boot volumes

def test_servers_boot_from_marked_volumes_that_were_made_from_the_image(cloud, node, made):
    entity, provider = made(amount=2, volume_size_gb=1)
    servers = {server.name: server.facts["instance_id"] for server in provider.create_servers()}
    volumes = cloud.volumes_of(entity)
    assert set(volumes) == set(servers)
    rows = provider.deployment.ledger.alive("openstack_volume")
    assert {row.name: row.facts["id"] for row in rows} == {
        name: volume["id"] for name, volume in volumes.items()}
    for name, volume in volumes.items():
        assert (volume["status"], volume["bootable"], volume["size"]) == ("in-use", "true", 1)
        assert [a["server_id"] for a in volume["attachments"]] == [servers[name]]
        assert volume["volume_image_metadata"]["image_id"] == cloud.guest_image
        file = f"{devstack_volumes.EXPORT}/volume-{volume['id']}"
        assert devstack_volumes.in_node(node, "head", "-c", "27", file) == devstack_volumes.MARK
        # The server has no other disk than that.
        server = cloud.client.nova.servers.get(servers[name])
        assert server.image == ""
    assert entity.provider(entity.config["provider"]).create_servers()
    again = cloud.volumes_of(entity).values()
    assert {v["id"] for v in again} == {v["id"] for v in volumes.values()}
    assert ("volume", entity.record.short) in {(t.kind, t.tag) for t in provider.tagged()}
    provider.destroy_servers()
    assert cloud.volumes_of(entity) == {}


def test_volume_of_somebody_else_with_our_name_is_neither_used_nor_removed(
    cloud, made, foreign
):
    entity, provider = made(volume_size_gb=1)
    name = f"rd-{entity.record.short}-it-000"
    theirs = foreign(name)
    provider.create_servers()
    assert {v["id"]: v["status"] for v in cloud.volumes()}[theirs] == "available"
    assert cloud.volumes_of(entity)[name]["status"] == "in-use"
    provider.destroy_servers()
    assert theirs in cloud.things()["volumes"]
    assert cloud.volumes_of(entity) == {}


def test_volume_of_ours_that_was_renamed_is_removed(cloud, made):
    entity, provider = made(volume_size_gb=1)
    provider.create_servers()
    volume, = cloud.volumes_of(entity).values()
    cloud.client.volumes.put(f"/volumes/{volume['id']}", {"volume": {"name": "web"}})
    provider.destroy_servers()
    assert cloud.volumes_of(entity) == {}


# Quota

def over(provider):
    with pytest.raises(CloudUnfit) as caught:
        provider.create_servers()
    assert provider.deployment.ledger.alive() == []
    return caught.value.details


def test_quota_of_volumes_is_told_before_anything_is_made(cloud, made):
    before = cloud.things()
    assert "11 volumes are over the quota" in over(made(amount=11, volume_size_gb=1)[1])
    assert "1200 GiB of volumes are over the quota" in over(made(amount=3, volume_size_gb=400)[1])
    assert cloud.things() == before


@pytest.mark.parametrize(("name", "limit", "message"), [
    ("per_volume_gigabytes", 4, "a volume of 5 GiB is over the quota: one may have 4"),
    ("volumes_nfs", 1, "2 volumes of type nfs are over the quota"),
    ("gigabytes_nfs", 9, "10 GiB of volumes of type nfs are over the quota"),
])
def test_narrower_quotas_of_volumes_are_told_too(cloud, made, name, limit, message):
    volumes, path = cloud.client.volumes, f"/os-quota-sets/{cloud.client.project_id}"
    volumes.put(path, {"quota_set": {name: limit}})
    try:
        assert message in over(made(amount=2, volume_size_gb=5)[1])
    finally:
        volumes.put(path, {"quota_set": {name: -1}})


# Kills

MAKE_VOLUME, MAKE_SERVER = "^POST .*/volumes$", "^POST .*/servers$"


def test_kill_around_the_request_of_a_volume_then_destroy_leaves_nothing(
    cloud, clean, foreign, tmp_path
):
    """Odd points are before a request, even ones behind it; several at once, to save time."""
    def kill_and_destroy(kill):
        number, (calls, point, amount) = kill
        whole = Whole(tmp_path / str(number), cloud.block(volume_size_gb=1, amount=amount))
        killed = whole.killed(point, calls)
        whole.destroy()
        return killed

    foreign("rd-somebody-elses")
    kills = [(MAKE_VOLUME, 1, 1), (MAKE_VOLUME, 2, 1), (MAKE_VOLUME, 3, 2), (MAKE_VOLUME, 4, 2),
             (MAKE_SERVER, 1, 1), (MAKE_SERVER, 2, 1)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(kill_and_destroy, enumerate(kills))) == [True] * len(kills)


@pytest.mark.parametrize("calls", [MAKE_VOLUME, MAKE_SERVER])
def test_kill_behind_a_request_then_resume_makes_one_volume(cloud, clean, tmp_path, calls):
    whole = Whole(tmp_path / "resumed", cloud.block(volume_size_gb=1))
    try:
        assert whole.killed(2, calls)
        whole.rdeploy("resume", "it")
        new = {kind: len(found) - len(clean[kind]) for kind, found in cloud.things().items()}
        assert (new["servers"], new["volumes"]) == (1, 1)
    finally:
        whole.destroy()


@pytest.mark.parametrize("point", [1, 2])
def test_kill_around_the_removal_of_a_volume_then_destroy_again_leaves_nothing(
    cloud, clean, tmp_path, point
):
    whole = Whole(tmp_path / "removed", cloud.block(volume_size_gb=1))
    whole.create()
    assert len(cloud.things()["volumes"]) == len(clean["volumes"]) + 1
    assert whole.rdeploy.killed(point, "destroy", "it", "--yes", calls="^DELETE .*/volumes/")
    whole.destroy()


def test_volume_that_is_left_reserved_for_a_server_that_is_gone_is_removed(
    cloud, clean, tmp_path
):
    """As Nova leaves it if a server is deleted before it has a host."""
    whole = Whole(tmp_path / "reserved", cloud.block(volume_size_gb=1))
    assert whole.killed(1, MAKE_SERVER)
    volume, = set(cloud.things()["volumes"]) - set(clean["volumes"])
    cloud.client.session.post(
        f"{cloud.client.require('block-storage')}/attachments",
        headers={"OpenStack-API-Version": "volume 3.27"},
        json={"attachment": {"volume_uuid": volume, "instance_uuid": str(uuid.uuid4())}})
    assert {v["id"]: v["status"] for v in cloud.volumes()}[volume] == "reserved"
    whole.destroy()


# Sweep

def test_sweep_finds_a_volume_that_no_ledger_has_and_no_other(cloud, clean, foreign, tmp_path):
    swept = Whole(tmp_path / "swept", cloud.block(flavor_id="no-such"))
    leaking = Whole(tmp_path / "leaking", cloud.block(volume_size_gb=1))
    assert "no flavor 'no-such'" in swept.create(check=False).stderr
    swept.destroy()
    foreign("rd-0123abcd-it-000", metadata={"rdeploy_name": "rd-0123abcd-it-000"})
    try:
        assert leaking.killed(2, MAKE_VOLUME)
        tag = f"rd-{leaking.rdeploy.json('show', 'it')['uuid'][:8]}"
        told = json.loads(swept.rdeploy("sweep", "--json", check=False).stdout)
        assert sorted((one["kind"], one["name"]) for one in told["found"]
                      if cloud.auth_url in one["where"]) == [
            ("key pair", f"{tag}-key"), ("security group", f"{tag}-ssh"),
            ("volume", f"{tag}-it-000")]
        assert told["failed"] == []
    finally:
        leaking.destroy()
