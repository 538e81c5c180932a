"""A real OpenStack from the quick start's config, used from outside as a person would."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.functional.conftest import SAMPLES, Rdeploy, need, on_machine

pytestmark = [pytest.mark.functional, pytest.mark.timeout(2400)]

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
def openstack_command():
    """The client of this environment, or of the machine."""
    beside = Path(sys.executable).with_name("openstack")
    if not beside.exists():
        need("the openstack client", "openstack")
    return str(beside) if beside.exists() else shutil.which("openstack")


class Cloud:
    """A deployed cloud, seen from outside."""

    def __init__(self, rdeploy, name, command):
        self.rdeploy, self.name, self._command = rdeploy, name, command
        text = rdeploy("openrc", name).stdout
        shown = subprocess.run(
            ["sh", "-c", f"{text}\nenv -0"], capture_output=True, text=True, check=True
        ).stdout
        pairs = (line.split("=", 1) for line in shown.split("\0") if line.startswith("OS_"))
        self.env = {**os.environ, **dict(pairs)}

    def __call__(self, *arguments, timeout=300):
        done = subprocess.run(
            [self._command, *arguments], env=self.env, capture_output=True, text=True,
            timeout=timeout, check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def json(self, *arguments):
        return json.loads(self(*arguments, "-f", "json"))


@pytest.fixture(scope="module")
def left_over():
    """What the deployments of this module have left on the machine, once they are destroyed."""
    return {}


# Of the class: it is destroyed before the next test looks at what it has left.
@pytest.fixture(scope="class")
def cloud(tmp_path_factory, lxc, openstack_command, left_over):
    rdeploy = Rdeploy(tmp_path_factory.mktemp("cloud") / "home")
    before = on_machine()
    try:
        rdeploy("create", "--name", "quick", "--file", SAMPLES / "quickstart.json", timeout=2000)
        yield Cloud(rdeploy, "quick", openstack_command)
    finally:
        rdeploy("destroy", "quick", "--yes", timeout=600, check=False)
    after = on_machine()
    left_over["quick"] = {k: [v for v in after[k] if v not in before[k]] for k in after}


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


def test_quick_cloud_has_left_nothing_on_the_machine(left_over):
    assert {k: v for k, v in left_over["quick"].items() if v} == {}


@pytest.mark.usefixtures("lxc", "clean_machine")
def test_killed_controller_and_compute_are_resumed_to_a_whole_cloud(tmp_path, openstack_command):
    rdeploy = Rdeploy(tmp_path / "home")
    file = rdeploy.config("nodes", NODES)
    running = rdeploy.start("create", "--name", "nodes", "--file", file)
    try:
        wait_for_event(rdeploy, "nodes", "start database and broker")
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        rdeploy("resume", "nodes", timeout=1500)
        cloud = Cloud(rdeploy, "nodes", openstack_command)
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


def wait_for_event(rdeploy, name, title, timeout=1200):
    end = time.monotonic() + timeout
    while title not in rdeploy("events", name, check=False).stdout:
        assert time.monotonic() < end, f"'{title}' was not reached"
        time.sleep(2)
