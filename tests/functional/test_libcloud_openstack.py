"""LibcloudProvider on a real OpenStack, the quick start's: what it makes, and who logs in."""

import json
import uuid

import pytest

from rally_deploy.errors import RallyDeployError
from rally_deploy.serverprovider.libcloud import drivers
from rally_deploy.serverprovider.libcloud.cloud import CloudFailed
from tests.functional import libcloud_rig, openstack_rig
from tests.functional.conftest import STANDING

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(2400),
    pytest.mark.xdist_group("cloud"),
]


@pytest.fixture(scope="module")
def libcloud(cloud):
    """A driver of our own, beside those under test."""
    return drivers.make("openstack", libcloud_rig.arguments(cloud))


@pytest.fixture
def provided(tmp_path, monkeypatch, cloud):
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))
    with libcloud_rig.deployments(tmp_path / "rig", cloud) as make:
        yield make


@pytest.mark.skipif("fake" in STANDING, reason="servers of Nova's fake driver answer to nobody")
def test_rdeploy_logs_in_to_servers_with_the_deployments_key(cloud, tmp_path):
    block = libcloud_rig.block(cloud, amount=2, wait_for_ssh=True)
    whole = openstack_rig.Whole(tmp_path / "login", block, command=["hostname"])
    with libcloud_rig.left_as_it_was(cloud), libcloud_rig.routed(cloud):
        try:
            whole.create()
            shown = whole.rdeploy.json("show", "it")
            tag = f"rd-{shown['uuid'][:8]}"
            assert [s["name"] for s in shown["servers"]] == [f"{tag}-server-0", f"{tag}-server-1"]
            for server in shown["servers"]:
                done = whole.rdeploy("ssh", "it", server["name"], "--", "hostname")
                assert done.stdout.strip() == server["name"]
        finally:
            whole.destroy()
        assert libcloud_rig.ours(cloud, tag.removeprefix("rd-")) == []


def test_servers_carry_our_uuid_and_key_and_are_gone_at_the_end(cloud, provided, libcloud):
    entity, provider = provided(amount=2, security_groups=["default"])
    servers = provider.create_servers()
    tag = f"rd-{entity.record.short}"
    nodes = {n.name: n for n in libcloud.list_nodes() if n.name.startswith(tag)}
    assert set(nodes) == {f"{tag}-server-0", f"{tag}-server-1"} == {s.name for s in servers}
    assert {n.extra["metadata"]["rdeploy"] for n in nodes.values()} == {entity.uuid}
    assert {n.extra["key_name"] for n in nodes.values()} == {f"{tag}-key"}
    assert {s.host for s in servers} == {n.private_ips[0] for n in nodes.values()}
    assert provider.create_servers() == servers
    with libcloud_rig.server(cloud, servers[0].name) as foreign:
        provider.destroy_servers()
        left = [(n.name, n.id) for n in libcloud.list_nodes() if n.name.startswith(tag)]
        assert left == [(servers[0].name, foreign.id)]
    assert f"{tag}-key" not in [pair.name for pair in libcloud.list_key_pairs()]


def test_smallest_size_that_fits_and_the_group_of_our_project_are_taken(
    cloud, provided, libcloud
):
    network, others = cloud.client.network, uuid.uuid4().hex
    project = cloud.client.session.get_project_id()
    own, = network.security_groups(name="default", project_id=project)
    # With it Neutron makes the default group of that project, which an administrator sees, too.
    network.create_security_group(name="web", project_id=others)
    try:
        assert len(list(network.security_groups(name="default"))) >= 2
        _, provider = provided(
            size={"ram": 1, "cpus": 1}, security_groups=["default"],
            driver_args=libcloud_rig.arguments(cloud, **libcloud_rig.NEWER))
        server, = provider.create_servers()
        node = next(n for n in libcloud.list_nodes() if n.name == server.name)
        smallest = min(libcloud.list_sizes(), key=lambda s: (s.ram, s.disk, s.vcpus, s.name))
        assert node.extra["flavorId"] == smallest.id
        port, = network.ports(device_id=node.id)
        assert port.security_group_ids == [own.id]
    finally:
        for group in list(network.security_groups(project_id=others)):
            network.delete_security_group(group.id)


def test_server_without_a_host_tells_novas_fault_and_is_made_anew(cloud, provided):
    flavors = cloud.client.nova.flavors
    flavor = flavors.create("rdt-libcloud-large", 160, 1, 10_000_000)
    try:
        entity, provider = provided(size=flavor.name)
        with pytest.raises(CloudFailed, match="could not start .* No valid host was found"):
            provider.create_servers()
        again = entity.provider({**entity.config["provider"], "size": "rdeploy-guest"})
        assert len(again.create_servers()) == 1
        assert len(libcloud_rig.ours(cloud, entity.record.short)) == 2
    finally:
        flavors.delete(flavor.id)


@pytest.mark.parametrize("driver", [{}, libcloud_rig.NEWER], ids=["nova", "services"])
@pytest.mark.parametrize(("keys", "message"), [
    ({"image": "no-such"}, "no image 'no-such'"),
    ({"size": "no-such"}, "no size 'no-such'"),
    ({"security_groups": ["no-such"]}, "no security group 'no-such'"),
    ({"allow_networks": "no-such"}, "no network of the cloud is allowed"),
    ({"volumes": {"count": 1, "size": 1}}, "no service to list volumes"),
])
def test_wish_that_the_cloud_has_not_is_told_and_nothing_made(
    cloud, provided, keys, message, driver
):
    entity, provider = provided(driver_args=libcloud_rig.arguments(cloud, **driver), **keys)
    with pytest.raises(RallyDeployError, match=message):
        provider.create_servers()
    assert provider.deployment.ledger.alive() == []
    assert libcloud_rig.ours(cloud, entity.record.short) == []


def test_wrong_password_is_told(cloud, provided):
    _, provider = provided(driver_args=libcloud_rig.arguments(cloud, password="wrong"))
    with pytest.raises(RallyDeployError, match="the cloud did not") as caught:
        provider.create_servers()
    assert "driver_args" in caught.value.remedy
    assert "wrong" not in str(caught.value)


def test_sweep_lists_what_no_ledger_has(cloud, tmp_path):
    block = libcloud_rig.block(cloud, size="no-such")
    whole = openstack_rig.Whole(tmp_path / "swept", block)
    with libcloud_rig.left_as_it_was(cloud):
        key = cloud.foreign_key("rd-01234abc-key")
        try:
            assert "no size 'no-such'" in whole.create(check=False).stderr
            whole.destroy()
            swept = json.loads(whole.rdeploy("sweep", "--json", check=False).stdout)
            found = [(f["kind"], f["name"]) for f in swept["found"]
                     if f["where"].startswith("libcloud openstack")]
            assert ("key pair", key) in found
            assert swept["failed"] == []
        finally:
            cloud.client.nova.keypairs.delete(key)
