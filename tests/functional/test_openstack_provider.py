"""OpenStackProvider on a real OpenStack, which DistroEngine deploys in a container for it."""

import hashlib
import json
import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from rally_deploy.errors import EachFailed, ResourceConflict
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, CloudUnfit, ServerFailed
from tests.functional.conftest import STANDING
from tests.functional.fault_proxy import FaultProxy
from tests.functional.openstack_rig import Whole

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(2400),
    pytest.mark.xdist_group("cloud"),
]


@pytest.mark.skipif("fake" in STANDING, reason="servers of Nova's fake driver answer to nobody")
def test_servers_on_a_cloud_of_distro_engine_are_reached_over_ssh(cloud, clean, tmp_path):
    block = cloud.block(amount=2, floating_network="public", wait_for_ssh=True)
    whole = Whole(tmp_path / "chain", block, command=["hostname"])
    try:
        whole.create()
        shown = whole.rdeploy.json("show", "it")
        names = sorted(s["name"] for s in shown["servers"])
        assert len(names) == 2
        for name in names:
            done = whole.rdeploy("ssh", "it", name, "--", "hostname")
            assert done.stdout.strip() == name
        floating = {f.floating_ip_address: f.port_id for f in cloud.client.network.ips()}
        assert {s["host"] for s in shown["servers"]} <= set(floating)
    finally:
        whole.destroy()


def test_second_create_makes_no_more(cloud, made):
    entity, provider = made(amount=2, floating_network="public")
    first = provider.create_servers()
    before = cloud.things()
    assert entity.provider(entity.config["provider"]).create_servers() == first
    assert cloud.things() == before
    tags = {(t.kind, t.tag) for t in provider.tagged() if t.tag == entity.record.short}
    assert {kind for kind, _ in tags} == {
        "server", "port", "key pair", "security group", "floating address"}


def test_image_is_uploaded_once_shared_and_removed_with_its_last_user(cloud, made, tmp_path):
    file = tmp_path / "own.raw"
    file.write_bytes(os.urandom(1 << 20))
    image = {"name": "own", "format": "raw", "url": str(file),
             "checksum": "sha512:" + hashlib.sha512(file.read_bytes()).hexdigest()}
    before = cloud.things()["images"]
    one, two = made(image=image)[1], made(image=image)[1]
    one.create_servers()
    two.create_servers()
    uploaded = set(cloud.things()["images"]) - set(before)
    assert len(uploaded) == 1
    one.destroy_servers()
    assert uploaded < set(cloud.things()["images"])
    two.destroy_servers()
    assert cloud.things()["images"] == before


def test_v2_address_of_keystone_works(cloud, made):
    auth_url = cloud.auth_url.replace("/v3", "/v2.0")
    assert made(auth_url=auth_url)[1].create_servers()


def test_hindrances_are_told_at_once_before_anything_is_made(cloud, made):
    before = cloud.things()
    _, provider = made(
        flavor_id="m1.huge", amount=500, nics=[{"net-id": "nowhere"}],
        image={"uuid": str(uuid.uuid4())}, floating_network="private", availability_zone="mars",
    )
    with pytest.raises(CloudUnfit) as caught:
        provider.create_servers()
    for part in ("no flavor 'm1.huge'", "servers are over the quota", "no network 'nowhere'",
                 "there is no image", "no external network 'private'; there are public",
                 "zone 'mars'", "500 floating addresses are over the quota"):
        assert part in caught.value.details
    assert cloud.things() == before


def test_wrong_password_is_told_as_such(made):
    with pytest.raises(CloudRefusal, match="Keystone refuses this user"):
        made(password="wrong")[1].create_servers()


def test_server_without_a_host_tells_novas_fault_and_is_made_anew(cloud, made):
    nova = cloud.client.nova
    flavor = nova.flavors.create("rdt-large", 160, 1, 10_000_000)
    try:
        entity, provider = made(flavor_id="rdt-large", nics=[{"net-id": "private"}])
        with pytest.raises((ServerFailed, EachFailed)) as caught:
            provider.create_servers()
        assert "has failed" in str(caught.value)
        assert "No valid host was found" in str(caught.value)
        again = entity.provider({**entity.config["provider"], "flavor_id": "rdeploy-guest"})
        assert len(again.create_servers()) == 1
    finally:
        nova.flavors.delete(flavor.id)


def test_foreign_key_pair_of_our_name_is_named_and_left(cloud, made):
    entity, provider = made()
    name = f"rd-{entity.record.short}-key"
    cloud.foreign_key(name)
    try:
        with pytest.raises(ResourceConflict, match=name):
            provider.create_servers()
        assert name in cloud.things()["key pairs"]
    finally:
        cloud.client.nova.keypairs.delete(name)


POSTS = ("/os-keypairs$", "/security-groups$", "/security-group-rules$", "/floatingips$",
         "/images$", "/servers$")
ACTS = ("cut after", 503, "cut before", 429, 500, 401, 409, 1.5)


@pytest.mark.parametrize("turn", [0, 3])
def test_faults_of_every_post_make_no_double_and_no_leak(cloud, made, tmp_path, turn):
    file = tmp_path / "own.raw"
    file.write_bytes(os.urandom(100_000))
    image = {"name": "own", "format": "raw", "url": str(file),
             "checksum": hashlib.md5(file.read_bytes()).hexdigest()}
    before = cloud.things()
    with FaultProxy(cloud.auth_url) as proxy:
        provider = made(auth_url=proxy.auth_url, floating_network="public", image=image)[1]
        for number, path in enumerate(POSTS):
            act = ACTS[(number + turn) % len(ACTS)]
            proxy.fail("POST", path, act, **({"Retry-After": "1"} if act == 429 else {}))
        provider.create_servers()
        assert [fault for fault in proxy.faults if fault.times] == []
        new = {kind: len(found) - len(before[kind]) for kind, found in cloud.things().items()}
        assert new == dict.fromkeys(new, 1)
        for path in ("/servers/", "/os-keypairs/", "/security-groups/", "/floatingips/",
                     "/images/"):
            proxy.fail("DELETE", path, ACTS[(turn + len(path)) % 6])
        provider.destroy_servers()
        assert cloud.things() == before


def test_service_that_stays_away_ends_clearly_at_the_deadline(cloud, made):
    before = cloud.things()
    with FaultProxy(cloud.auth_url) as proxy:
        provider = made(auth_url=proxy.auth_url, timeout_s=20)[1]
        proxy.fail("POST", "/servers$", 503, times=1000)
        with pytest.raises(CloudRefusal, match="/servers was answered with 503"):
            provider.create_servers()
        proxy.forget()
        provider.destroy_servers()
    assert cloud.things() == before


KILL_POINTS = (9, 13, 19, 22, 25, 28, 31, 34, 38)


def test_kill_at_a_call_to_the_cloud_then_destroy_leaves_nothing(cloud, clean, tmp_path):
    """Odd points are before a request, even ones behind it. Several at once, to save time."""
    key = cloud.foreign_key("rd-somebody-elses")

    def kill_and_destroy(point):
        whole = Whole(tmp_path / str(point), cloud.block(floating_network="public"))
        killed = whole.killed(point)
        whole.destroy()
        return killed

    try:
        with ThreadPoolExecutor(3) as pool:
            killed = dict(zip(KILL_POINTS, pool.map(kill_and_destroy, KILL_POINTS), strict=True))
        assert killed == dict.fromkeys(KILL_POINTS, True)
        assert key in cloud.things()["key pairs"]
    finally:
        cloud.client.nova.keypairs.delete(key)


def test_kill_then_resume_makes_one_server(cloud, clean, tmp_path):
    whole = Whole(tmp_path / "resumed", cloud.block(floating_network="public"))
    before = cloud.things()
    try:
        assert whole.killed(32)
        whole.rdeploy("resume", "it")
        new = {kind: len(found) - len(before[kind]) for kind, found in cloud.things().items()}
        assert new == {**dict.fromkeys(new, 1), "images": 0}
    finally:
        whole.destroy()


def test_sweep_lists_what_no_ledger_has_on_the_cloud_of_a_destroyed_deployment(
    cloud, clean, tmp_path
):
    whole = Whole(tmp_path / "swept", cloud.block(flavor_id="no-such"))
    key = cloud.foreign_key("rd-0123abcd-key")
    try:
        assert "no flavor 'no-such'" in whole.create(check=False).stderr
        whole.destroy()
        swept = json.loads(whole.rdeploy("sweep", "--json", check=False).stdout)
        found = [(f["kind"], f["name"]) for f in swept["found"] if cloud.auth_url in f["where"]]
        assert found == [("key pair", key)]
        assert swept["failed"] == []
    finally:
        cloud.client.nova.keypairs.delete(key)
