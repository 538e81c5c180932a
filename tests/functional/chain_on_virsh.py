"""DistroEngine on domains that VirshProvider cloned, as ``rdeploy`` does it.

Not among the tests that are found by themselves: under software emulation it takes longer than
all of them together. ``python -m pytest tests/functional/chain_on_virsh.py``
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.functional import debian_template
from tests.functional.hardware_nodes import way_out
from tests.functional.libvirt_rig import Libvirtd

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(7200), pytest.mark.usefixtures("lxc"),
]

BRIDGE, NETWORK = "rdtchain", "172.31.99"

# Open: its guests reach the outside by the rules that are made here, not by libvirt's.
LAN = f"""<network><name>chain</name><forward mode='open'/>
<bridge name='{BRIDGE}' stp='off' delay='0'/>
<ip address='{NETWORK}.1' netmask='255.255.255.0'><dhcp>
<range start='{NETWORK}.10' end='{NETWORK}.99'/></dhcp></ip></network>"""


@pytest.fixture
def here(tmp_path):
    kept = os.environ.get("RDEPLOY_TEST_DEBIAN")
    parts = debian_template.build(Path(kept) if kept else tmp_path / "template")
    with Libvirtd(parts) as here:
        here.connection.networkCreateXML(LAN)
        shutil.copy(parts / "disk.qcow2", here.pool / "debian.qcow2")
        here.connection.storagePoolLookupByName("rdt").refresh()
        here.define("debian", debian_template.WORDS, memory_mb=4000, disk="debian.qcow2",
                    network="chain")
        with way_out(BRIDGE, NETWORK):
            yield here


def test_keystone_in_a_clone(rdeploy, here):
    file = rdeploy.config("cloud", {
        "type": "DistroEngine", "services": ["keystone"],
        "provider": here.block(template_name="debian", template_key="", timeout_s=900),
    })
    try:
        rdeploy("create", "--name", "cloud", "--file", file, timeout=6000)
        assert "identity" in rdeploy("check", "cloud").stdout
    finally:
        rdeploy("destroy", "cloud", "--yes", timeout=900)
    assert here.ours() == []
    assert rdeploy.left_over() == []
