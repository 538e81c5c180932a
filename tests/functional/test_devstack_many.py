"""A controller and cloned computes by the real DevStack, on one machine and over two.

Needs its repositories (RDEPLOY_DEVSTACK_REPOS, see devstack_repos); two stack.sh in each test.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from rally_deploy.config import load
from rally_deploy.engines.devstack import DevstackEngine
from tests.functional import devstack_repos, lxc_rig
from tests.functional.conftest import SAMPLES
from tests.functional.hardware_nodes import hardware_nodes, way_out
from tests.functional.openstack_client import Cloud
from tests.functional.test_devstack_real import LOCALRC, empty_image

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(5400), pytest.mark.usefixtures("lxc"),
    pytest.mark.xdist_group("machine"),
]

DEBIAN = {"distribution": "debian", "release": "bookworm"}
HERE = {"host": "localhost", "user": "root", "connection": "local"}
COMPUTES = 4


@pytest.fixture(scope="module")
def git_base(lxc):
    devstack_repos.need()
    lxc_rig.make_stocked_base(DevstackEngine)
    with devstack_repos.Served(devstack_repos.mirror()) as url:
        yield url


def config(git_base, image, first, second, **tunnel):
    """Controller on one machine, cloned computes on another or on the same."""
    devstack = {
        "type": "DevstackEngine", "devstack_branch": devstack_repos.BRANCH, "git_base": git_base,
    }
    # One name is not worth a warning here, and shows that old documents work: n-net.
    computes = {
        "VIRT_DRIVER": "fake", "ENABLED_SERVICES": "n-cpu,n-net", "SERVICE_TIMEOUT": 300,
        "MYSQL_HOST": "{controller_ip}", "RABBIT_HOST": "{contoller_ip}",
        "GLANCE_HOSTPORT": "{controller_ip}:9292", "NOVA_SERVICE_REPORT_INTERVAL": 10,
        "ENABLE_KSM": "False", "ENABLE_KSMTUNED": "False", "WORKER_TIMEOUT": 5,
    }
    return {
        "type": "MultihostEngine",
        "controller": {
            **devstack, "local_conf": {**LOCALRC, "ENABLED_SERVICES+": ",-n-cpu"},
            "files": [{"from": str(image), "to": "empty.img"}],
            "provider": {
                "type": "LxcProvider", "containers_per_host": 1, **DEBIAN,
                "container_name_prefix": "controller",
                "host_provider": {"type": "ExistingServers", "credentials": [first]},
            },
        },
        "nodes": [{
            "type": "LxcEngine", "container_name": "devstack-compute",
            "nodes_per_server": COMPUTES, **DEBIAN, **tunnel,
            "provider": {"type": "ExistingServers", "credentials": [second]},
            "engine": {**devstack, "local_conf": computes},
        }],
    }


@contextlib.contextmanager
def destroyed(rdeploy):
    """What is made inside is gone at the end, as far as this machine is concerned."""
    try:
        yield
    finally:
        rdeploy("destroy", "many", "--yes", timeout=900)
    assert rdeploy.left_over() == []


def every_compute_takes_a_server(rdeploy, computes=COMPUTES):
    """All hypervisors are up, and each takes a server."""
    names = [s["name"] for s in rdeploy.json("show", "many")["servers"]]
    # DevStack numbers the fake computes of a node.
    hosts = [f"{name}1" for name in names if "-compute-" in name]
    assert len(hosts) == computes
    cloud = Cloud(rdeploy, "many")
    assert cloud.hypervisors() == dict.fromkeys(hosts, "up")
    # Nova's own quota is 10 servers.
    cloud("quota", "set", "--instances", computes, "--cores", computes, "--ram", 512 * computes,
          cloud.env["OS_PROJECT_NAME"])
    with ThreadPoolExecutor(2) as pool:
        booted = pool.map(lambda host: cloud.boot(host, "empty", "m1.tiny"), hosts)
        assert list(booted) == hosts
    servers = [s["ID"] for s in cloud.json("server", "list")]
    cloud("server", "delete", "--wait", *servers, timeout=900)


def test_controller_and_clones_on_one_machine(rdeploy, git_base, tmp_path):
    tree = config(git_base, empty_image(tmp_path), HERE, HERE)
    told = rdeploy("validate", rdeploy.config("many", tree))
    assert "n-net" in told.stderr
    with destroyed(rdeploy):
        rdeploy("create", "--name", "many", "--file", rdeploy.config("many", tree), timeout=4000)
        assert "memory per node: " in rdeploy("events", "many").stdout
        every_compute_takes_a_server(rdeploy)


def test_controller_and_clones_on_two_machines_with_a_tunnel(rdeploy, sshd, git_base, tmp_path):
    bridge, network = "rdtdevstack", "10.253.79"
    with hardware_nodes(2, network, bridge) as machines, way_out(bridge, network):
        first, second = machines
        file = rdeploy.config("many", config(
            git_base, empty_image(tmp_path), first.credentials, second.credentials,
            tunnel_to=["{controller_machine_ip}"], tunnel_type="vxlan",
        ))
        with destroyed(rdeploy):
            rdeploy("create", "--name", "many", "--file", file, timeout=4000)
            with Cloud(rdeploy, "many").reached_by(first):
                every_compute_takes_a_server(rdeploy)
        assert [thing for machine in machines for thing in machine.left_over()] == []


def test_computes_trust_a_controller_behind_tls_proxy(rdeploy, git_base, tmp_path):
    tree = config(git_base, empty_image(tmp_path), HERE, HERE)
    tree["controller"]["local_conf"]["ENABLED_SERVICES+"] += ",tls-proxy"
    # Nothing of the controller is named here: all that a compute needs of it is handed on.
    tree["nodes"][0]["engine"]["local_conf"] = {
        key: LOCALRC[key] for key in (
            "VIRT_DRIVER", "SERVICE_TIMEOUT", "WORKER_TIMEOUT", "NOVA_SERVICE_REPORT_INTERVAL",
            "ENABLE_KSM", "ENABLE_KSMTUNED",
        )
    }
    with destroyed(rdeploy):
        rdeploy("create", "--name", "many", "--file", rdeploy.config("many", tree), timeout=4000)
        services = rdeploy.json("show", "many")["credentials"]["services"]
        assert {url.split(":")[0] for url in services.values()} == {"https"}
        every_compute_takes_a_server(rdeploy)


def test_sample_of_64_computes(rdeploy, git_base, tmp_path):
    tree = load(SAMPLES / "multihost-64-computes.json").data
    computes = tree["nodes"][0]
    for engine in (tree["controller"], computes["engine"]):
        engine["git_base"] = git_base
    # What the sample would download.
    tree["controller"]["local_conf"].update(
        {key: LOCALRC[key] for key in ("DOWNLOAD_DEFAULT_IMAGES", "IMAGE_URLS")})
    tree["controller"]["files"] = [{"from": str(empty_image(tmp_path)), "to": "empty.img"}]
    with destroyed(rdeploy):
        rdeploy("create", "--name", "many", "--file", rdeploy.config("many", tree), timeout=4000)
        assert "; 64 nodes" in rdeploy("events", "many").stdout
        every_compute_takes_a_server(rdeploy, 64)
