"""A real OpenStack from the quick start's config, used from outside as a person would."""

import os
import shlex
import signal
import subprocess
import time

import pytest

from tests.functional.conftest import Rdeploy
from tests.functional.openstack_client import Cloud
from tests.functional.sshd_hosts import until

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(2400),
    pytest.mark.xdist_group("cloud"),
]

NODES = {
    "type": "DistroEngine",
    "virt_driver": "fake",
    "provider": {
        "type": "LxcProvider",
        "containers_per_host": 2,
        "distribution": "debian",
        "release": "bookworm",
        "host_provider": {
            "type": "ExistingServers",
            "credentials": [{"host": "localhost", "user": "root", "connection": "local"}],
        },
    },
}


@pytest.fixture(scope="module")
def cloud(quick):
    return Cloud(quick.rdeploy, quick.name)


@pytest.mark.usefixtures("lxc")
class TestAllInOne:
    def test_every_service_of_the_catalog_answers(self, cloud):
        done = cloud.rdeploy("check", "quick")
        for service in ("identity", "image", "placement", "compute", "network"):
            assert service in done.stdout

    def test_server_is_booted_and_reached_over_ssh_from_outside(self, cloud, tmp_path):
        key = tmp_path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        cloud("keypair", "create", "--public-key", f"{key}.pub", "mine")
        made = cloud.json(
            "server", "create", "--image", "rdeploy-guest", "--flavor", "rdeploy-guest",
            "--network", "private", "--key-name", "mine", "--wait", "vm",
        )
        assert made["status"] == "ACTIVE"
        address = cloud.json("floating", "ip", "create", "public")["floating_ip_address"]
        try:
            cloud("server", "add", "floating", "ip", "vm", address)
            assert reach(address, key, "hostname") == "vm"
        finally:
            cloud("server", "delete", "--wait", "vm")
            cloud("floating", "ip", "delete", address)

    def test_proof_has_left_nothing_in_the_cloud(self, cloud):
        assert cloud.json("server", "list", "--all-projects") == []
        assert cloud.json("floating", "ip", "list") == []

    def test_all_agents_and_services_are_up(self, cloud):
        assert {s["State"] for s in cloud.json("compute", "service", "list")} == {"up"}
        agents = cloud.json("network", "agent", "list")
        assert {a["Binary"] for a in agents if a["Alive"]} == {
            "neutron-linuxbridge-agent", "neutron-dhcp-agent", "neutron-l3-agent",
            "neutron-metadata-agent",
        }

    def test_password_stands_in_no_log_and_no_event(self, cloud):
        password = cloud.env["OS_PASSWORD"]
        shown = cloud.rdeploy("events", "quick").stdout + cloud.rdeploy("show", "quick").stdout
        files = [p for p in cloud.rdeploy.home.rglob("*") if p.is_file()]
        assert password not in shown
        assert [p for p in files if password.encode() in p.read_bytes()] == []


def reach(address, key, command, timeout=240):
    """What a command prints over SSH, once the guest lets us in."""
    end = time.monotonic() + timeout
    while True:
        done = subprocess.run(
            ["ssh", "-i", str(key), "-o", "StrictHostKeyChecking=no", "-o", "BatchMode=yes",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=10",
             f"root@{address}", command],
            capture_output=True, text=True, timeout=120, check=False,
        )
        if done.returncode == 0 and done.stdout.strip() not in ("", "guest"):
            return done.stdout.strip()
        assert time.monotonic() < end, f"{shlex.join(done.args)}\n{done.stdout}{done.stderr}"
        time.sleep(1)


@pytest.mark.usefixtures("lxc")
def test_killed_controller_and_compute_are_resumed_to_a_whole_cloud(tmp_path):
    rdeploy = Rdeploy(tmp_path / "home")
    file = rdeploy.config("nodes", NODES)
    running = rdeploy.start("create", "--name", "nodes", "--file", file)
    try:
        rdeploy.wait_for_event("nodes", "start database and broker", running)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        rdeploy("resume", "nodes", timeout=1500)
        cloud = Cloud(rdeploy, "nodes")
        hypervisors = cloud.json("hypervisor", "list")
        assert len(hypervisors) == 1
        services = cloud.json("compute", "service", "list")
        hosts = {s["Binary"]: s["Host"] for s in services}
        assert hosts["nova-compute"] != hosts["nova-scheduler"]
        made = cloud.json(
            "server", "create", "--image", "rdeploy-guest", "--flavor", "rdeploy-guest",
            "--network", "private", "--wait", "vm",
        )
        assert made["OS-EXT-SRV-ATTR:host"] == hosts["nova-compute"]
        cloud("server", "delete", "--wait", "vm")
    finally:
        running.kill()
        running.wait()
        rdeploy("destroy", "nodes", "--yes", timeout=600)
    assert rdeploy.json("list") == []
    # The marks of jobs that were ended go by themselves.
    until(lambda: rdeploy.left_over() == [], "nothing left", timeout_s=60)
