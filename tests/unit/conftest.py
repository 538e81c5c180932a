import pytest

from rally_deploy.testing.contract import NoShells, open_deployer, open_deployment
from rally_deploy.testing.world import World


class Recorder:
    """A watcher that keeps what it was told."""

    def __init__(self):
        self.events, self.outputs = [], []

    def event(self, event):
        self.events.append(event)

    def output(self, output):
        self.outputs.append(output)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """No test touches the user's own folders."""
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def deployer(tmp_path, recorder):
    (tmp_path / "store").mkdir()
    with open_deployer(tmp_path / "store", watcher=recorder, shells=NoShells) as deployer:
        yield deployer


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "world")


@pytest.fixture
def config(tmp_path):
    """A small whole cloud in the world."""
    folder = str(tmp_path / "world")
    return {
        "type": "FakeEngine", "world": folder,
        "provider": {"type": "FakeProvider", "world": folder, "amount": 2},
    }


@pytest.fixture
def deployment(deployer, config):
    return open_deployment(deployer, config)
