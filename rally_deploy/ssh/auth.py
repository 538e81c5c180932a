"""Logging in: key, password, or (if neither is given) the user's agent and default keys."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko

from rally_deploy.errors import AuthenticationFailed
from rally_deploy.model import Server
from rally_deploy.ssh.wire import Check, Link, wait_for

_TIMEOUT_S = 60.0
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
_KINDS: tuple[type[paramiko.PKey], ...] = (
    paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey,
)

Attempt = tuple[str, Callable[[Link, str, threading.Event], object]]


class Keys:
    """Private keys that were read once: a file serves many servers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._read: dict[tuple[str, str | None], paramiko.PKey] = {}

    def of(self, server: Server) -> paramiko.PKey | None:
        """The server's key; None if it has none. Raises AuthenticationFailed."""
        text, source = server.private_key, "its private_key"
        if not text and not server.key:
            return None
        if not text:
            assert server.key is not None
            source = server.key
            try:
                text = Path(server.key).expanduser().read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise AuthenticationFailed(
                    server, f"the key file {source} cannot be read", str(error),
                    "give the path of a private key that this user may read",
                ) from error
        with self._lock:
            known = self._read.get((text, server.password))
            if known is None:
                known = _parse(server, text, source)
                self._read[text, server.password] = known
            return known


def _parse(server: Server, text: str, source: str) -> paramiko.PKey:
    text = text.replace("\r\n", "\n").strip() + "\n"
    for kind in _KINDS:
        try:
            return kind.from_private_key(io.StringIO(text), password=server.password)
        except paramiko.PasswordRequiredException as error:
            raise AuthenticationFailed(
                server, f"{source} is encrypted",
                remedy="give its passphrase as 'password', or use a key without one",
            ) from error
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    raise AuthenticationFailed(
        server, f"{source} is no private key that we can read (or its passphrase is wrong)",
        remedy="give a private key in OpenSSH or PEM format: ed25519, ecdsa or rsa",
    )


def log_in(link: Link, server: Server, keys: Keys, check: Check) -> None:
    """Raise AuthenticationFailed unless the server takes one of our credentials."""
    tried, allowed = [], set()
    for name, attempt in _attempts(server, keys):
        tried.append(name)
        done = threading.Event()
        error: Exception | None = None
        try:
            attempt(link, server.user, done)
            if not wait_for(done, time.monotonic() + _TIMEOUT_S, check):
                raise TimeoutError
            if link.is_authenticated():
                return
            error = link.get_exception()
        except paramiko.AuthenticationException as raised:
            error = raised
        if isinstance(error, paramiko.BadAuthenticationType):
            allowed.update(error.allowed_types)
        if not link.is_active():
            # sshd ends a connection after some wrong tries, and at once for a user it refuses.
            if error is None or isinstance(error, (EOFError, paramiko.AuthenticationException)):
                break
            raise error
    details = f"tried: {', '.join(tried) or 'nothing'}"
    if allowed:
        details += f"\nit takes: {', '.join(sorted(allowed))}"
    raise AuthenticationFailed(
        server, f"user {server.user} cannot log in", details,
        "check the user, and that the server takes its key or password" if tried
        else "give the server's 'key' or 'password', or load a key into your SSH agent",
    )


def _attempts(server: Server, keys: Keys) -> Iterator[Attempt]:
    key = keys.of(server)
    if key:
        yield _by_key(f"key {fingerprint_of(key)}", key)
    if server.password is not None:
        yield "password", _by_password(server.password)
        yield "keyboard-interactive", _by_questions(server.password)
    if key is None and server.password is None:
        yield from _of_the_user(server)


def _of_the_user(server: Server) -> Iterator[Attempt]:
    agent = paramiko.Agent()
    try:
        for key in agent.get_keys():
            yield _by_key(f"agent's key {fingerprint_of(key)}", key)
    finally:
        agent.close()
    for name in _DEFAULT_KEYS:
        path = Path.home() / ".ssh" / name
        try:
            yield _by_key(str(path), _parse(server, path.read_text(), str(path)))
        except (OSError, AuthenticationFailed):
            continue


def fingerprint_of(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {getattr(key, 'fingerprint', '')}".strip()


def _by_key(name: str, key: paramiko.PKey) -> Attempt:
    return name, lambda link, user, done: link.auth_publickey(user, key, done)


def _by_password(password: str) -> Callable[[Link, str, threading.Event], object]:
    return lambda link, user, done: link.auth_password(user, password, done, fallback=False)


def _by_questions(password: str) -> Callable[[Link, str, threading.Event], object]:
    def ask(link: Link, user: str, done: threading.Event) -> None:
        link.auth_interactive(user, lambda title, text, fields: [password for _ in fields])
        done.set()

    return ask
