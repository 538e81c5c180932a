"""The provider's contract, on a cloud in memory."""

import pytest

from rally_deploy.testing.contract import NoShells, ProviderContract
from tests.unit.serverprovider.openstack.conftest import QuickProvider


class TestOpenStackContract(ProviderContract):
    plugin = QuickProvider

    @pytest.fixture(autouse=True)
    def own_cloud(self, cloud):
        self.cloud = cloud

    @pytest.fixture
    def block(self, make_block):
        return make_block(floating_network="public")

    def deployer_options(self):
        return {"shells": NoShells}

    def leftovers(self, block):
        return self.cloud.things()


class TestContractWithVolumes(TestOpenStackContract):
    @pytest.fixture
    def block(self, make_block):
        return make_block(volume_size_gb=4, secgroup_name="Rally", nics=[{"net-id": "private"}])
