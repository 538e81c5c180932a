"""LxcProvider inside a server of OpenStackProvider, on the cloud that DistroEngine makes.

Not among the tests that are found by themselves: under software emulation it takes longer than
most of them together. ``python -m pytest tests/functional/chain_in_openstack.py``
"""

import pytest

from rally_deploy.testing.fakes import plugin_path
from tests.functional.debian_image import debian_on

pytestmark = [pytest.mark.functional, pytest.mark.timeout(7200)]


@pytest.fixture
def debian(cloud, tmp_path):
    with debian_on(cloud, tmp_path) as debian:
        yield debian


def test_containers_in_a_server_of_a_cloud(rdeploy, cloud, debian, tmp_path):
    before = cloud.things()
    rdeploy.env["PYTHONPATH"] = plugin_path(tmp_path / "plugins")
    file = rdeploy.config("chain", {
        "type": "FakeEngine", "world": str(tmp_path / "world"),
        "provider": {
            "type": "LxcProvider", "containers_per_host": 2, "distribution": "debian",
            "release": "bookworm",
            "host_provider": cloud.block(
                **debian, floating_network="public", wait_for_ssh=True, timeout_s=1800),
        },
    })
    try:
        rdeploy("create", "--name", "chain", "--file", file, timeout=6000)
        names = [server["name"] for server in rdeploy.json("show", "chain")["servers"]]
        assert len(names) == 2
        said = [rdeploy("ssh", "chain", name, "--", "hostname").stdout.strip() for name in names]
        assert said == names
    finally:
        rdeploy("destroy", "chain", "--yes", timeout=1800)
    assert cloud.things() == before
