"""Commands on a server over SSH."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
from typing import Any

import paramiko

from rally_deploy.model import Server
from rally_deploy.ssh.base import HostKeys, Observer, Result, Shell
from rally_deploy.ssh.connection import Connection, lost
from rally_deploy.ssh.output import Output
from rally_deploy.ssh.processes import RUN_VARIABLE, end_run
from rally_deploy.ssh.wire import CHECK_S, Dropped, Link, Wakeup

_CHUNK = 1 << 15
_READ = 1 << 20
#: A command that ended may have left a daemon that keeps its output open: not waited for.
_LEFT_OPEN_S = 0.5
_ENDING_S = 3.0

_process = secrets.token_hex(4)
_numbers = itertools.count()


class SshShell(Shell):
    """A view on a shared connection, for one observer."""

    def __init__(
        self, server: Server, observer: Observer, host_keys: HostKeys, connection: Connection
    ) -> None:
        super().__init__(server, observer, connection.sudo)
        self._host_keys = host_keys
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    def execute(self, command: str, stdin: bytes, timeout_s: float, quiet: bool) -> Result:
        link, channel = self._connection.session(
            self.server, self._host_keys, self.observer.check
        )
        try:
            return self._execute(link, channel, command, stdin, timeout_s, quiet)
        finally:
            self._connection.release(channel)

    def _execute(
        self, link: Link, channel: Any, command: str, stdin: bytes, timeout_s: float, quiet: bool
    ) -> Result:
        start = time.monotonic()
        token = f"{_process}{next(_numbers):x}"
        output = Output(None if quiet else lambda line: self.observer.line(self.server, line))
        wake = Wakeup()
        channel.in_buffer.set_event(wake)
        channel.in_stderr_buffer.set_event(wake)
        try:
            link.start_command(channel, f"export {RUN_VARIABLE}={token}; {command}")
            _send(channel, stdin)
            while not _read_all(channel, wake, output):
                self.observer.check()
                if time.monotonic() - start > timeout_s:
                    raise self.timeout(command, timeout_s, output.last())
        except (Dropped, EOFError, paramiko.SSHException) as error:
            raise lost(self.server, self._masked(output.last())) from error
        except BaseException:
            self._end(link, token)
            raise
        output.end()
        status = channel.exit_status
        if status < 0:
            raise lost(self.server, self._masked(output.last()))
        return Result(
            command, status, output.out.text, output.err.text, time.monotonic() - start
        )

    def _end(self, link: Link, token: str) -> None:
        line, data = end_run(token), b""
        # Not known yet: then it is the question for a way to become root that is to be ended.
        if self.needs_sudo and self._sudo.known:
            line, data = self._sudo.wrap(self, line, data)
        self._connection.end(link, line, data, _ENDING_S)


def _send(channel: Any, stdin: bytes) -> None:
    """Send a short stdin now, and a long one beside the reading of the output."""
    if len(stdin) <= channel.out_window_size:
        _send_all(channel, stdin)
    else:
        threading.Thread(target=_send_all, args=(channel, stdin), daemon=True).start()


def _send_all(channel: Any, stdin: bytes) -> None:
    rest = memoryview(stdin)
    try:
        while rest:
            sent = channel.send(bytes(rest[:_CHUNK]))
            if not sent:
                return
            rest = rest[sent:]
        channel.shutdown_write()
    except (OSError, EOFError, paramiko.SSHException):
        pass  # the command ended before it wanted the rest, or the reader will see why


def _read_all(channel: Any, wake: Wakeup, output: Output) -> bool:
    """Read what is there; True once all is read and the command has ended."""
    wake.rearm()
    # Looked at before the streams: what came before the end is in them by then.
    closed = channel.closed
    ended = channel.exit_status_ready()
    got = False
    while channel.recv_ready():
        output.out.feed(channel.recv(_READ))
        got = True
    while channel.recv_stderr_ready():
        output.err.feed(channel.recv_stderr(_READ))
        got = True
    if closed or (ended and channel.eof_received):
        return True
    if not wake.wait(_LEFT_OPEN_S if ended else CHECK_S):
        return ended and not got
    return False
