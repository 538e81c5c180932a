import os
import time

import pytest

from rally_deploy import config
from rally_deploy.errors import (
    AuthenticationFailed,
    ConfigError,
    EachFailed,
    Unreachable,
    UsageError,
)
from rally_deploy.hosts.credentials import server_of
from rally_deploy.model import Server
from rally_deploy.plugins import Registry
from rally_deploy.serverprovider.existing import ExistingServers
from rally_deploy.ssh.base import Result, Shell
from rally_deploy.testing.contract import ProviderContract, open_deployer, open_deployment


class FakeShells:
    """Servers that answer after a while, but for those that are told not to."""

    def __init__(self, refuse=(), delay_s=0.0):
        self.refuse, self.delay_s, self.asked = dict(refuse), delay_s, []

    def __call__(self):
        return self

    def get(self, server, observer, host_keys):
        return FakeShell(server, observer, self)

    def close(self):
        pass


class FakeShell(Shell):
    def __init__(self, server, observer, shells):
        super().__init__(server, observer)
        self._shells = shells

    def execute(self, command, stdin, timeout_s, quiet):
        self._shells.asked.append((self.server.host, command))
        time.sleep(self._shells.delay_s)
        if self.server.host in self._shells.refuse:
            raise self._shells.refuse[self.server.host](self.server, "does not answer")
        return Result(command, 0, "", "", 0.0)


class TestContract(ProviderContract):
    plugin = ExistingServers

    @pytest.fixture
    def block(self):
        return {"type": "ExistingServers", "credentials": ["root@192.0.2.1", "root@192.0.2.2"]}

    def deployer_options(self):
        return {"shells": FakeShells()}

    def leftovers(self, block):
        return []


def provider(tmp_path, block, shells):
    (tmp_path / "store").mkdir()
    deployer = open_deployer(tmp_path / "store", shells=shells)
    engine = {"type": "FakeEngine", "world": str(tmp_path), "provider": block}
    return open_deployment(deployer, engine).provider(block)


def servers(count):
    return {"type": "ExistingServers", "credentials": [f"root@h{n}" for n in range(count)]}


def test_each_server_is_asked_once_and_at_the_same_time(tmp_path):
    shells = FakeShells(delay_s=0.3)
    begin = time.monotonic()
    found = provider(tmp_path, servers(20), shells).create_servers()
    assert [server.host for server in found] == [f"h{n}" for n in range(20)]
    assert sorted(shells.asked) == sorted((f"h{n}", "true") for n in range(20))
    assert time.monotonic() - begin < 20 * 0.3


def test_every_server_that_does_not_answer_is_named(tmp_path):
    shells = FakeShells({"h1": Unreachable, "h3": AuthenticationFailed})
    with pytest.raises(EachFailed) as caught:
        provider(tmp_path, servers(4), shells).create_servers()
    assert sorted(caught.value.failures) == [1, 3]
    assert "h1: does not answer" in str(caught.value)
    assert "h3: does not answer" in str(caught.value)


def test_amount_takes_the_first(tmp_path):
    shells = FakeShells({"h2": Unreachable})
    found = provider(tmp_path, servers(3), shells).create_servers(amount=2)
    assert [server.host for server in found] == ["h0", "h1"]


def test_amount_of_more_than_there_are_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="3 servers are wanted, but 'credentials' names 2"):
        provider(tmp_path, servers(2), FakeShells()).create_servers(amount=3)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("root@host", "host", 22), ("root@10.0.0.1:2222", "10.0.0.1", 2222),
        ("root@[::1]", "::1", 22), ("root@[fe80::1%eth0]:23", "fe80::1%eth0", 23),
    ],
)
def test_string_of_old_configs_is_a_server(text, host, port):
    assert server_of(text) == Server(host=host, user="root", port=port)


def test_all_keys_of_a_server_are_taken(monkeypatch):
    monkeypatch.setenv("HOME", "/home/u")
    found = server_of({
        "host": "h", "user": "u", "port": 23, "key": "~/id", "password": "p", "become": True,
        "connection": "ssh", "known_hosts": "~/known", "jump": {
            "host": "j", "user": "v", "key": "id", "jump": "root@k:24"},
    })
    assert found == Server(
        host="h", user="u", port=23, key="/home/u/id", password="p", become=True,
        jump=Server(host="j", user="v", key=os.path.abspath("id"),
                    jump=Server(host="k", user="root", port=24)),
    )
    assert found.facts == {"known_hosts": "/home/u/known"}


@pytest.mark.parametrize(
    ("credentials", "path"),
    [
        ([], "credentials"),
        (["h"], "credentials[0]"),
        (["root@h:0"], "credentials[0]"),
        (["root@h:99999"], "credentials[0]"),
        (["root@-oProxyCommand=x"], "credentials[0]"),
        (["root@h\n"], "credentials[0]"),
        ([{"host": "-oProxyCommand=x", "user": "r"}], "credentials[0].host"),
        ([{"host": "h", "user": "-l"}], "credentials[0].user"),
        ([{"host": "h", "user": "u", "port": "22"}], "credentials[0].port"),
        ([{"host": "h", "user": "u", "key": "/no/such"}], "credentials[0].key"),
        ([{"host": "h", "user": "u", "jump": {"host": "j"}}], "credentials[0].jump.user"),
        ([{"host": "h", "user": "u", "jump": {"host": "j", "user": "u", "x": 1}}],
         "credentials[0].jump.x"),
        (["root@h", {"host": "h", "user": "other"}], "credentials[1]"),
        ([{"host": "localhost", "user": "u", "connection": "telnet"}],
         "credentials[0].connection"),
    ],
)
def test_wrong_server_is_told_at_its_place(credentials, path):
    block = {"type": "ExistingServers", "credentials": credentials}
    with pytest.raises(ConfigError) as caught:
        config.validate(block, Registry(), {}, "provider")
    assert [problem.path for problem in caught.value.problems] == [path]


def test_password_in_a_login_string_is_not_shown():
    block = {"type": "ExistingServers", "credentials": ["root:hush-hush@h"]}
    with pytest.raises(ConfigError) as caught:
        config.validate(block, Registry(), {}, "provider")
    assert "hush" not in str(caught.value)
    assert "root:***@h" in str(caught.value)


def test_plan_tells_the_way_to_each_server():
    block = {"credentials": ["root@${env:HOST}", {"host": "x", "user": "u", "connection": "local"},
                             {"host": "i", "user": "u", "jump": {"host": "j", "user": "v"}}]}
    assert list(ExistingServers.plan(block)) == [
        "SSH to root@${env:HOST}", "this machine itself",
        "SSH to u@i:22, through SSH to v@j:22",
    ]


def test_examples_are_valid_as_a_whole():
    for example in ExistingServers.CONFIG_SCHEMA["examples"]:
        config.validate(example, Registry(), {}, "provider")
