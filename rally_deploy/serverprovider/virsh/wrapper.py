"""A program of ours that libvirt runs as its ssh: our key, our host key, and no questions."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rally_deploy.paths import data_dir

#: The host's name in our known_hosts file, whatever its address and port are.
_ALIAS = "hypervisor"


@contextmanager
def ssh_wrapper(key_file: str | None, password: str | None, host_key: str | None) -> Iterator[str]:
    """The path of the program; it is only needed while a connection is opened.

    :param key_file: the only key to try; None: the user's agent and default keys.
    :param password: of the user or of the key; handed over in memory, never in a file.
    :param host_key: the one that the host has to have, as ``type base64``.
    """
    with tempfile.TemporaryDirectory(prefix="virsh-", dir=data_dir()) as name, \
            _in_memory(password) as secret:
        folder = Path(name)
        known_hosts = folder / "known_hosts"
        known_hosts.write_text(f"{_ALIAS} {host_key}\n" if host_key else "")
        options = _options(key_file, password, str(known_hosts), bool(host_key))
        environment = []
        if secret:
            ask = _program(folder / "askpass", f"exec cat {shlex.quote(secret)}")
            environment = ["env", f"SSH_ASKPASS={ask}", "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:"]
        line = shlex.join([*environment, "ssh", *options])
        # Of an option that is given twice ssh takes the first one, which is ours.
        yield _program(folder / "ssh", f'exec {line} "$@"')


def _program(path: Path, line: str) -> str:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o700)
    return str(path)


def _options(
    key_file: str | None, password: str | None, known_hosts: str, pinned: bool
) -> Sequence[str]:
    settings = {
        "BatchMode": "no" if password else "yes",
        "NumberOfPasswordPrompts": "1",
        "ConnectTimeout": "20",
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "3",
        "UserKnownHostsFile": _quoted(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": _ALIAS,
        "CheckHostIP": "no",
        "StrictHostKeyChecking": "yes" if pinned else "accept-new",
        "PermitLocalCommand": "no",
    }
    if key_file:
        settings |= {"IdentitiesOnly": "yes", "IdentityFile": _quoted(key_file)}
    words = ["-F", "none"]
    for name, value in settings.items():
        words += ["-o", f"{name}={value}"]
    return words


def _quoted(path: str) -> str:
    # In ssh's options a percent sign begins a token, and a blank ends a file's name.
    return '"' + path.replace("%", "%%") + '"'


@contextmanager
def _in_memory(secret: str | None) -> Iterator[str]:
    """A path under which this user's processes read the secret for as long as we live."""
    if not secret:
        yield ""
        return
    descriptor = os.memfd_create("secret")
    try:
        os.write(descriptor, secret.encode() + b"\n")
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)
