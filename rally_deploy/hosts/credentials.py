"""Servers as configs name them: the entries of ``credentials``."""

from __future__ import annotations

import os
import re
from typing import Any

from rally_deploy.errors import UsageError
from rally_deploy.model import Server

#: ``user@host``, ``user@host:port``, ``user@[IPv6]``.
TEXT_FORM = r"^([^\s@:]+)@(\[[0-9A-Fa-f:.%\w]+\]|[^\s@:\[\]/-][^\s@:\[\]/]*)(?::([0-9]{1,5}))?\Z"


def server_of(credential: Any) -> Server:
    """The server of one entry of ``credentials``."""
    if isinstance(credential, str):
        found = re.match(TEXT_FORM, credential)
        if not found:
            raise UsageError(f"{credential!r} is no user@host")
        user, host, port = found.groups()
        return Server(host=host.strip("[]"), user=user, port=int(port or 22))
    fields = {key: value for key, value in credential.items() if value not in ("", None)}
    known_hosts = fields.pop("known_hosts", None)
    if "key" in fields:
        fields["key"] = own_path(fields["key"])
    if "jump" in fields:
        fields["jump"] = server_of(fields["jump"])
    facts = {"known_hosts": own_path(known_hosts)} if known_hosts else {}
    return Server(**fields, facts=facts)


def own_path(path: str) -> str:
    """A path of this machine as a config has it, in full."""
    return os.path.abspath(os.path.expanduser(path))
