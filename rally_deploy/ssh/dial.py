"""A TCP connection to a server, with an error that tells what is wrong with the way there."""

from __future__ import annotations

import errno
import os
import select
import socket
import time

from rally_deploy.errors import Unreachable
from rally_deploy.model import Server
from rally_deploy.ssh.wire import CHECK_S, Check

#: A server that vanishes is noticed after this long, even while we wait for nothing from it.
_DEAD_AFTER_S = 45

_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN)
_BY_FIREWALL = (errno.EACCES, errno.EPERM)


def dial(server: Server, timeout_s: float, check: Check) -> socket.socket:
    """A connected socket on which the server has begun to speak. Raises Unreachable."""
    end = time.monotonic() + timeout_s
    sock = _connect(server, end, timeout_s, check)
    try:
        _wait_for_banner(server, sock, end, timeout_s, check)
        _watch_for_death(sock)
    except BaseException:
        sock.close()
        raise
    return sock


def _connect(server: Server, end: float, timeout_s: float, check: Check) -> socket.socket:
    code = 0
    for family, kind, protocol, _, address in _resolve(server):
        check()
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        code = sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            code = errno.ETIMEDOUT
            if _ready(sock, select.POLLOUT, end, check):
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0:
            sock.setblocking(True)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        sock.close()
    raise _unreachable(server, code, timeout_s) from OSError(code, os.strerror(code))


def _resolve(server: Server) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    try:
        return socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)  # type: ignore
    except (socket.gaierror, UnicodeError) as error:
        raise Unreachable(
            server, f"the name '{server.host}' is not found", str(error),
            "check the name for typing mistakes, or give the server's address instead",
        ) from error


def _unreachable(server: Server, code: int, timeout_s: float) -> Unreachable:
    where = f"{server.host}:{server.port}"
    if code == errno.ECONNREFUSED:
        what = f"{where} refuses connections"
        remedy = "start sshd there, or give the port that it listens on"
    elif code in _NO_ROUTE:
        what = f"there is no route to {where}"
        remedy = "check the address, and the routes and networks of this machine"
    elif code in _BY_FIREWALL:
        what = f"this machine does not let us connect to {where}"
        remedy = "look for a rule against it in this machine's firewall"
    elif code == errno.ETIMEDOUT:
        what = f"no answer from {where} within {timeout_s:g} s"
        remedy = "check that the server is up and that no firewall is in the way"
    else:
        what = f"cannot connect to {where}"
        remedy = "check the server's address and port"
    details = "" if code == errno.ETIMEDOUT else os.strerror(code)
    return Unreachable(server, what, details, remedy)


def no_banner(server: Server, timeout_s: float) -> Unreachable:
    """Something took the connection and said nothing."""
    return Unreachable(
        server,
        f"{server.host}:{server.port} took the connection but said nothing for {timeout_s:g} s",
        remedy="check that sshd listens on this port, and that the server does not hang",
    )


def _wait_for_banner(
    server: Server, sock: socket.socket, end: float, timeout_s: float, check: Check
) -> None:
    # The key exchange has a time limit of its own, which begins only when sshd is there.
    if not _ready(sock, select.POLLIN, end, check):
        raise no_banner(server, timeout_s)
    if not sock.recv(1, socket.MSG_PEEK):
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def _watch_for_death(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_S * 1000)


def _ready(sock: socket.socket, what: int, end: float, check: Check) -> bool:
    poll = select.poll()
    poll.register(sock, what)
    while not poll.poll(CHECK_S * 1000):
        check()
        if time.monotonic() > end:
            return False
    return True
