"""LibcloudProvider on a real OpenStack, the quick start's."""

import pytest

from rally_deploy.errors import RallyDeployError
from rally_deploy.serverprovider.libcloud import LibcloudProvider, drivers
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.functional.killing_outside import AnsweringShells
from tests.functional.lxc_rig import ServersOnly
from tests.functional.openstack_client import Cloud

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(2400),
    pytest.mark.xdist_group("cloud"),
]


@pytest.fixture(scope="module")
def cloud(quick):
    return Cloud(quick.rdeploy, quick.name)


class TestOnOpenStack:
    """What is made there, found again, and gone at the end."""

    @pytest.fixture
    def arguments(self, cloud):
        return {
            "username": cloud.env["OS_USERNAME"], "password": cloud.env["OS_PASSWORD"],
            "ex_force_auth_url": cloud.env["OS_AUTH_URL"],
            "ex_force_auth_version": "3.x_password",
            "ex_tenant_name": cloud.env["OS_PROJECT_NAME"],
            "ex_force_service_region": cloud.env.get("OS_REGION_NAME", "RegionOne"),
        }

    @pytest.fixture
    def libcloud(self, arguments):
        return drivers.make("openstack", arguments)

    @pytest.fixture
    def provided(self, tmp_path, arguments, monkeypatch):
        monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))
        (tmp_path / "rig").mkdir()
        entities = []
        with open_deployer(
            tmp_path / "rig", ServersOnly, LibcloudProvider, shells=AnsweringShells
        ) as rig:

            def make(**keys):
                block = {
                    "type": "LibcloudProvider", "driver": "openstack", "driver_args": arguments,
                    "image": "rdeploy-guest", "size": "rdeploy-guest", "allow_networks": "private",
                    "ssh_interface": "private_ips", **keys,
                }
                entity = open_deployment(rig, {"type": "ServersOnly", "provider": block})
                entities.append(entity)
                return entity, entity.provider(block)

            yield make
            for entity in entities:
                entity.provider(entity.config["provider"]).destroy_servers()
                rig.store.resources.assert_all_gone(entity.uuid)

    def test_servers_carry_our_uuid_and_key_and_are_gone_at_the_end(self, provided, libcloud):
        entity, provider = provided(amount=2, security_groups=["default"])
        servers = provider.create_servers()
        tag = f"rd-{entity.record.short}"
        nodes = {n.name: n for n in libcloud.list_nodes() if n.name.startswith(tag)}
        assert set(nodes) == {f"{tag}-server-0", f"{tag}-server-1"} == {s.name for s in servers}
        assert {n.extra["metadata"]["rdeploy"] for n in nodes.values()} == {entity.uuid}
        assert {n.extra["key_name"] for n in nodes.values()} == {f"{tag}-key"}
        assert {s.host for s in servers} == {n.private_ips[0] for n in nodes.values()}
        assert provider.create_servers() == servers
        provider.destroy_servers()
        assert [n.name for n in libcloud.list_nodes() if n.name.startswith(tag)] == []
        assert f"{tag}-key" not in [pair.name for pair in libcloud.list_key_pairs()]

    def test_smallest_size_that_fits_is_taken(self, provided, libcloud):
        entity, provider = provided(size={"ram": 1, "cpus": 1})
        server, = provider.create_servers()
        node = next(n for n in libcloud.list_nodes() if n.name == server.name)
        smallest = min(libcloud.list_sizes(), key=lambda s: (s.ram, s.disk, s.vcpus, s.name))
        assert node.extra["flavorId"] in (smallest.id, smallest.name, None)

    @pytest.mark.parametrize(("keys", "message"), [
        ({"image": "no-such"}, "no image 'no-such'"),
        ({"size": "no-such"}, "no size 'no-such'"),
        ({"security_groups": ["no-such"]}, "no security group 'no-such'"),
        ({"allow_networks": "no-such"}, "no network of the cloud is allowed"),
    ])
    def test_wish_that_the_cloud_has_not_is_told_and_nothing_made(
        self, provided, libcloud, keys, message
    ):
        entity, provider = provided(**keys)
        with pytest.raises(RallyDeployError, match=message):
            provider.create_servers()
        assert provider.deployment.ledger.alive() == []
        tag = f"rd-{entity.record.short}"
        assert [n.name for n in libcloud.list_nodes() if n.name.startswith(tag)] == []

    def test_wrong_password_is_told(self, provided, arguments):
        entity, provider = provided(driver_args={**arguments, "password": "wrong"})
        with pytest.raises(RallyDeployError, match="the cloud did not") as caught:
            provider.create_servers()
        assert "driver_args" in caught.value.remedy
        assert "wrong" not in str(caught.value)
