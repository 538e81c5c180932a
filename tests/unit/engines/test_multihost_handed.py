"""What nodes are told of controllers of every kind."""

import pytest

from rally_deploy.engines.multihost import handed
from rally_deploy.model import Server, State
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.unit.engines.fake_shell import FakeShell
from tests.unit.engines.multihost_fakes import FakeCloud

ADMIN = {"auth_url": "http://192.0.2.5/identity", "username": "admin", "password": "adm1n-pass"}


class Shells:
    """A shell for each server, which says its name and its main address."""

    def get(self, server, observer, host_keys):
        return FakeShell({"uname -n": f"{server.name}.example.org\n",
                          "ip -4 route get": "203.0.113.7\n"}, server)

    def close(self):
        pass


@pytest.fixture
def controller(tmp_path):
    with open_deployer(tmp_path, FakeCloud, shells=Shells) as deployer:
        deployment = open_deployment(deployer, {
            "type": "FakeCloud", "world": str(tmp_path),
            "provider": {"type": "FakeProvider", "world": str(tmp_path)}})
        deployment.move(State.PROVISIONING)
        deployer.store.credentials.replace(deployment.uuid, {"admin": ADMIN})
        yield deployment


def in_container(controller, machine):
    row = controller.ledger.create(
        "lxc_container", "0-000", lambda row: {}, lambda row: None, on=machine)
    controller.record_servers([
        Server("10.1.2.2", name=row.name, jump=machine, resource_id=row.id)])
    return row


def test_host_name_of_a_server_that_was_there_is_asked_for(controller):
    controller.record_servers([Server("192.0.2.5", name="ctl")])
    found = handed.values_of(controller)
    assert found["controller_host"] == "ctl.example.org"
    assert found["controller_ip"] == found["controller_machine_ip"] == "192.0.2.5"


def test_machine_of_a_container_is_told_by_its_address(controller):
    row = in_container(controller, Server("198.51.100.9", name="box"))
    found = handed.values_of(controller)
    assert found["controller_ip"] == "10.1.2.2"
    assert found["controller_host"] == row.name
    assert found["controller_machine_ip"] == "198.51.100.9"


@pytest.mark.parametrize("machine", [
    Server("box.example.net", name="box"),
    Server("localhost", connection="local", name="here"),
])
def test_machine_that_is_known_by_a_name_is_asked_for_its_address(controller, machine):
    in_container(controller, machine)
    assert handed.values_of(controller)["controller_machine_ip"] == "203.0.113.7"


def test_container_whose_ssh_port_is_forwarded_has_its_own_address(controller):
    controller.record_servers([
        Server("198.51.100.9", port=1222, name="c", facts={"address": "10.1.2.2"})])
    assert handed.values_of(controller)["controller_ip"] == "10.1.2.2"


def test_certificate_is_told_as_text_and_its_absence_as_nothing(controller, tmp_path):
    assert handed.values_of(controller)["controller_ca"] == ""
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\n")
    controller._work.store.credentials.replace(
        controller.uuid, {"admin": {**ADMIN, "https_cacert": str(file)}})
    assert handed.values_of(controller)["controller_ca"] == "-----BEGIN CERTIFICATE-----\n"


def test_certificate_that_is_kept_as_text_is_told_as_it_is(controller):
    controller._work.store.credentials.replace(
        controller.uuid, {"admin": {**ADMIN, "https_ca": "-----BEGIN"}})
    assert handed.values_of(controller)["controller_ca"] == "-----BEGIN"


def test_password_of_the_admin_is_told_if_the_engine_does_not(controller):
    controller.record_servers([Server("192.0.2.5", name="ctl")])
    assert handed.values_of(controller)["controller_admin_password"] == "adm1n-pass"
    assert handed.values_of(controller)["controller_auth_url"] == ADMIN["auth_url"]


def test_values_that_are_not_asked_for_may_be_absent():
    handed.require_values([{"a": "{controller_ip} {other}"}], {"controller_ip": "192.0.2.5"})
