"""``connection`` as a libvirt URI, the ssh that we have libvirt run, and what errors mean."""

import errno
import os
import subprocess
from pathlib import Path

import pytest

from rally_deploy.config import validate
from rally_deploy.serverprovider.virsh import link, refusal, schema
from rally_deploy.serverprovider.virsh.way import parse
from rally_deploy.serverprovider.virsh.wrapper import ssh_wrapper


@pytest.mark.parametrize(("given", "uri", "who"), [
    ("alex@performance-01", "qemu+ssh://alex@performance-01/system",
     ("alex", "performance-01", 22)),
    ("root@[2001:db8::7]:2222", "qemu+ssh://root@[2001:db8::7]:2222/system",
     ("root", "2001:db8::7", 2222)),
    ("qemu+ssh://a@h/session?no_tty=1&mode=direct", "qemu+ssh://a@h/session?mode=direct",
     ("a", "h", 22)),
    ("qemu+ssh://a@h/system?command=/my/ssh", "qemu+ssh://a@h/system?command=/my/ssh",
     ("a", "h", 22)),
    ("qemu+libssh://a@h:2222/system?keyfile=/k", "qemu+libssh://a@h:2222/system?keyfile=/k",
     ("a", "h", 2222)),
    ("qemu:///system", "qemu:///system", ("", "", 22)),
    ("qemu+tls://h/system", "qemu+tls://h/system", ("", "h", 22)),
    ("test:///default", "test:///default", ("", "", 22)),
])
def test_connection_means_uri_and_host(given, uri, who):
    way = parse(given)
    assert (way.uri, (way.user, way.host, way.port)) == (uri, who)


@pytest.mark.parametrize(("given", "by_ssh", "wrapped", "key"), [
    ("a@h", True, True, ""),
    ("qemu+ssh://a@h/system?keyfile=/k", True, False, "/k"),
    ("qemu+ssh://a@h/system?command=/my/ssh", True, False, ""),
    ("qemu+libssh://a@h/system?keyfile=/k", True, False, "/k"),
    ("qemu+libssh2://h/system", True, False, ""),
    ("qemu+tls://h/system", False, False, ""),
    ("qemu+tcp://h/system", False, False, ""),
    ("qemu://h/system", False, False, ""),
    ("qemu:///system", False, False, ""),
])
def test_guests_are_reached_over_a_host_that_ssh_leads_to(given, by_ssh, wrapped, key):
    way = parse(given)
    assert (way.by_ssh, way.wrapped, way.key) == (by_ssh, wrapped, key)
    if by_ssh:
        assert link.host_of(way, {}).key == (key or None)
        assert link.host_of(way, {"connection_key": "/own"}).key == "/own"


@pytest.mark.parametrize("given", ["qemu+tcp:///system", "a@h:99999", "a@-oProxyCommand=x",
                                   "qemu+libssh://a@h:99999/system"])
def test_connection_that_leads_nowhere_is_a_mistake(given):
    with pytest.raises(ValueError, match="."):
        parse(given)


def test_wrapper_goes_into_the_uri_beside_what_is_there():
    assert parse("a@h").uri_by("/my/ssh") == "qemu+ssh://a@h/system?command=/my/ssh&no_tty=1"
    assert parse("qemu+ssh://a@h/system?mode=direct").uri_by("/a b").endswith(
        "?mode=direct&command=/a%20b&no_tty=1")


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """A stand-in for ssh that writes down its words and asks for a password if it may."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$0.words"\n'
                       '[ -z "$SSH_ASKPASS" ] || "$SSH_ASKPASS" "password:" >"$0.password"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def words(ssh):
    return Path(f"{ssh}.words").read_text().splitlines()


def test_wrapper_runs_ssh_with_our_key_and_host_key_and_no_questions(ssh):
    with ssh_wrapper("/keys/100%", None, "ssh-ed25519 AAAA") as program:
        known_hosts = Path(program).with_name("known_hosts")
        assert known_hosts.read_text() == "hypervisor ssh-ed25519 AAAA\n"
        assert Path(program).stat().st_mode & 0o777 == 0o700
        subprocess.run([program, "-l", "alex", "--", "host", "sh -c 'x y'"], check=True)
    said = words(ssh)
    assert said[-5:] == ["-l", "alex", "--", "host", "sh -c 'x y'"]
    for option in ("BatchMode=yes", "IdentitiesOnly=yes", 'IdentityFile="/keys/100%%"',
                   "StrictHostKeyChecking=yes", f'UserKnownHostsFile="{known_hosts}"'):
        assert option in said
    assert not Path(program).exists()
    assert not Path(f"{ssh}.password").exists()


def test_password_is_handed_over_once_and_stands_in_no_file(ssh):
    with ssh_wrapper(None, "se'same", None) as program:
        subprocess.run([program, "host"], check=True)
        texts = [path.read_text() for path in Path(program).parent.iterdir()]
    assert Path(f"{ssh}.password").read_text() == "se'same\n"
    assert not [text for text in texts if "same" in text]
    assert "BatchMode=no" in words(ssh)
    assert "NumberOfPasswordPrompts=1" in words(ssh)
    assert "StrictHostKeyChecking=accept-new" in words(ssh)


def test_files_that_are_not_there_are_mistakes(tmp_path):
    config = {"connection": "a@h:99999", "template_key": str(tmp_path / "none")}
    assert [path for path, _ in schema.mistakes(config)] == ["template_key", "connection"]


class Told:
    """An error of libvirt's."""

    def __init__(self, code, number=-1, text="as libvirt says it"):
        self._code, self._number, self._text = code, number, text

    def get_error_code(self):
        return self._code

    def get_int1(self):
        return self._number

    def get_error_message(self):
        return self._text


@pytest.mark.parametrize(("code", "number", "kind"), [
    (refusal.AUTH_FAILED, -1, refusal.NotPermitted),
    (refusal.ACCESS_DENIED, -1, refusal.NotPermitted),
    (refusal.SYSTEM_ERROR, errno.EACCES, refusal.NotPermitted),
    (refusal.SYSTEM_ERROR, errno.ENOSPC, refusal.PoolFull),
    (refusal.NO_DOMAIN, -1, refusal.HypervisorError),
])
def test_errors_are_told_apart_by_their_numbers(code, number, kind):
    error = refusal.of(Told(code, number), "define x")
    assert type(error) is kind
    assert error.code == code
    assert error.details == "as libvirt says it"
    assert error.remedy


def test_any_error_on_a_dead_link_is_the_links():
    assert type(refusal.of(Told(refusal.RPC), "x", lambda: False)) is refusal.LinkLost


def test_libvirtd_that_is_down_is_told_apart_from_one_that_refuses():
    down = refusal.of(Told(refusal.SYSTEM_ERROR, errno.ECONNREFUSED), "connect")
    assert type(link._cannot_open(parse("qemu:///system"), down)) is refusal.HypervisorUnreachable
    denied = refusal.of(Told(refusal.SYSTEM_ERROR, errno.EACCES), "connect")
    assert link._cannot_open(parse("qemu:///system"), denied) is denied


@pytest.mark.parametrize(("code", "number", "text"), [
    # As libssh's and libssh2's transport say it of another key, then of none, then OpenSSH.
    (refusal.AUTH_FAILED, -1, "authentication failed: !!! SSH HOST KEY VERIFICATION FAILED !!!: "),
    (98, -1, "libssh transport error: no suitable callback for host key verification"),
    (85, -1, "SSH transport error: no suitable callback for host key verification"),
    (refusal.SYSTEM_ERROR, errno.ECONNRESET,
     "Cannot recv data: Host key verification failed.: Connection reset by peer"),
])
def test_host_key_that_libvirt_refuses_is_told_apart_with_what_to_do(code, number, text):
    way = parse("qemu+libssh://a@performance-01/system")
    error = link._cannot_open(way, refusal.of(Told(code, number, text), "connect"))
    assert type(error) is refusal.HostKeyRefused
    assert error.code == code
    assert "ssh-keygen -R performance-01" in error.remedy


def test_local_socket_that_is_not_there_says_start_libvirtd(libvirt, tmp_path):
    way = parse(f"qemu+unix:///system?socket={tmp_path}/none")
    with pytest.raises(refusal.HypervisorUnreachable, match="libvirtd does not run") as caught:
        link._open(way, way.uri, {})
    assert "systemctl start libvirtd" in caught.value.remedy


@pytest.mark.parametrize(("seen", "kind", "text"), [
    ("denied\n", refusal.NotPermitted, "may not use libvirt"),
    ("", refusal.HypervisorUnreachable, "libvirtd does not run"),
    ("there\n", refusal.HypervisorUnreachable, "libvirtd does not run"),
    ("there\nruns\n", refusal.HypervisorError, "as it was"),
])
def test_look_over_there_tells_why_libvirt_does_not_answer(rig, shells, seen, kind, text):
    from rally_deploy.ssh.base import Result

    entity, _ = rig()
    shells.answer = lambda server, command: Result(command, 0, seen, "", 0.0)
    way = parse("alex@performance-01")
    error = link._over_there(
        entity, way, link.host_of(way, {}), refusal.HypervisorError("as it was"))
    assert type(error) is kind
    assert text in error.brief


def test_old_block_of_rallys_is_valid():
    config = {
        "type": "DevstackEngine",
        "provider": {"type": "VirshProvider", "connection": "alex@performance-01",
                     "template_name": "stack-01-devstack-template", "template_user": "ubuntu",
                     "template_password": "password"},
    }
    from rally_deploy.serverprovider.virsh import VirshProvider
    from rally_deploy.testing.contract import TestRegistry

    assert validate(config, TestRegistry(VirshProvider), {}) == []
