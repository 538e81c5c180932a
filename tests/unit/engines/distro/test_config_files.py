import configparser
from itertools import chain

import pytest

from rally_deploy.engines.distro import (
    bridges,
    glance,
    infra,
    keystone,
    neutron,
    nova,
    placement,
    releases,
)
from rally_deploy.engines.distro.cloud import Cloud, Node
from rally_deploy.model import Server
from tests.unit.engines.distro.fakes import FakeShell

SERVICES = frozenset({"keystone", "glance", "placement", "nova", "neutron"})
DEBIAN = releases.find("debian", "12")


def secret(name):
    return f"S3cret-{name}"


def a_node(name, address, *roles, release=DEBIAN, **facts):
    server = Server(address, name=name, facts=facts)
    return Node(server, FakeShell(server=server), name, address, release, frozenset(roles))


def a_cloud(*nodes, **options):
    return Cloud(nodes, SERVICES, secret, **options)


@pytest.fixture
def alone():
    return a_cloud(a_node("one", "192.0.2.10", "controller", "compute"))


@pytest.fixture
def two():
    controller = a_node("ctl", "192.0.2.10", "controller")
    return a_cloud(controller, a_node("c1", "192.0.2.11", "compute"))


def controller_files(cloud):
    modules = (infra, keystone, glance, placement, nova, neutron)
    node = cloud.controller
    files = list(chain.from_iterable(m.files(cloud) for m in modules))
    files += neutron.agent_files(cloud, node)
    if node.has("compute"):
        files += nova.compute_files(cloud, node, "qemu")
    return files


def compute_files(cloud):
    node = cloud.nodes[1]
    return [*neutron.agent_files(cloud, node), *nova.compute_files(cloud, node, "qemu")]


def parsed(files, path):
    (file,) = [f for f in files if f.path == path]
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.read_string(file.content)
    return parser


@pytest.mark.parametrize("files", [controller_files, compute_files])
def test_file_with_a_secret_is_readable_by_its_service_only(two, files):
    with_secret = [f for f in files(two) if "S3cret-" in f.content]
    assert with_secret
    assert {(f.mode, f.owner.split(":")[0]) for f in with_secret} == {(0o640, "root")}
    assert all(f.owner != "root:root" for f in with_secret)


def test_all_in_one_speaks_to_itself_by_the_loopback_only(alone):
    for file in controller_files(alone):
        text = file.content.replace("www_authenticate_uri = http://192.0.2.10:5000/v3", "")
        assert "192.0.2.10" not in text, file.path


def test_compute_finds_the_controller_and_has_no_database(two):
    config = parsed(compute_files(two), nova.CONFIG)
    assert "@192.0.2.10:5672/" in config["DEFAULT"]["transport_url"]
    assert config["placement"]["endpoint_override"] == "http://192.0.2.10:8778"
    assert not config.has_section("database")
    assert "mysql" not in "".join(f.content for f in compute_files(two))


def test_broker_listens_outside_only_if_there_are_computes(alone, two):
    def environment(cloud):
        return next(f.content for f in infra.files(cloud) if f.path == infra.RABBIT_ENVIRONMENT)

    assert "NODE_IP_ADDRESS=127.0.0.1" in environment(alone)
    assert "NODE_IP_ADDRESS=0.0.0.0" in environment(two)


def test_password_with_url_characters_is_quoted_in_urls():
    cloud = Cloud(
        (a_node("one", "192.0.2.10", "controller"),), SERVICES, lambda name: "a/b@c:d%e"
    )
    assert "a%2Fb%40c%3Ad%25e@127.0.0.1" in cloud.database("nova")["connection"]
    assert "a%2Fb%40c%3Ad%25e@127.0.0.1" in cloud.transport_url(cloud.controller)


@pytest.mark.parametrize(
    ("driver", "section", "option", "value"),
    [
        ("fake", "DEFAULT", "compute_driver", "fake.FakeDriver"),
        ("qemu", "libvirt", "virt_type", "qemu"),
        ("qemu", "libvirt", "cpu_mode", "none"),
        ("kvm", "libvirt", "virt_type", "kvm"),
    ],
)
def test_virt_driver_is_what_was_asked_for(alone, driver, section, option, value):
    config = parsed(nova.compute_files(alone, alone.controller, driver), nova.COMPUTE_CONFIG)
    assert config[section][option] == value


def test_fake_driver_needs_no_libvirt(alone):
    assert [u.name for u in nova.compute_units("fake")] == ["nova-compute"]
    assert [u.name for u in nova.compute_units("qemu")] == ["libvirtd", "nova-compute"]


def test_apis_under_uwsgi_have_one_thread_and_the_wanted_processes(two):
    cloud = a_cloud(*two.nodes, workers=3)
    found = [f for f in controller_files(cloud) if f.path.endswith("-uwsgi.ini")]
    assert len(found) == 6
    for file in found:
        assert "threads = 1\n" in file.content
        assert "processes = 3\n" in file.content
        assert "add-header = Connection: close" in file.content


def test_release_without_uwsgi_gets_no_ini_files():
    cloud = a_cloud(
        a_node("one", "192.0.2.10", "controller", release=releases.find("ubuntu", "24.04"))
    )
    assert [f.path for f in controller_files(cloud) if "uwsgi" in f.path] == []
    assert [u.name for u in neutron.api_units(cloud)] == ["neutron-server"]


def test_linuxbridge_is_called_experimental_only_where_that_is_known():
    for version, expected in (("22.04", False), ("24.04", True)):
        cloud = a_cloud(
            a_node("one", "192.0.2.10", "controller", release=releases.find("ubuntu", version))
        )
        assert parsed(neutron.files(cloud), neutron.CONFIG).has_section("experimental") is expected


def test_external_network_is_the_servers_own_where_the_provider_left_addresses():
    node = a_node("one", "10.1.2.2", "controller", network="10.1.2.0/24", gateway="10.1.2.1",
                  free_range="10.1.2.100-10.1.2.199")
    assert bridges.external_of(node) == bridges.External(
        "10.1.2.0/24", "10.1.2.1", "10.1.2.100", "10.1.2.199", shared=True)


@pytest.mark.parametrize("facts", [{}, {"network": "10.1.2.0/24", "gateway": "10.1.2.1"}])
def test_external_network_is_inside_the_controller_where_no_addresses_are_free(facts):
    external = bridges.external_of(a_node("one", "10.1.2.2", "controller", **facts))
    assert external == bridges.INSIDE
    assert not external.shared


def test_database_passwords_go_by_stdin_only(alone):
    shell = alone.controller.shell
    shell.answers["mysql --batch"] = ""
    infra.make_databases(alone)
    assert not any("S3cret" in command for command in shell.asked)
    assert "IDENTIFIED BY 'S3cret-database'" in shell.scripts[0]


def test_bootstrap_password_goes_by_stdin_only(alone):
    shell = alone.controller.shell
    shell.answers.update({"cat /var/lib/rdeploy/done": (1, "", ""), "dpkg-query": "22.0",
                          'echo "$state"': "ended 0", "keystone-manage": "", "": ""})
    keystone.set_up(alone, "rd-1-tables-keystone")
    assert not any("S3cret" in command for command in shell.asked)
    holding = [script for script in shell.scripts if "S3cret-admin" in script]
    assert len(holding) == 1
    assert "OS_BOOTSTRAP_PASSWORD='S3cret-admin'" in holding[0]
    assert "setsid" not in holding[0]  # no job, which would keep its script in a file
