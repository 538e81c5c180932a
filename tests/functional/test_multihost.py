"""A controller, cloned computes beside it and on another machine, and a node that fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from rally_deploy.testing.fakes import plugin_path
from tests.functional import lxc_rig
from tests.functional.conftest import Rdeploy, need
from tests.functional.hardware_nodes import hardware_nodes, way_out
from tests.functional.sshd_hosts import sh

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(5400), pytest.mark.usefixtures("lxc", "sshd"),
    pytest.mark.xdist_group("machine"),
]

DEBIAN = {"distribution": "debian", "release": "bookworm"}


def cloned(host, count, **keys):
    """A node: that many computes on this machine, all but the first one clones."""
    return {
        "type": "LxcEngine", "container_name": "compute", "containers_per_host": count, **DEBIAN,
        "provider": {"type": "ExistingServers", "credentials": [host.credentials]},
        "engine": {"type": "DistroEngine", "virt_driver": "fake"}, **keys,
    }


def whole(folder, first, second):
    """Controller and four computes on one machine, two more on another, and a fake node."""
    world = str(folder / "world")
    return {
        "type": "MultihostEngine",
        "controller": {
            "type": "DistroEngine", "virt_driver": "fake", "roles": ["controller"],
            "provider": {
                "type": "LxcProvider", "containers_per_host": 1, **DEBIAN,
                "container_name_prefix": "controller",
                "host_provider": {
                    "type": "ExistingServers", "credentials": [first.credentials]},
            },
        },
        "nodes": [
            cloned(first, 4),
            cloned(second, 2, tunnel_to=["{controller_machine_ip}"], tunnel_type="vxlan"),
            {
                "type": "FakeEngine", "world": world,
                "provider": {"type": "FakeProvider", "world": world},
                "command": ["test", "-e", str(folder / "mended")],
            },
        ],
    }


@pytest.fixture(scope="module")
def machines():
    lxc_rig.make_base()
    bridge, network = "rdtmany", "10.253.78"
    with hardware_nodes(2, network, bridge) as nodes, way_out(bridge, network):
        yield nodes


@pytest.fixture(scope="module")
def rdeploy(tmp_path_factory):
    """With the fakes beside the installed plugins."""
    folder = tmp_path_factory.mktemp("multihost")
    rdeploy = Rdeploy(folder / "home")
    rdeploy.env["PYTHONPATH"] = plugin_path(folder / "plugins")
    return rdeploy


@pytest.fixture(scope="module")
def client():
    """The ``openstack`` command of this environment, or of the machine."""
    beside = Path(sys.executable).with_name("openstack")
    if not beside.exists():
        need("the openstack client", "openstack")
    return str(beside) if beside.exists() else shutil.which("openstack")


class Outside:
    """The ``openstack`` client on this machine, with a way to the controller's container."""

    def __init__(self, rdeploy, machine, client):
        self._command = client
        text = rdeploy("openrc", "many").stdout
        shown = subprocess.run(
            ["sh", "-c", f"{text}\nenv -0"], capture_output=True, text=True, check=True).stdout
        pairs = (line.split("=", 1) for line in shown.split("\0") if line.startswith("OS_"))
        self._env = {**os.environ, **dict(pairs), "OS_COMPUTE_API_VERSION": "2.88"}
        self.address = urlsplit(self._env["OS_AUTH_URL"]).hostname
        self._route = (f"{self.address}/32", "via", machine.address)

    def __enter__(self):
        sh("ip", "route", "add", *self._route)
        return self

    def __exit__(self, *_):
        sh("ip", "route", "del", *self._route, check=False)

    def __call__(self, *arguments):
        done = subprocess.run(
            [self._command, *arguments], env=self._env, capture_output=True, text=True,
            timeout=400, check=False)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *arguments):
        return json.loads(self(*arguments, "-f", "json"))

    def boot(self, host):
        """Where a server of this host runs, once it does."""
        made = self.json("server", "create", "--image", "rdeploy-guest", "--flavor",
                         "rdeploy-guest", "--network", "private", "--host", host, "--wait",
                         f"on-{host}")
        assert made["status"] == "ACTIVE", made
        return made["OS-EXT-SRV-ATTR:host"]


def wait_for_event(rdeploy, title, running, timeout=3000):
    end = time.monotonic() + timeout
    while title not in rdeploy("events", "many", check=False).stdout:
        assert running.poll() is None, running.stdout.read()
        assert time.monotonic() < end, f"'{title}' was not reached"
        time.sleep(2)


def states(rdeploy):
    return {d["name"]: d["state"] for d in rdeploy.json("list", "--all")}


def test_killed_then_one_node_failing_then_mended_becomes_one_cloud_over_two_machines(
    client, rdeploy, machines
):
    first, second = machines
    folder = rdeploy.home.parent
    file = rdeploy.config("many", whole(folder, first, second))
    running = rdeploy.start("create", "--name", "many", "--file", file)
    try:
        wait_for_event(rdeploy, "make 3 clones", running)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()

        failed = rdeploy("resume", "many", timeout=2400, check=False)
        assert failed.returncode == 1, failed.stdout + failed.stderr
        assert "1 of 3 nodes failed: node-2" in failed.stderr + failed.stdout
        found = states(rdeploy)
        assert {name: found[f"many{name}"] for name in
                ("", "/controller", "/node-0", "/node-1", "/node-2")} == {
            "": "failed", "/controller": "ready", "/node-0": "ready", "/node-1": "ready",
            "/node-2": "failed"}

        (folder / "mended").touch()
        begin = time.monotonic()
        rdeploy("resume", "many", timeout=600)
        # Nothing that was ready is deployed again.
        assert time.monotonic() - begin < 300
        assert set(states(rdeploy).values()) == {"ready"}
        whole_cloud_works(rdeploy, first, client)
    finally:
        running.kill()
        running.wait()
        rdeploy("destroy", "many", "--yes", timeout=900)
    assert [thing for node in machines for thing in node.left_over()] == []
    assert list((folder / "world").iterdir()) == []


def whole_cloud_works(rdeploy, machine, client):
    shown = rdeploy.json("show", "many")
    names = [server["name"] for server in shown["servers"]]
    computes = [name for name in names if "-compute-" in name]
    assert "-controller-" in names[0]
    assert len(computes) == 6
    with Outside(rdeploy, machine, client) as openstack:
        found = {h["Hypervisor Hostname"]: h["State"]
                 for h in openstack.json("hypervisor", "list")}
        assert found == dict.fromkeys(computes, "up")
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(openstack.boot, computes)) == computes
        servers = [s["ID"] for s in openstack.json("server", "list")]
        openstack("server", "delete", "--wait", *servers)
    inside = rdeploy("ssh", "many", computes[-1], "--", "hostname").stdout.strip()
    assert inside == computes[-1]
