"""The hosts that deployments of a database are on, to look at each as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rally_deploy.errors import UsageError
from rally_deploy.model import Server
from rally_deploy.ssh.base import NoObserver, Shell

if TYPE_CHECKING:
    from rally_deploy.store import Store

T = TypeVar("T")
H = TypeVar("H")

_WIDTH = 20
HERE = Server(host="localhost", name="localhost", connection="local")


@dataclass(frozen=True)
class KnownHost:
    """A host that we made things on, and the deployment under which its key is pinned."""

    server: Server
    deployment_uuid: str = ""  # none: the user's own known_hosts file has to know it


def known_hosts(store: Store, more: Iterable[str] = ()) -> list[KnownHost]:
    """This machine, every host with something in the ledger, and ``more``: user@host[:port]."""
    found = {HERE.identity: KnownHost(HERE)}
    for text in more:
        asked = parse_address(text)
        found.setdefault(asked.identity, KnownHost(asked))
    for resource in store.resources.all_alive():
        server = resource.host
        # What is on a machine that we made goes away with that machine.
        if server and server.resource_id is None:
            top = _top(store, resource.deployment_uuid)
            found.setdefault(server.identity, KnownHost(server, top))
    return list(found.values())


def _top(store: Store, uuid: str) -> str:
    record = store.deployments.get(uuid)
    return _top(store, record.parent_uuid) if record.parent_uuid else uuid


def parse_address(text: str) -> Server:
    """``[user@]host[:port]``; root and 22 where they are left out."""
    user, _, rest = text.rpartition("@")
    host, _, port = rest.partition(":")
    if not host or (port and not port.isdecimal()):
        raise UsageError(f"'{text}' is not [user@]host[:port]")
    return Server(host=host, user=user or "root", port=int(port or 22))


def on_each(work: Callable[[H], T], hosts: Sequence[H]) -> list[T]:
    """The results in the hosts' order; the work runs in parallel."""
    with ThreadPoolExecutor(_WIDTH, thread_name_prefix="hosts") as pool:
        return list(pool.map(work, hosts))


@contextmanager
def shell_on(store: Store, host: KnownHost) -> Iterator[Shell]:
    """A shell on the host, closed at the end."""
    from rally_deploy.ssh import Pool

    demanded = "" if host.deployment_uuid else str(Path.home() / ".ssh" / "known_hosts")
    with ExitStack() as stack:
        pool = Pool(known_hosts=demanded)
        stack.callback(pool.close)
        yield pool.get(host.server, NoObserver(), _Pinned(store, host.deployment_uuid))


class _Pinned:
    """The keys that a deployment pinned. A look pins none."""

    def __init__(self, store: Store, uuid: str) -> None:
        self._store, self._uuid = store, uuid

    def get(self, identity: str) -> str | None:
        return self._store.host_keys.get(self._uuid, identity) if self._uuid else None

    def pin(self, identity: str, key: str) -> str:
        return key
