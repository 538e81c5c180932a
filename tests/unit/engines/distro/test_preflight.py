import pytest

from rally_deploy.engines.distro import preflight
from rally_deploy.errors import HostError
from rally_deploy.hosts import own_names
from rally_deploy.model import Server
from tests.unit.engines.distro.fakes import FakeShell, look

CONTROLLER = frozenset({"controller"})


def node(host="192.0.2.10", roles=CONTROLLER, **found):
    server = Server(host, name="ctl")
    return preflight.look_at(server, FakeShell({"os-release": look(**found)}, server), roles)


def test_server_that_fits_becomes_a_node():
    found = node()
    assert (found.hostname, found.address, found.cores) == ("ctl", "192.0.2.10", 2)
    assert found.release.openstack == "Zed"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"uid": "1000"}, "not root"),
        ({"id": "fedora", "version": "41", "title": "Fedora"}, "Fedora is not supported"),
        ({"version": "13"}, "supported are Debian 12 (bookworm): OpenStack Zed, Ubuntu 22.04"),
        ({"memory": "2000"}, "2000 MiB of memory, a controller needs 3000"),
        ({"limit": "1024"}, "1024 MiB of memory"),
        ({"disk": "5000"}, "5000 MiB of free disk below /var, a controller needs 6000"),
        ({"systemd": ""}, "systemd does not run"),
        ({"addresses": "", "source": "127.0.0.1"}, "no IPv4 address"),
    ],
)
def test_server_that_does_not_fit_is_named_with_the_reason(found, text):
    with pytest.raises(HostError) as error:
        node(**found)
    assert text in str(error.value)
    assert str(error.value).startswith("ctl: OpenStack cannot be installed here")


def test_all_hindrances_are_named_at_once():
    with pytest.raises(HostError) as error:
        node(uid="5", memory="100", disk="1")
    assert len(error.value.details.splitlines()) == 3


def test_compute_needs_less_than_a_controller():
    assert node(roles=frozenset({"compute"}), memory="1000", disk="3500").hostname == "ctl"


def test_disk_of_an_installed_server_is_not_asked_again():
    assert node(disk="100", installed="ii ").hostname == "ctl"


@pytest.mark.parametrize("host", ["localhost", "ctl.example.org", "203.0.113.9"])
def test_host_that_is_no_address_of_its_own_gets_its_main_one(host):
    assert node(host).address == "192.0.2.10"


def test_host_with_several_addresses_keeps_the_one_of_the_config():
    assert node("172.24.4.1").address == "172.24.4.1"


def test_two_servers_with_one_host_name_are_refused():
    with pytest.raises(HostError, match="host name ctl is also that of ctl"):
        own_names.require_own_names([node(), node()])
