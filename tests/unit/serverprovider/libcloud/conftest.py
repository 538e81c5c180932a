import pytest

from rally_deploy.serverprovider.libcloud import LibcloudProvider, waiting
from rally_deploy.serverprovider.libcloud import cloud as clouds
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.functional.killing_outside import AnsweringShells
from tests.unit.serverprovider.libcloud import kept


@pytest.fixture(autouse=True)
def _known():
    kept.known()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Waits as long as the cloud of these tests needs, which is no time at all."""
    monkeypatch.setattr(clouds, "_PAUSE_S", (0.02, 0.05))
    monkeypatch.setattr(clouds.Cloud, "settle_s", 0.3)
    monkeypatch.setattr(waiting, "_POLL_S", 0.1)
    monkeypatch.setattr(waiting, "_LOGIN_POLL_S", 0.05)


@pytest.fixture
def settle(monkeypatch):
    """Sets how long the cloud may take to list what it has made."""
    return lambda settle_s: monkeypatch.setattr(clouds.Cloud, "settle_s", settle_s)


@pytest.fixture
def shells():
    return AnsweringShells()


@pytest.fixture
def cloud(tmp_path):
    """The cloud, with something in it that is not ours."""
    cloud = kept.KeptCloud(tmp_path / "cloud")
    cloud.add("node", "somebody-elses", state="running", ip="192.0.2.250", extra={})
    return cloud


@pytest.fixture
def libcloud_deployer(tmp_path, recorder, shells):
    (tmp_path / "provided").mkdir()
    with open_deployer(
        tmp_path / "provided", LibcloudProvider, watcher=recorder, shells=lambda: shells
    ) as deployer:
        yield deployer


@pytest.fixture
def provided(tmp_path, cloud, libcloud_deployer):
    """Makes a LibcloudProvider of a new deployment; ``keys`` are added to what every one has."""

    def make(**keys):
        block = {
            "type": "LibcloudProvider", "driver": "marked", "image": "ubuntu-24.04",
            "driver_args": {"creds": str(cloud.folder)}, **keys,
        }
        entity = open_deployment(
            libcloud_deployer, {"type": "FakeEngine", "world": str(tmp_path), "provider": block})
        return entity, entity.provider(block)

    return make
