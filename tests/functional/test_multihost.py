"""A controller, cloned computes beside it and on another machine, and a node that fails."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from rally_deploy.engines.distro import DistroEngine
from rally_deploy.testing.fakes import plugin_path
from tests.functional import lxc_rig
from tests.functional.conftest import Rdeploy
from tests.functional.hardware_nodes import hardware_nodes, way_out
from tests.functional.openstack_client import Cloud

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
    lxc_rig.make_stocked_base(DistroEngine, virt_driver="fake")
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


def states(rdeploy):
    return {d["name"]: d["state"] for d in rdeploy.json("list", "--all")}


def test_killed_then_one_node_failing_then_mended_becomes_one_cloud_over_two_machines(
    rdeploy, machines
):
    first, second = machines
    folder = rdeploy.home.parent
    file = rdeploy.config("many", whole(folder, first, second))
    running = rdeploy.start("create", "--name", "many", "--file", file)
    try:
        rdeploy.wait_for_event("many", "make 3 clones", running)
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
        whole_cloud_works(rdeploy, first)
    finally:
        running.kill()
        running.wait()
        rdeploy("destroy", "many", "--yes", timeout=900)
    assert [thing for node in machines for thing in node.left_over()] == []
    assert list((folder / "world").iterdir()) == []


def whole_cloud_works(rdeploy, machine):
    shown = rdeploy.json("show", "many")
    names = [server["name"] for server in shown["servers"]]
    computes = [name for name in names if "-compute-" in name]
    assert "-controller-" in names[0]
    assert len(computes) == 6
    openstack = Cloud(rdeploy, "many")
    with openstack.reached_by(machine):
        assert openstack.hypervisors() == dict.fromkeys(computes, "up")
        with ThreadPoolExecutor(3) as pool:
            booted = pool.map(
                lambda host: openstack.boot(host, "rdeploy-guest", "rdeploy-guest", "private"),
                computes)
            assert list(booted) == computes
        servers = [s["ID"] for s in openstack.json("server", "list")]
        openstack("server", "delete", "--wait", *servers)
    inside = rdeploy("ssh", "many", computes[-1], "--", "hostname").stdout.strip()
    assert inside == computes[-1]
