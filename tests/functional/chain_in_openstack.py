"""LxcProvider inside a server of OpenStackProvider, on the cloud that DistroEngine makes.

Not among the tests that are found by themselves: under software emulation it takes longer than
most of them together. ``python -m pytest tests/functional/chain_in_openstack.py``
"""

import os
from pathlib import Path

import pytest

from rally_deploy.testing.fakes import plugin_path
from tests.functional import debian_template, openstack_rig

pytestmark = [pytest.mark.functional, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def cloud(quick):
    return openstack_rig.RealCloud(quick.rdeploy, quick.name)


@pytest.fixture
def debian(cloud, tmp_path):
    """A Debian with cloud-init: (image, flavor), which are gone at the end."""
    kept = os.environ.get("RDEPLOY_TEST_DEBIAN")
    parts = debian_template.build(Path(kept) if kept else tmp_path / "template")
    images, flavors = cloud.client.glance.images, cloud.client.nova.flavors
    made = []

    def image(name, file, form, **properties):
        one = images.create(
            name=f"rdt-{name}", disk_format=form, container_format=form if form != "qcow2" else
            "bare", visibility="public", **properties)
        made.append(one["id"])
        with (parts / file).open("rb") as data:
            images.upload(one["id"], data)
        return one["id"]

    flavor = flavors.create("rdt-debian", ram=2048, vcpus=1, disk=10)
    try:
        yield image(
            "debian", "disk.qcow2", "qcow2", kernel_id=image("kernel", "vmlinuz", "aki"),
            ramdisk_id=image("ramdisk", "initramfs", "ari"),
            os_command_line=f"console=ttyS0 {debian_template.WORDS}",
        ), flavor.name
    finally:
        for one in made:
            images.delete(one)
        flavor.delete()


def test_containers_in_a_server_of_a_cloud(rdeploy, cloud, debian, tmp_path):
    image, flavor = debian
    before = cloud.things()
    rdeploy.env["PYTHONPATH"] = plugin_path(tmp_path / "plugins")
    file = rdeploy.config("chain", {
        "type": "FakeEngine", "world": str(tmp_path / "world"),
        "provider": {
            "type": "LxcProvider", "containers_per_host": 2, "distribution": "debian",
            "release": "bookworm",
            "host_provider": cloud.block(
                image={"uuid": image}, flavor_id=flavor, floating_network="public",
                wait_for_ssh=True, timeout_s=1800),
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
