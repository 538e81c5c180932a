"""The one connection to a server that all threads share, and the shell on it."""

from __future__ import annotations

import threading
import time
from typing import Any

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from rally_deploy.errors import Cancelled, ConnectionLost, Unreachable, WaitTimeout
from rally_deploy.model import Server
from rally_deploy.ssh.auth import Keys, log_in
from rally_deploy.ssh.base import HostKeys
from rally_deploy.ssh.become import Sudo
from rally_deploy.ssh.dial import dial, no_banner
from rally_deploy.ssh.hostkeys import HostKeyCheck
from rally_deploy.ssh.wire import CHECK_S, Check, Dropped, Link, Refused, Wakeup, wait_for

#: sshd allows 10 sessions by default; the rest is for ending commands.
CHANNELS = 8
_CLOSED_TRIES = 5  # sshd drops connections at random while too many log in at once
_REFUSED_TRIES = 40
_PROHIBITED, _CONNECT_FAILED = 1, 2  # RFC 4254, 5.1


class Attempt:
    """One try to connect. Who asks meanwhile waits for its outcome."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.link: Link | None = None
        self.error: Exception | None = None


class Connection:
    """Connects when it is first needed, and again after it was lost.

    :param jump: the connection to the server that this one is behind.
    """

    def __init__(
        self, keys: Keys, connect_timeout_s: float, known_hosts: str = "",
        jump: Connection | None = None,
    ) -> None:
        self.sudo = Sudo()
        self._keys, self._timeout_s, self._known_hosts = keys, connect_timeout_s, known_hosts
        self._jump = jump
        self._lock = threading.Lock()
        self._attempt: Attempt | None = None
        self._slots = threading.Semaphore(CHANNELS)
        self._ending_slots = threading.Semaphore(2)

    def link(self, server: Server, host_keys: HostKeys, check: Check) -> Link:
        """The open connection, one for all who ask. Raises what connecting raises."""
        while True:
            check()
            with self._lock:
                attempt = self._attempt
                mine = attempt is None or _is_over(attempt)
                if mine:
                    self._attempt = attempt = Attempt()
            assert attempt is not None
            if mine:
                return self._make(attempt, server, host_keys, check)
            while not attempt.done.wait(CHECK_S):
                check()
            if attempt.link and attempt.link.is_active():
                return attempt.link
            if attempt.error and not isinstance(attempt.error, (Cancelled, WaitTimeout)):
                raise attempt.error

    def _make(
        self, attempt: Attempt, server: Server, host_keys: HostKeys, check: Check
    ) -> Link:
        try:
            attempt.link = self._connect(server, host_keys, check)
            return attempt.link
        except Exception as error:
            attempt.error = error
            raise
        finally:
            attempt.done.set()

    def _connect(self, server: Server, host_keys: HostKeys, check: Check) -> Link:
        keys = HostKeyCheck(server, host_keys, self._known_hosts)
        for tried in range(1, _CLOSED_TRIES + 1):
            link = None
            try:
                link = Link(self._way(server, host_keys, check))
                keys.prepare(link)
                if not link.handshake(time.monotonic() + self._timeout_s + 30, check):
                    raise no_banner(server, self._timeout_s + 30)
                keys.verify(link)
                log_in(link, server, self._keys, check)
                link.keep_alive()
                return link
            except BaseException as error:
                if link:
                    link.drop()
                if not isinstance(error, (EOFError, OSError, paramiko.SSHException, Dropped)):
                    raise
                if tried == _CLOSED_TRIES or isinstance(error, IncompatiblePeer):
                    raise _failed(server, error) from error
            wait_for(threading.Event(), time.monotonic() + 0.2 * tried, check)
        raise AssertionError

    def _way(self, server: Server, host_keys: HostKeys, check: Check) -> Any:
        """A socket to the server, or a channel through the jump host."""
        if not (self._jump and server.jump):
            return dial(server, self._timeout_s, check)
        through = self._jump.link(server.jump, host_keys, check)
        end = time.monotonic() + self._timeout_s
        try:
            channel = through.open("direct-tcpip", end, check, (server.host, server.port))
        except Refused as refusal:
            raise _refused_jump(server, server.jump, refusal) from refusal
        if channel is None:
            raise Unreachable(
                server, f"no answer from {server.host}:{server.port} within "
                f"{self._timeout_s:g} s, as seen from {server.jump.label}",
                remedy="check that the server is up and that no firewall is in the way",
            )
        spoken = Wakeup()
        channel.in_buffer.set_event(spoken)
        if not wait_for(spoken, end, check):
            channel.close()
            raise no_banner(server, self._timeout_s)
        return channel

    def session(self, server: Server, host_keys: HostKeys, check: Check) -> tuple[Link, Any]:
        """A channel for one command, to be given back by :meth:`release`."""
        self._take(self._slots, check)
        try:
            return self._session(server, host_keys, check)
        except BaseException:
            self._slots.release()
            raise

    def release(self, channel: Any) -> None:
        _close(channel)
        self._slots.release()

    def _session(self, server: Server, host_keys: HostKeys, check: Check) -> tuple[Link, Any]:
        refusal: Refused | None = None
        dropped = 0
        for tried in range(_REFUSED_TRIES):
            link = self.link(server, host_keys, check)
            try:
                channel = link.open("session", time.monotonic() + self._timeout_s, check)
            except Dropped as error:
                dropped += 1
                if dropped > 2:
                    raise lost(server) from error
                continue
            except Refused as error:  # its MaxSessions is lower than usual: somebody will end
                refusal = error
                wait_for(threading.Event(), time.monotonic() + min(1.0, 0.05 * 2**tried), check)
                continue
            if channel is not None:
                return link, channel
            link.drop()  # it hangs: a new connection may not
            dropped += 1
            if dropped > 1:
                break
        if refusal is None:
            raise no_banner(server, self._timeout_s)
        raise ConnectionLost(
            server, "it allows no further session", refusal.text,
            "look at MaxSessions in its sshd_config, and for hanging commands there",
        ) from refusal

    def end(self, link: Link, command: str, stdin: bytes, within_s: float) -> None:
        """Run a command that ends another one: beside all limits, and as well as it goes."""
        with self._ending_slots:
            end = time.monotonic() + within_s
            try:
                channel = link.open("session", end, _never)
                if channel is None:
                    return
                wake = Wakeup()
                channel.in_buffer.set_event(wake)
                link.start_command(channel, command)
                if stdin:
                    channel.sendall(stdin)
                channel.shutdown_write()
                wait_for(wake, end, _never)
                _close(channel)
            except (Refused, Dropped, OSError, EOFError, paramiko.SSHException):
                return

    @staticmethod
    def _take(slots: threading.Semaphore, check: Check) -> None:
        while not slots.acquire(timeout=CHECK_S):
            check()

    def close(self) -> None:
        with self._lock:
            attempt, self._attempt = self._attempt, None
        if attempt and attempt.link:
            attempt.link.drop()


def _never() -> None:
    pass


def _is_over(attempt: Attempt) -> bool:
    return attempt.done.is_set() and not (attempt.link and attempt.link.is_active())


def _close(channel: Any) -> None:
    try:
        channel.close()
    except (OSError, EOFError, paramiko.SSHException):
        pass


def lost(server: Server, output: str = "") -> ConnectionLost:
    return ConnectionLost(
        server, "the connection was lost in the middle of a command",
        "\n".join(output.splitlines()[-12:]),
        "check that the server is up and its network is steady, then 'rdeploy resume'",
    )


def _failed(server: Server, error: BaseException) -> Exception:
    where = f"{server.host}:{server.port}"
    if isinstance(error, IncompatiblePeer):
        return Unreachable(
            server, f"{where} and we have no way of encrypting in common", str(error),
            "allow a current cipher, key exchange and host key type in its sshd_config",
        )
    if isinstance(error, (EOFError, OSError, Dropped)):
        return Unreachable(
            server, f"{where} closes the connection before the login",
            str(error), "look at the server's sshd log; MaxStartups or a ban may be the reason",
        )
    return Unreachable(
        server, f"{where} does not speak SSH as we know it", str(error),
        "check that it is sshd that listens on this port",
    )


def _refused_jump(server: Server, jump: Server, refusal: Refused) -> Unreachable:
    if refusal.code == _PROHIBITED:
        return Unreachable(
            server, f"{jump.label} does not let us through to it", refusal.text,
            f"set 'AllowTcpForwarding yes' in the sshd_config of {jump.label}",
        )
    return Unreachable(
        server, f"{jump.label} cannot connect to {server.host}:{server.port}", refusal.text,
        f"check that it is up and that sshd runs there; try it from {jump.label}",
    )
