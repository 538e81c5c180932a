import os

import pytest

from rally_deploy.serverprovider.virsh import VirshProvider
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.unit.serverprovider.virsh.hypervisor import AnsweringShells, Hypervisor


@pytest.fixture(scope="session")
def libvirt():
    """libvirt's Python binding; in CI its absence is a failure."""
    if os.environ.get("CI"):
        import libvirt
        return libvirt
    return pytest.importorskip("libvirt")


@pytest.fixture
def hypervisor(libvirt):
    with Hypervisor() as hypervisor:
        yield hypervisor


@pytest.fixture
def shells():
    return AnsweringShells()


@pytest.fixture
def deployer(tmp_path, shells, recorder):
    (tmp_path / "store").mkdir()
    with open_deployer(
        tmp_path / "store", VirshProvider, shells=lambda: shells, watcher=recorder
    ) as deployer:
        yield deployer


@pytest.fixture
def rig(deployer, hypervisor):
    """Makes (deployment, provider); all of them are destroyed at the end."""
    made = []

    def make(**keys):
        block = {**hypervisor.block, **keys}
        entity = open_deployment(
            deployer, {"type": "FakeEngine", "world": "/nonexistent", "provider": block})
        made.append(entity)
        return entity, entity.provider(entity.config["provider"])

    yield make
    for entity in made:
        entity.provider(entity.config["provider"]).destroy_servers()
    assert hypervisor.ours() == []
