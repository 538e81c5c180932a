"""The real DevStack: one node, used from outside as a person would.

Needs its repositories (RDEPLOY_DEVSTACK_REPOS, see devstack_repos); a stack.sh takes some minutes.
"""

from pathlib import Path

import pytest

from tests.functional import devstack_repos
from tests.functional.conftest import ONE_CONTAINER, Rdeploy, left_of
from tests.functional.openstack_client import Cloud

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(3600),
    pytest.mark.xdist_group("machine"),
]

#: The smallest useful choice for a machine without Open vSwitch: everything but agents.
LOCALRC = {
    "ENABLED_SERVICES": "mysql,rabbit,key,g-api,placement-api,placement-client,n-api,n-api-meta,"
                        "n-cond,n-sch,n-cpu,q-svc",
    "VIRT_DRIVER": "fake",
    "DOWNLOAD_DEFAULT_IMAGES": "False",
    "IMAGE_URLS": "file:///opt/stack/devstack/files/empty.img",
    "Q_AGENT": "openvswitch",
    "Q_ML2_PLUGIN_MECHANISM_DRIVERS": "logger",
    "Q_ML2_TENANT_NETWORK_TYPE": "vxlan",
    "NEUTRON_CREATE_INITIAL_NETWORKS": "False",
    "API_WORKERS": 1,
    "WORKER_TIMEOUT": 5,
    "NOVA_SERVICE_REPORT_INTERVAL": 10,
    "ENABLE_KSM": "False",
    "ENABLE_KSMTUNED": "False",
    "MYSQL_GATHER_PERFORMANCE": "False",
    "SERVICE_TIMEOUT": 300,
}


def config(git_base, image, provider=ONE_CONTAINER, **localrc):
    """A whole node."""
    return {
        "type": "DevstackEngine", "devstack_branch": devstack_repos.BRANCH,
        "git_base": git_base, "local_conf": {**LOCALRC, **localrc}, "provider": provider,
        "files": [{"from": str(image), "to": "empty.img"}],
    }


def empty_image(folder):
    path = Path(folder, "empty.img")
    with path.open("wb") as file:
        file.truncate(1 << 20)
    return path


@pytest.fixture(scope="module")
def git_base(lxc):
    devstack_repos.need()
    with devstack_repos.Served(devstack_repos.mirror()) as url:
        yield url


@pytest.fixture(scope="module")
def left_over():
    """What the destroyed cloud has left on the machine."""
    return {}


@pytest.fixture(scope="class")
def cloud(tmp_path_factory, git_base, left_over):
    folder = tmp_path_factory.mktemp("cloud")
    rdeploy = Rdeploy(folder / "home")
    file = rdeploy.config("node", config(git_base, empty_image(folder)))
    try:
        rdeploy("create", "--name", "node", "--file", file, timeout=3000)
        left_over["uuid"] = rdeploy.json("show", "node")["uuid"]
        assert left_of(left_over["uuid"]) != []
        yield Cloud(rdeploy, "node")
    finally:
        rdeploy("destroy", "node", "--yes", timeout=600, check=False)


class TestOneNode:
    def test_every_service_of_the_catalog_answers(self, cloud):
        done = cloud.rdeploy("check", "node")
        for service in ("identity", "image", "placement", "compute", "network"):
            assert service in done.stdout

    def test_endpoints_are_those_that_devstack_wrote(self, cloud):
        address = cloud.rdeploy.json("show", "node")["servers"][0]["host"]
        assert cloud.env["OS_AUTH_URL"].startswith(f"http://{address}/identity")

    def test_proof_has_left_nothing_in_the_cloud(self, cloud):
        # Before the tests' own server: Nova lists one that is deleted for a moment.
        assert cloud.json("server", "list", "--all-projects") == []

    def test_server_is_booted_from_outside(self, cloud):
        made = cloud.json(
            "server", "create", "--image", "empty", "--flavor", "m1.tiny", "--nic", "none",
            "--wait", "vm",
        )
        assert made["status"] == "ACTIVE"
        cloud("server", "delete", "--wait", "vm")

    def test_hypervisor_is_up(self, cloud):
        listed = cloud.json("hypervisor", "list")
        assert [h["State"] for h in listed] == ["up"]

    def test_events_tell_phases_and_timing(self, cloud):
        shown = cloud.rdeploy("events", "node").stdout
        assert "Installing OpenStack project source" in shown
        assert "stack.sh took" in shown

    def test_password_stands_in_no_log_and_no_event(self, cloud):
        password = cloud.env["OS_PASSWORD"]
        shown = cloud.rdeploy("events", "node").stdout + cloud.rdeploy("show", "node").stdout
        files = [p for p in cloud.rdeploy.home.rglob("*") if p.is_file()]
        assert password not in shown
        assert [p for p in files if password.encode() in p.read_bytes()] == []


def test_destroyed_node_has_left_nothing_on_the_machine(left_over, git_base):
    assert left_of(left_over["uuid"]) == []


def test_services_speak_https(rdeploy, git_base, tmp_path):
    file = rdeploy.config(
        "node", config(git_base, empty_image(tmp_path), **{"ENABLED_SERVICES+": ",tls-proxy"}))
    try:
        rdeploy("create", "--name", "node", "--file", file, timeout=3000)
        services = rdeploy.json("show", "node")["credentials"]["services"]
        assert {url.split(":")[0] for url in services.values()} == {"https"}
        assert "compute" in rdeploy("check", "node").stdout
        outside = Cloud(rdeploy, "node")
        assert Path(outside.env["OS_CACERT"]).is_file()
        assert "OS_INSECURE" not in outside.env
        made = outside.json(
            "server", "create", "--image", "empty", "--flavor", "m1.tiny", "--nic", "none",
            "--wait", "vm")
        assert made["status"] == "ACTIVE"
    finally:
        rdeploy("destroy", "node", "--yes", timeout=600)
    assert rdeploy.left_over() == []


def test_server_that_was_there_before_is_as_it_was_at_the_end(
        rdeploy, git_base, stranger, tmp_path):
    before = stranger.look()
    file = rdeploy.config("node", config(git_base, empty_image(tmp_path), stranger.provider))
    try:
        rdeploy("create", "--name", "node", "--file", file, timeout=3000)
        assert "compute" in rdeploy("check", "node").stdout
        assert "devstack@n-cpu" in stranger.run("systemctl list-units 'devstack@*'")
    finally:
        rdeploy("destroy", "node", "--yes", timeout=1200)
    assert stranger.changes(before) == ""
