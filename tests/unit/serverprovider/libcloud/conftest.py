import pytest

from rally_deploy.serverprovider.libcloud import LibcloudProvider
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.functional.killing_outside import AnsweringShells
from tests.unit.serverprovider.libcloud import kept


@pytest.fixture(autouse=True)
def _known():
    kept.known()


@pytest.fixture
def cloud(tmp_path):
    """The cloud, with something in it that is not ours."""
    cloud = kept.KeptCloud(tmp_path / "cloud")
    cloud.add("node", "somebody-elses", state="running", ip="192.0.2.250", extra={})
    return cloud


@pytest.fixture
def provided(tmp_path, recorder, cloud):
    """Makes a LibcloudProvider of a new deployment; ``block`` is added to what every one has."""
    (tmp_path / "provided").mkdir()
    with open_deployer(
        tmp_path / "provided", LibcloudProvider, watcher=recorder, shells=AnsweringShells
    ) as deployer:

        def make(**keys):
            block = {
                "type": "LibcloudProvider", "driver": "marked", "image": "ubuntu-24.04",
                "driver_args": {"creds": str(cloud.folder)}, **keys,
            }
            entity = open_deployment(
                deployer, {"type": "FakeEngine", "world": str(tmp_path), "provider": block})
            return entity, entity.provider(block)

        yield make
