"""One SSH connection as paramiko speaks it, with waits that can be cancelled.

paramiko's own calls block without a way out (``exec_command`` for ever). So the inner parts of
its Transport that we rely on are used here, and nowhere else.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import paramiko
from paramiko import common

#: Raises if the work is to end; called at least each fifth of a second.
Check = Callable[[], None]

CHECK_S = 0.2
KEEPALIVE_S = 15
_UNANSWERED_MAX = 3
_WINDOW = 1 << 21
_PACKET = 1 << 15
_FAST_CIPHER = "aes128-gcm@openssh.com"

_log = logging.getLogger("paramiko")
_log.addHandler(logging.NullHandler())
_log.propagate = False
_log.setLevel(logging.CRITICAL)


class Refused(Exception):
    """The server did not open a channel: ``code`` as in RFC 4254, ``text`` in its own words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Dropped(Exception):
    """The connection is gone."""


class Wakeup(threading.Event):
    """Set by either stream of a channel; only its reader clears it.

    A stream that was read empty clears its event, and with two streams on one event that would
    lose what the other one has just announced.
    """

    def clear(self) -> None:
        pass

    def rearm(self) -> None:
        super().clear()


def wait_for(event: threading.Event, end: float, check: Check) -> bool:
    """Wait for the event until ``end`` (of time.monotonic); False if that was too long."""
    while not event.wait(CHECK_S):
        check()
        if time.monotonic() > end:
            return False
    return True


class Link(paramiko.Transport):
    """A connection to one server. Channels are opened and commands are sent without blocking."""

    # How often an idle connection looks around. Dropping one does not wait for it.
    _active_check_timeout = 2.0

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        own: Any = self
        own._channel_handler_table = {
            **own._channel_handler_table, common.MSG_CHANNEL_REQUEST: _channel_request,
        }
        if _FAST_CIPHER in own._cipher_info:  # half the work of one with a separate digest
            own._preferred_ciphers = (_FAST_CIPHER, *own._preferred_ciphers)
        self.banner_timeout = 60
        self.handshake_timeout = 60
        self._unanswered = 0
        self._refusals: dict[int, Refused] = {}

    def prefer_host_key(self, kinds: list[str]) -> None:
        """Ask for a host key of one of these types if the server has one."""
        own: Any = self
        rsa = {"ssh-rsa": ["rsa-sha2-512", "rsa-sha2-256"]}
        wanted = [name for kind in kinds for name in rsa.get(kind, [kind])]
        first = [name for name in wanted if name in own._preferred_keys]
        own._preferred_keys = (*first, *(n for n in own._preferred_keys if n not in first))

    def handshake(self, end: float, check: Check) -> bool:
        """Exchange keys; False if that was not done in time. Raises what paramiko raises."""
        done = threading.Event()
        self.start_client(event=done)
        in_time = wait_for(done, end, check)
        if in_time and not self.is_active():
            raise self.get_exception() or EOFError("closed while keys were exchanged")
        return in_time

    def open(self, kind: str, end: float, check: Check, to: tuple[str, int] | None = None) -> Any:
        """Open a channel; None if there was no answer in time. Raises Refused or Dropped."""
        own: Any = self
        with own.lock:
            number = own._next_channel()
            message = paramiko.Message()
            message.add_byte(common.cMSG_CHANNEL_OPEN)
            message.add_string(kind)
            for value in (number, _WINDOW, _PACKET):
                message.add_int(value)
            if to:
                for host, port in (to, ("127.0.0.1", 0)):
                    message.add_string(host)
                    message.add_int(port)
            channel: Any = paramiko.Channel(number)
            own._channels.put(number, channel)
            own.channel_events[number] = opened = threading.Event()
            own.channels_seen[number] = True
            channel._set_transport(self)
            channel._set_window(_WINDOW, _PACKET)
        self._send(message)
        if not wait_for(opened, end, check):
            return None
        refusal = self._refusals.pop(number, None)
        if refusal:
            raise refusal
        if not self.is_active():
            raise Dropped
        return channel

    def start_command(self, channel: Any, command: str) -> None:
        """Send the command and do not wait for the server to say that it began."""
        message = paramiko.Message()
        message.add_byte(common.cMSG_CHANNEL_REQUEST)
        message.add_int(channel.remote_chanid)
        message.add_string("exec")
        message.add_boolean(True)
        message.add_string(command)
        self._send(message)

    def keep_alive(self) -> None:
        """From now on notice a silent end of the other side, also behind a jump host."""
        own: Any = self
        own.packetizer.set_keepalive(KEEPALIVE_S, self._ask_for_life)

    def drop(self) -> None:
        """Close at once; a reader that is blocked on the socket wakes up."""
        own: Any = self
        try:
            if isinstance(own.sock, socket.socket):
                own.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.close()

    def _send(self, message: paramiko.Message) -> None:
        own: Any = self
        try:
            own._send_user_message(message)
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise Dropped from error
        if not self.is_active():
            raise Dropped

    def _ask_for_life(self) -> None:
        own: Any = self
        if self._unanswered >= _UNANSWERED_MAX:
            raise EOFError("no answer to keepalives")
        self._unanswered += 1
        message = paramiko.Message()
        message.add_byte(common.cMSG_GLOBAL_REQUEST)
        message.add_string("keepalive@openssh.com")
        message.add_boolean(True)
        own._send_message(message)

    def _parse_request_failure(self, message: paramiko.Message) -> None:
        self._unanswered = 0

    def _parse_request_success(self, message: paramiko.Message) -> None:
        self._unanswered = 0

    def _parse_channel_open_failure(self, message: paramiko.Message) -> None:
        number, code, text = message.get_int(), message.get_int(), message.get_text()
        self._refusals[number] = Refused(code, text)
        message.rewind()
        parent: Any = super()
        parent._parse_channel_open_failure(message)


def _channel_request(channel: Any, message: paramiko.Message) -> None:
    """As paramiko does it, but a command that was ended by a signal has a status too."""
    at = message.packet.tell()
    if message.get_text() == "exit-signal":
        message.get_boolean()
        name = "SIG" + message.get_text()
        number = signal.Signals[name].value if name in signal.Signals.__members__ else 127
        channel.exit_status = 128 + number
        channel.status_event.set()
        return
    message.packet.seek(at)
    channel._handle_request(message)
