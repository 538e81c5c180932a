"""The script that makes a copy a node of its own, run on a file system in a folder."""

import subprocess

import pytest

from rally_deploy.engines.distro import clones

NOVA = "[DEFAULT]\nhost = first\nmy_ip = 192.0.2.10\nstate_path = /var/lib/nova\n"
NEUTRON = "[DEFAULT]\nhost = first\ncore_plugin = ml2\n"
AGENT = "[linux_bridge]\n[vxlan]\nlocal_ip = 192.0.2.10\nl2_population = true\n"
ARGS = ("first", "second", "192.0.2.10", "192.0.2.11")


class Clone:
    """A file system below a folder, and the script changed to stay in there."""

    def __init__(self, root, files):
        self.root = root
        for path, text in files.items():
            self.file(path).parent.mkdir(parents=True, exist_ok=True)
            self.file(path).write_text(text)

    def file(self, path):
        return self.root / path.lstrip("/")

    def boot(self, *arguments):
        text = clones.SCRIPT.replace("/etc/", f"{self.root}/etc/").replace(
            "/var/lib/", f"{self.root}/var/lib/")
        subprocess.run(["sh", "-eu", "-c", text, "clone", *(arguments or ARGS)], check=True)
        return {path: path.read_text() for path in self.root.rglob("*") if path.is_file()}

    def text(self, path):
        return self.file(path).read_text()


@pytest.fixture
def compute(tmp_path):
    return Clone(tmp_path, {
        "/etc/nova/nova.conf": NOVA, "/etc/neutron/neutron.conf": NEUTRON,
        "/etc/neutron/plugins/ml2/linuxbridge_agent.ini": AGENT,
        "/var/lib/nova/compute_id": "an-id",
    })


def test_compute_gets_its_own_names_and_addresses(compute):
    compute.boot()
    assert "host = second\nmy_ip = 192.0.2.11\n" in compute.text("/etc/nova/nova.conf")
    assert "host = second\n" in compute.text("/etc/neutron/neutron.conf")
    agent = compute.text("/etc/neutron/plugins/ml2/linuxbridge_agent.ini")
    assert "local_ip = 192.0.2.11\n" in agent
    assert "first" not in "".join(compute.boot().values())


def test_compute_that_has_keystones_package_is_a_compute(compute):
    path = compute.file("/etc/keystone/keystone.conf")
    path.parent.mkdir()
    path.write_text("[DEFAULT]\n")
    compute.boot()
    assert "host = second\nmy_ip = 192.0.2.11\n" in compute.text("/etc/nova/nova.conf")


def test_clone_loses_the_id_of_the_first_once_and_keeps_its_own(compute):
    compute.boot()
    assert not compute.file("/var/lib/nova/compute_id").exists()
    compute.file("/var/lib/nova/compute_id").write_text("its own")
    compute.boot()
    assert compute.text("/var/lib/nova/compute_id") == "its own"


def test_first_server_itself_stays_as_it_is(compute):
    before = {path: path.read_text() for path in compute.root.rglob("*") if path.is_file()}
    assert compute.boot("first", "first", "192.0.2.10", "192.0.2.10") == before


def test_second_boot_changes_nothing(compute):
    assert compute.boot() == compute.boot()


def test_libvirt_takes_the_machine_id_for_its_host(tmp_path):
    clone = Clone(tmp_path, {"/etc/nova/nova.conf": NOVA, "/etc/libvirt/libvirtd.conf": "#x\n"})
    clone.boot()
    clone.boot()
    assert clone.text("/etc/libvirt/libvirtd.conf") == '#x\nhost_uuid_source = "machine-id"\n'


def test_all_in_one_keeps_its_name_and_changes_its_catalog_when_the_database_starts(tmp_path):
    (tmp_path / "etc/mysql/mariadb.conf.d").mkdir(parents=True)
    clone = Clone(tmp_path, {
        "/etc/keystone/keystone.conf": "", "/var/lib/rdeploy/done/keystone": "stamp\n",
        "/etc/nova/nova.conf": "[DEFAULT]\nhost = first\nmy_ip = 127.0.0.1\n"
                               "www_authenticate_uri = http://192.0.2.10:5000/v3\n",
    })
    clone.boot()
    assert clone.text("/etc/nova/nova.conf") == (
        "[DEFAULT]\nhost = first\nmy_ip = 127.0.0.1\n"
        "www_authenticate_uri = http://192.0.2.11:5000/v3\n")
    assert clone.text("/etc/mysql/rdeploy-clone.sql") == (
        "UPDATE keystone.endpoint SET url = REPLACE(url, '//192.0.2.10:', '//192.0.2.11:');\n")
    config = clone.text("/etc/mysql/mariadb.conf.d/91-rdeploy-clone.cnf")
    assert config.startswith("[mysqld]\ninit_file = ")
