import hashlib
import importlib.util
import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pytest

from rally_deploy.serverprovider.openstack import OpenStackProvider
from rally_deploy.testing.contract import NoShells, open_deployer, open_deployment
from tests.unit.serverprovider.openstack.memory_cloud import MemoryCloud

CONTENT = b"an image" * 5000
MD5 = hashlib.md5(CONTENT).hexdigest()


def pytest_collection_modifyitems(items):
    """The clients of OpenStack are an extra; in CI they have to be there."""
    if os.environ.get("CI") or importlib.util.find_spec("novaclient"):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="needs the extra 'openstack'"))


class QuickProvider(OpenStackProvider):
    """Sleeps a tenth of what it should, and tells how long that is."""

    settle_s = 0.6
    pace = 10

    @cached_property
    def _patience(self):
        self.slept = []
        real = super()._patience

        def sleep(seconds):
            self.slept.append(seconds)
            real.sleep(seconds / self.pace)

        return replace(real, sleep=sleep)


@pytest.fixture
def cloud():
    cloud = MemoryCloud()
    yield cloud
    cloud.close()


@pytest.fixture
def image_file(tmp_path):
    path = tmp_path / "guest.img"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def make_block(cloud, image_file):
    def make(**keys):
        block = {
            "type": "QuickProvider", "deployment_name": "it", "user": "admin",
            "password": "sesame", "tenant": "p", "auth_url": f"{cloud.root}/identity/v3",
            "flavor_id": "1", "amount": 2, "wait_for_ssh": False, "timeout_s": 60,
            "image": {"name": "guest", "format": "raw", "url": str(image_file),
                      "checksum": MD5},
            **keys,
        }
        return {key: value for key, value in block.items() if value is not None}

    return make


@pytest.fixture
def openstack_deployer(tmp_path, recorder):
    folder = tmp_path / "openstack-store"
    folder.mkdir()
    with open_deployer(folder, QuickProvider, watcher=recorder, shells=NoShells) as deployer:
        yield deployer


@pytest.fixture
def provided(openstack_deployer, make_block):
    """Makes deployments, each with its provider."""

    def make(**keys):
        block = make_block(**keys)
        entity = open_deployment(
            openstack_deployer, {"type": "FakeEngine", "world": "/nonexistent", "provider": block}
        )
        return entity, entity.provider(block)

    return make
