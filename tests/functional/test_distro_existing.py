"""DistroEngine on a server that is not ours: destroy undoes what it installed, and only that."""

import pytest

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(1500),
    pytest.mark.xdist_group("cloud"),
]

LOOK = """
dpkg-query -W -f '${Package} ${db:Status-Status}\\n' | grep -v not-installed | sort
ls /etc/apt/sources.list.d /etc/systemd/system /var/lib/mysql /var/lib/rdeploy /etc/keystone 2>&1
cut -d: -f1 /etc/passwd
ip -o link | cut -d: -f2
"""


def test_keystone_on_a_foreign_server_comes_and_goes_without_a_trace(rdeploy, stranger):
    before = stranger.run(LOOK)
    assert "openssh-server installed" in before
    file = rdeploy.config("cloud", {
        "type": "DistroEngine", "services": ["keystone"], "provider": stranger.provider,
    })
    try:
        rdeploy("create", "--name", "cloud", "--file", file, timeout=1200)
        assert "identity" in rdeploy("check", "cloud").stdout
        assert "keystone installed" in stranger.run(LOOK)
    finally:
        rdeploy("destroy", "cloud", "--yes", timeout=600)
    assert stranger.run(LOOK).splitlines() == before.splitlines()
