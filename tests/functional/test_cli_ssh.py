"""rdeploy ssh, ssh-config, logs and sweep with the real OpenSSH and real hosts."""

import json
import subprocess

import pytest

from rally_deploy.testing.fakes import plugin_path
from tests.functional.conftest import Rdeploy, need
from tests.functional.sshd_hosts import SshdHosts, sh

pytestmark = pytest.mark.functional

USER, PASSWORD = "rdtcliuser", "pass: it's \"quoted\" $HOME"


@pytest.fixture(scope="module")
def hosts():
    need("real sshd in network namespaces", "sshd", "ip", "ssh-keygen", "ssh")
    with SshdHosts(2) as made:
        yield made


@pytest.fixture
def rdeploy(tmp_path):
    made = Rdeploy(tmp_path / "home")
    made.env["PYTHONPATH"] = plugin_path(tmp_path / "plugins")
    made.env["SHELL"] = "/bin/sh"
    return made


def create(rdeploy, tmp_path, *credentials):
    tree = {
        "type": "FakeEngine", "world": str(tmp_path / "world"),
        "command": ["sh", "-c", "echo hello from $0", "there"],
        "provider": {"type": "ExistingServers", "credentials": list(credentials)},
    }
    rdeploy("create", "--file", rdeploy.config("two", tree))


def login(host, **more):
    return {"host": host.address, "user": "root", "key": str(host.key), **more}


def test_ssh_runs_a_command_on_the_named_server(rdeploy, hosts, tmp_path):
    create(rdeploy, tmp_path, login(hosts[0]), login(hosts[1]))
    for host in hosts:
        done = rdeploy("ssh", "two", host.address, "--", "echo $SSH_CONNECTION; exit 3",
                       check=False)
        assert (done.returncode, done.stdout.split()[2]) == (3, host.address)


def test_ssh_goes_through_the_jump_host(rdeploy, hosts, tmp_path):
    create(rdeploy, tmp_path, login(hosts[1], jump=login(hosts[0])))
    done = rdeploy("ssh", "--", "printf", "%s|", "$SSH_CONNECTION", "a b", "c'd")
    assert done.stdout == "$SSH_CONNECTION|a b|c'd|"
    assert rdeploy("ssh", "--", "echo $SSH_CONNECTION").stdout.split()[0] == hosts[0].address


def test_ssh_demands_the_key_that_was_pinned(rdeploy, hosts, tmp_path):
    create(rdeploy, tmp_path, login(hosts[1]))
    hosts[1].new_host_key()
    done = rdeploy("ssh", "--", "true", check=False)
    assert done.returncode == 255
    assert "HOST IDENTIFICATION HAS CHANGED" in done.stderr


def test_ssh_config_serves_openssh_as_it_is(rdeploy, hosts, tmp_path):
    create(rdeploy, tmp_path, login(hosts[0]))
    file = tmp_path / "ssh config"
    rdeploy("ssh-config", "two", "--output", file)
    assert file.stat().st_mode & 0o777 == 0o600
    done = sh("ssh", "-F", str(file), "-o", "BatchMode=yes", hosts[0].address, "echo here")
    assert done == "here\n"
    rdeploy("destroy", "two")
    assert not list((rdeploy.home / "data" / "ssh").glob("*"))


@pytest.fixture
def account():
    sh("useradd", "-M", "-d", "/", "-s", "/bin/sh", USER)
    try:
        subprocess.run(["chpasswd"], input=f"{USER}:{PASSWORD}", text=True, check=True)
        yield
    finally:
        sh("userdel", "-f", USER)


def test_ssh_answers_for_the_password_of_server_and_jump(rdeploy, hosts, tmp_path, account):
    by_password = {"user": USER, "password": PASSWORD}
    create(rdeploy, tmp_path, {
        "host": hosts[1].address, **by_password,
        "jump": {"host": hosts[0].address, **by_password},
    })
    done = rdeploy("ssh", "--", "id -un; env")
    assert done.stdout.splitlines()[0] == USER
    assert PASSWORD not in done.stdout
    assert not [
        path for path in rdeploy.home.rglob("*") if path.is_file()
        and PASSWORD.encode() in path.read_bytes()
    ]


def test_logs_have_what_each_host_printed(rdeploy, hosts, tmp_path):
    create(rdeploy, tmp_path, login(hosts[0]), login(hosts[1]))
    lines = rdeploy("logs", "two").stdout.splitlines()
    for host in hosts:
        assert [line for line in lines if line.endswith(f"[{host.address}] hello from there")]


def test_sweep_lists_what_is_in_no_ledger(rdeploy, hosts, tmp_path):
    create(rdeploy, tmp_path, login(hosts[0]))
    inside = ("ip", "netns", "exec", hosts[0].namespace, "ip", "link")
    sh(*inside, "add", "rdfedcba98br", "type", "bridge")
    try:
        done = rdeploy("sweep", "--json", check=False)
    finally:
        sh(*inside, "delete", "rdfedcba98br")
    assert done.returncode == 1
    assert {
        "where": hosts[0].address, "kind": "interface", "name": "rdfedcba98br",
    } in json.loads(done.stdout)["found"]
