"""Dialling, host keys and private keys, without an sshd."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from rally_deploy.errors import AuthenticationFailed, HostKeyMismatch, Unreachable
from rally_deploy.model import Server
from rally_deploy.ssh import Pool
from rally_deploy.ssh.auth import Keys
from rally_deploy.ssh.dial import dial
from rally_deploy.ssh.hostkeys import HostKeyCheck, fingerprint
from rally_deploy.ssh.wire import Wakeup
from tests.unit.ssh.fakes import PinnedKeys, Watcher


def nothing() -> None:
    pass


@contextmanager
def listener(says: bytes) -> Iterator[int]:
    """A port that says this to everybody and hangs up."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)

        def serve() -> None:
            try:
                while True:
                    client, _ = server.accept()
                    client.sendall(says)
                    client.close()
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_dial_free_port_is_refused() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Unreachable, match="refuses connections") as caught:
            dial(Server(host="127.0.0.1", port=port), 1, nothing)
    assert isinstance(caught.value.__cause__, OSError)


def test_dial_banner_is_left_for_the_reader() -> None:
    with listener(b"SSH-2.0-x\r\n") as port:
        sock = dial(Server(host="127.0.0.1", port=port), 1, nothing)
        assert sock.recv(4) == b"SSH-"
        sock.close()


def test_connect_hung_up_on_names_sshds_limits() -> None:
    with listener(b"") as port:
        shell = Pool().get(Server(host="127.0.0.1", port=port), Watcher(), PinnedKeys())
        with pytest.raises(Unreachable, match="closes the connection") as caught:
            shell.run(["true"])
    assert "MaxStartups" in caught.value.remedy


def test_connect_no_ssh_there_says_so() -> None:
    with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        shell = Pool().get(Server(host="127.0.0.1", port=port), Watcher(), PinnedKeys())
        with pytest.raises(Unreachable, match="does not speak SSH"):
            shell.run(["true"])


class LinkWith:
    """The part of a link that has the server's key."""

    def __init__(self, key: paramiko.PKey) -> None:
        self._key = key
        self.kinds: list[str] = []

    def get_remote_server_key(self) -> paramiko.PKey:
        return self._key

    def prefer_host_key(self, kinds: list[str]) -> None:
        self.kinds = kinds


@pytest.fixture(scope="module")
def key() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


@pytest.fixture(scope="module")
def other() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


SERVER = Server(host="192.0.2.1")


def text(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def verify(key: paramiko.PKey, pinned: PinnedKeys, server: Server = SERVER) -> LinkWith:
    link: Any = LinkWith(key)
    check = HostKeyCheck(server, pinned)
    check.prepare(link)
    check.verify(link)
    return link


def test_host_key_first_sight_is_pinned(key: paramiko.PKey) -> None:
    pinned = PinnedKeys()
    verify(key, pinned)
    assert pinned == {"192.0.2.1:22": text(key)}
    assert verify(key, pinned).kinds == [key.get_name()]


def test_host_key_other_than_pinned_raises_with_both(
    key: paramiko.PKey, other: paramiko.PKey
) -> None:
    with pytest.raises(HostKeyMismatch) as caught:
        verify(other, PinnedKeys({"192.0.2.1:22": text(key)}))
    assert fingerprint(text(key)) in caught.value.details
    assert fingerprint(text(other)) in caught.value.details


def test_host_key_of_a_machine_made_anew_at_the_same_address_is_pinned_anew(
    key: paramiko.PKey, other: paramiko.PKey
) -> None:
    pinned = PinnedKeys()
    first, anew = replace(SERVER, resource_id=7), replace(SERVER, resource_id=8)
    verify(key, pinned, first)
    verify(other, pinned, anew)
    with pytest.raises(HostKeyMismatch):
        verify(key, pinned, anew)


def test_host_key_pinned_by_another_thread_meanwhile_raises(
    key: paramiko.PKey, other: paramiko.PKey
) -> None:
    pinned = PinnedKeys()
    check = HostKeyCheck(SERVER, pinned)
    pinned.pin("192.0.2.1:22", text(other))
    link: Any = LinkWith(key)
    with pytest.raises(HostKeyMismatch):
        check.verify(link)


def test_known_hosts_fact_is_demanded(
    key: paramiko.PKey, other: paramiko.PKey, tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    file.write_text(f"192.0.2.1 {text(key)}\n")
    server = Server(host="192.0.2.1", facts={"known_hosts": str(file)})
    verify(key, PinnedKeys(), server)
    with pytest.raises(HostKeyMismatch, match="not the one that"):
        verify(other, PinnedKeys(), server)
    unknown = Server(host="192.0.2.2", facts={"known_hosts": str(file)})
    with pytest.raises(HostKeyMismatch, match="does not know it"):
        verify(key, PinnedKeys(), unknown)


def test_known_hosts_missing_file_raises_with_its_path(key: paramiko.PKey) -> None:
    server = Server(host="192.0.2.1", facts={"known_hosts": "/nonexistent/known"})
    with pytest.raises(HostKeyMismatch, match="cannot be read") as caught:
        verify(key, PinnedKeys(), server)
    assert "/nonexistent/known" in caught.value.details


def private(key: Any, password: str | None = None) -> str:
    file = io.StringIO()
    key.write_private_key(file, password=password)
    return file.getvalue()


def test_keys_text_without_last_newline_is_read(key: paramiko.PKey) -> None:
    server = Server(host="h", private_key=private(key).strip())
    assert Keys().of(server) == key


def test_keys_file_is_read_once(key: paramiko.PKey, tmp_path: Path) -> None:
    file = tmp_path / "id"
    file.write_text(private(key))
    keys = Keys()
    first = keys.of(Server(host="h", key=str(file)))
    assert first == key
    assert keys.of(Server(host="other", key=str(file))) is first


def test_keys_encrypted_takes_the_password_as_passphrase(key: paramiko.PKey) -> None:
    locked = private(key, "phrase")
    assert Keys().of(Server(host="h", private_key=locked, password="phrase")) == key
    with pytest.raises(AuthenticationFailed, match="is encrypted"):
        Keys().of(Server(host="h", private_key=locked))


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_keys_file_that_holds_none_raises(content: str, tmp_path: Path) -> None:
    file = tmp_path / "id"
    file.write_text(content)
    with pytest.raises(AuthenticationFailed, match="no private key that we can read"):
        Keys().of(Server(host="h", key=str(file)))


def test_keys_missing_file_raises_with_its_path() -> None:
    with pytest.raises(AuthenticationFailed, match="/nonexistent/id cannot be read"):
        Keys().of(Server(host="h", key="/nonexistent/id"))


def test_wakeup_only_its_reader_clears_it() -> None:
    wake = Wakeup()
    wake.set()
    wake.clear()
    assert wake.is_set()
    wake.rearm()
    assert not wake.is_set()
