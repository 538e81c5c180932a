"""By what other servers know a server: its address and its host name."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Protocol

from rally_deploy.errors import HostError
from rally_deploy.model import Server


class Named(Protocol):
    """A server as an engine found it."""

    @property
    def server(self) -> Server: ...

    @property
    def hostname(self) -> str: ...


def known_address(server: Server, own: Sequence[str], main: str) -> str:
    """The config's address if that is one of its own, else its main one; empty without any.

    :param own: the server's addresses, as it says itself.
    :param main: the one by which it goes out to others.
    """
    if server.host in own:
        return server.host
    for text in (main, *own):
        try:
            address = ipaddress.IPv4Address(text)
        except ValueError:
            continue
        if not address.is_loopback:
            return text
    return ""


def require_own_names(nodes: Iterable[Named]) -> None:
    """Nova and Neutron tell hosts apart by their host names; HostError if two have the same."""
    seen: dict[str, Named] = {}
    for node in nodes:
        if node.hostname in seen:
            raise HostError(
                node.server,
                f"its host name {node.hostname} is also that of "
                f"{seen[node.hostname].server.label}",
                remedy="give each server a host name of its own, then 'rdeploy resume'",
            )
        seen[node.hostname] = node
