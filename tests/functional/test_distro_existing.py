"""DistroEngine on a server that is not ours: destroy undoes what it installed, and only that."""

import subprocess

import pytest

from rally_deploy.testing.fakes import plugin_path

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


@pytest.fixture
def foreign(rdeploy, tmp_path, lxc):
    """A machine that another deployment made, as far as DistroEngine is concerned a stranger."""
    rdeploy.env["PYTHONPATH"] = plugin_path(tmp_path / "plugins")
    file = rdeploy.config("machine", {
        "type": "FakeEngine", "world": str(tmp_path / "world"),
        "provider": {
            "type": "LxcProvider", "containers_per_host": 1, "distribution": "debian",
            "release": "bookworm",
            "host_provider": {
                "type": "ExistingServers",
                "credentials": [{"host": "localhost", "user": "root", "connection": "local"}],
            },
        },
    })
    try:
        rdeploy("create", "--name", "machine", "--file", file)
        address = rdeploy.json("show", "machine")["servers"][0]["host"]
        config = rdeploy("ssh-config", "machine").stdout
        key = next(
            line.split(None, 1)[1].strip('"') for line in config.splitlines()
            if "IdentityFile" in line
        )
        yield address, key
    finally:
        rdeploy("destroy", "machine", "--yes")


def look(address, key):
    done = subprocess.run(
        ["ssh", "-i", key, "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
         "-o", "UserKnownHostsFile=/dev/null", f"root@{address}", LOOK],
        capture_output=True, text=True, timeout=120, check=False,
    )
    return done.stdout.splitlines()


def test_keystone_on_a_foreign_server_comes_and_goes_without_a_trace(rdeploy, foreign):
    address, key = foreign
    before = look(address, key)
    assert "openssh-server installed" in before
    file = rdeploy.config("cloud", {
        "type": "DistroEngine", "services": ["keystone"],
        "provider": {
            "type": "ExistingServers",
            "credentials": [{"host": address, "user": "root", "key": key}],
        },
    })
    try:
        rdeploy("create", "--name", "cloud", "--file", file, timeout=1200)
        assert "identity" in rdeploy("check", "cloud").stdout
        assert "keystone installed" in look(address, key)
    finally:
        rdeploy("destroy", "cloud", "--yes", timeout=600)
    assert look(address, key) == before
