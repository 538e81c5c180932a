"""Servers that let us in late or not at all, and what their cloud-init says."""

import json
from types import SimpleNamespace

import pytest

from rally_deploy.errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionLost,
    Unreachable,
)
from rally_deploy.serverprovider.openstack import readiness
from rally_deploy.serverprovider.openstack.refusal import ServerFailed
from rally_deploy.ssh.base import Result, Shell
from rally_deploy.ssh.hostkeys import HostKeyCheck
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.unit.serverprovider.openstack.conftest import QuickProvider


class Guests:
    """Shells of servers whose sshd, key and cloud-init come up after some tries."""

    def __init__(self):
        self.refusals = [Unreachable, AuthenticationFailed]
        self.cloud_init, self.log, self.tried = {}, "", 0  # the first: as JSON of its status
        self.restarts = []  # what is met when cloud-init is waited for

    def get(self, server, observer, host_keys):
        return Guest(self, server, observer, host_keys)

    def close(self):
        pass


class Guest(Shell):
    def __init__(self, guests, server, observer, host_keys):
        super().__init__(server, observer)
        self.guests, self.host_keys = guests, host_keys

    def check_host_key(self):
        """As the real one; each instance makes a host key of its own."""
        link = SimpleNamespace(get_remote_server_key=lambda: SimpleNamespace(
            get_name=lambda: "ssh-ed25519",
            get_base64=lambda: self.server.facts["instance_id"]))
        HostKeyCheck(self.server, self.host_keys).verify(link)

    def execute(self, command, stdin, timeout_s, quiet):
        guests = self.guests
        self.check_host_key()
        if guests.tried < len(guests.refusals):
            guests.tried += 1
            raise guests.refusals[guests.tried - 1](self.server, "not yet")
        text = ""
        if "until is_over" in stdin.decode():
            if guests.restarts:
                raise guests.restarts.pop(0)(self.server, "it restarts")
        elif "cloud-init status" in stdin.decode():
            text = f"=== status\n{json.dumps(guests.cloud_init)}\n" if guests.cloud_init else ""
        elif "cloud-init-output.log" in command:
            text = guests.log
        return Result(command, 0, text, "", 0.1)


@pytest.fixture
def guests():
    return Guests()


@pytest.fixture
def provider(tmp_path, recorder, guests, make_block):
    folder = tmp_path / "guests-store"
    folder.mkdir()
    with open_deployer(
        folder, QuickProvider, watcher=recorder, shells=lambda: guests
    ) as deployer:
        block = make_block(amount=1, wait_for_ssh=True)
        entity = open_deployment(
            deployer, {"type": "FakeEngine", "world": "/nonexistent", "provider": block})
        yield entity.provider(block)


def test_key_that_comes_late_is_waited_for(provider, guests):
    assert len(provider.create_servers()) == 1
    assert guests.tried == 2


def test_server_made_anew_behind_its_floating_address_is_let_in_to(cloud, provider):
    provider.config["floating_network"] = "public"
    first = provider.create_servers()[0]
    del cloud.servers[first.facts["instance_id"]]
    again = QuickProvider(provider.deployment, provider.config).create_servers()[0]
    assert again.host == first.host
    assert again.facts["instance_id"] != first.facts["instance_id"]


def test_server_that_never_lets_us_in_is_told_with_its_console(provider, guests):
    guests.refusals = [AuthenticationFailed] * 1000
    provider.config["timeout_s"] = 4
    with pytest.raises(ServerFailed, match="a login on rd-.* as root at 192.0.2") as caught:
        provider.create_servers()
    assert "not yet" in caught.value.details
    assert "Kernel panic" in caught.value.details
    assert "login_user" in caught.value.remedy


def test_server_that_goes_on_refusing_us_is_given_up_and_names_the_user(
    provider, guests, monkeypatch
):
    monkeypatch.setattr(readiness, "_REFUSED_FOR_S", 0.5)
    guests.refusals = [AuthenticationFailed] * 1000
    with pytest.raises(ServerFailed, match="does not let in 'login_user' root") as caught:
        provider.create_servers()
    assert guests.tried <= 4
    assert "not yet" in caught.value.details
    assert "Kernel panic" in caught.value.details
    assert "login_user" in caught.value.remedy


def test_refusals_before_a_restart_do_not_count(provider, guests, monkeypatch):
    monkeypatch.setattr(readiness, "_REFUSED_FOR_S", 1.5)
    guests.refusals = [AuthenticationFailed, AuthenticationFailed, Unreachable,
                       AuthenticationFailed, AuthenticationFailed]
    assert len(provider.create_servers()) == 1


def test_cloud_init_that_restarts_the_server_is_waited_for(provider, guests):
    guests.restarts = [ConnectionLost, Unreachable, AuthenticationFailed]
    guests.cloud_init = {"status": "error", "errors": ["after the restart"]}
    with pytest.raises(ServerFailed, match="has ended with errors") as caught:
        provider.create_servers()
    assert "after the restart" in caught.value.details


def test_errors_of_cloud_init_fail_the_server(provider, guests):
    guests.cloud_init = {"status": "error", "errors": ["no such package: nano"]}
    guests.log = "E: Unable to locate package nano\n"
    with pytest.raises(ServerFailed, match="cloud-init of .* has ended with errors") as caught:
        provider.create_servers()
    assert "no such package: nano" in caught.value.details
    assert "Unable to locate package" in caught.value.details
    assert "mend 'userdata'" in caught.value.remedy


def test_cloud_init_that_does_not_end_is_told_with_what_it_wrote_last(provider, guests):
    guests.restarts = [CommandTimeout]
    guests.log = "waiting for a license server\n"
    with pytest.raises(ServerFailed, match="cloud-init of .* does not end") as caught:
        provider.create_servers()
    assert "waiting for a license server" in caught.value.details
    assert "rdeploy resume" in caught.value.remedy


def test_mended_errors_of_cloud_init_are_warnings(provider, guests, recorder):
    guests.cloud_init = {
        "status": "done", "errors": [],
        "recoverable_errors": {"WARNING": ["old key 'apt_mirror'"]}}
    provider.create_servers()
    assert "cloud-init: warning: old key 'apt_mirror'" in [e.title for e in recorder.events]
    assert "wait for the end of their cloud-init" in [e.title for e in recorder.events]


def test_cloud_init_is_not_asked_where_it_is_not_waited_for(provider, guests, recorder):
    guests.cloud_init = {"status": "error", "errors": ["unheard"]}
    provider.config["wait_for_cloud_init"] = False
    assert len(provider.create_servers()) == 1
    assert "wait for the end of their cloud-init" not in [e.title for e in recorder.events]
