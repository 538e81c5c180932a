"""Nova's side of servers, key pairs and boot volumes: made once, listed once a tick, removed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rally_deploy.errors import ResourceConflict
from rally_deploy.model import Resource
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, absent_is_success

#: In the metadata of servers and volumes: whose they are, and the name under which they were made.
META, META_NAME = "rdeploy", "rdeploy_name"

#: A volume in these states refuses its deletion, and most often leaves them by itself.
_BUSY = frozenset({
    "in-use", "detaching", "attaching", "reserved", "downloading", "creating",
})

#: So long a server that is gone may take to let go of its volume.
_RESERVED_S = 20.0
_CONSOLE_LINES = 25


class Roster:
    """One listing per tick for however many threads wait for its items.

    :param fetch: lists all things of this deployment.
    """

    def __init__(self, fetch: Callable[[], list[Any]]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._begun, self._found = float("-inf"), list[Any]()

    def look(self, since: float) -> list[Any]:
        """A listing that was begun at ``since`` (monotonic) or later."""
        with self._lock:
            if self._begun < since:
                begun = time.monotonic()
                self._found = self._fetch()
                self._begun = begun
            return self._found


def list_servers(cloud: Cloud, prefix: str) -> list[Any]:
    """All servers of the project whose name begins so, with their details."""
    # Nova takes the name as a regular expression; there is nothing special in our prefix.
    found: list[Any] = cloud.nova.servers.list(search_opts={"name": f"^{prefix}"})
    return [server for server in found if server.name.startswith(prefix)]


def mine(found: Sequence[Any], row: Resource, uuid: str) -> list[Any]:
    """Those of this row: by name and mark. Raises ResourceConflict for a foreign one."""
    named = [server for server in found if server.name == row.name]
    for server in named:
        if server.metadata.get(META) != uuid:
            raise ResourceConflict(
                f"there is a server {row.name} that this deployment did not make",
                f"id {server.id}, made {server.created}", "rename or delete it",
            )
    return named


def post_server(
    cloud: Cloud, name: str, uuid: str, deployment: str, asked: Mapping[str, Any]
) -> Any:
    """One POST: name, metadata and tags tell whose it is."""
    tags = {"tags": [f"rdeploy:{uuid}", name]} if cloud.server_tags else {}
    meta = {META: uuid, META_NAME: name, "rdeploy_deployment": deployment[:255]}
    return cloud.nova.servers.create(name=name, meta=meta, **tags, **asked)


def make_server(cloud: Cloud, roster: Roster, row: Resource, uuid: str,
                post: Callable[[], Any], settle_s: float) -> str:
    """The id of the server of this row; ``post`` asks for it."""
    def look() -> Any:
        return next(iter(mine(roster.look(time.monotonic()), row, uuid)), None)

    return str(cloud.once(post, look, settle_s).id)


def fault_of(cloud: Cloud, server: Any) -> str:
    """What Nova tells of a server's failure."""
    fault = getattr(server, "fault", None) or _own_fault(cloud, server.id)
    text = str(fault.get("message", ""))
    task = getattr(server, "OS-EXT-STS:task_state", None)
    parts = [f"status {server.status}" + (f", task {task}" if task else "")]
    if text:
        parts.append(f"fault {fault.get('code', '')}: {text}")
    if fault.get("details"):
        parts.append("\n".join(str(fault["details"]).strip().splitlines()[-3:]))
    return "\n".join(parts)


def _own_fault(cloud: Cloud, server_id: str) -> Mapping[str, Any]:
    """The fault as the server itself tells it.

    Nova's listing leaves out those of servers that got no host: it keeps them in another database.
    """
    try:
        return getattr(cloud.nova.servers.get(server_id), "fault", None) or {}
    except CloudRefusal:
        return {}  # it is a detail of another error, which must not be hidden by this one


def console_of(cloud: Cloud, server_id: str) -> str:
    """The last lines of a server's console; what keeps us from them if they cannot be had."""
    try:
        text = str(cloud.nova.servers.get_console_output(server_id, _CONSOLE_LINES) or "")
    except CloudRefusal as refusal:
        return f"(no console log: {refusal.details or refusal.brief})"
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(["console log:", *lines]) if lines else "(its console log is empty)"


def address_of(server: Any, floating: str = "") -> tuple[str, str]:
    """(the address to reach it by, its address on its own network)."""
    every: list[tuple[str, Mapping[str, Any]]] = [
        (name, entry) for name, entries in server.addresses.items() for entry in entries
    ]
    fixed = [e["addr"] for _, e in every if e.get("OS-EXT-IPS:type") != "floating"]
    others = [e["addr"] for _, e in every if e.get("OS-EXT-IPS:type") == "floating"]
    public = [e["addr"] for name, e in every if name == "public"]
    candidates = [
        floating, *others, getattr(server, "accessIPv4", ""), getattr(server, "accessIPv6", ""),
        *public, *fixed,
    ]
    return next(filter(None, candidates), ""), fixed[0] if fixed else ""


# Key pairs: Nova keeps nothing but the name and the key, so the key itself tells whose it is.

def make_key_pair(cloud: Cloud, row: Resource, public_key: str, settle_s: float) -> str:
    def post() -> Any:
        return cloud.nova.keypairs.create(row.name, public_key=public_key)

    made = cloud.once(post, lambda: key_pair(cloud, row, public_key), settle_s)
    return str(made.fingerprint)


def key_pair(cloud: Cloud, row: Resource, public_key: str) -> Any:
    """The key pair of this row, or None; ResourceConflict if another key has its name."""
    try:
        found = cloud.nova.keypairs.get(row.name)
    except CloudRefusal as refusal:
        if refusal.status == 404:
            return None
        raise
    if str(found.public_key).split()[:2] != public_key.split()[:2]:
        raise ResourceConflict(
            f"there is a key pair {row.name} with another key than this deployment's",
            f"fingerprint {found.fingerprint}", "rename or delete it",
        )
    return found


def delete_key_pair(cloud: Cloud, row: Resource, public_key: str, settle_s: float) -> None:
    if cloud.settled(lambda: key_pair(cloud, row, public_key), settle_s):
        absent_is_success(cloud.nova.keypairs.delete, row.name)
        _require_gone(cloud, row.name, lambda: not key_pair(cloud, row, public_key))


# Volumes

def make_volume(cloud: Cloud, row: Resource, uuid: str, asked: Mapping[str, Any],
                settle_s: float) -> str:
    body = {"volume": {"name": row.name, "metadata": {META: uuid, META_NAME: row.name}, **asked}}

    def look() -> Mapping[str, Any] | None:
        return next(iter(my_volumes(cloud, row, uuid)), None)

    made = cloud.once(lambda: cloud.volumes.post("/volumes", body)["volume"], look, settle_s)
    return str(made["id"])


def list_volumes(cloud: Cloud, **search: str) -> list[dict[str, Any]]:
    return cloud.volumes.list("volumes", "/volumes/detail", **search)


def made_as(volume: Mapping[str, Any], uuid: str) -> str:
    """The name under which this deployment made a volume; empty: it did not.

    Names say nothing: several volumes may have the same, and anybody may rename ours.
    """
    marks: Mapping[str, str] = volume["metadata"]
    return marks.get(META_NAME, "") if marks.get(META) == uuid else ""


def my_volumes(cloud: Cloud, row: Resource, uuid: str) -> list[dict[str, Any]]:
    # A cloud may be told not to look for metadata; then it lists all.
    found = list_volumes(cloud, metadata=str({META_NAME: row.name}))
    return [volume for volume in found if made_as(volume, uuid) == row.name]


def delete_volumes(cloud: Cloud, row: Resource, uuid: str, settle_s: float) -> None:
    """Its server must be gone: then Cinder needs a moment to see that it is free."""
    for volume in cloud.settled(lambda: my_volumes(cloud, row, uuid), settle_s) or ():
        absent_is_success(_delete_volume, cloud, volume["id"])
    _require_gone(cloud, row.name, lambda: not my_volumes(cloud, row, uuid), 300.0)


def _delete_volume(cloud: Cloud, volume_id: str) -> None:
    def settled_status() -> str:
        status = str(cloud.volumes.get(f"/volumes/{volume_id}")["volume"]["status"])
        return "" if status in _BUSY else status

    if not cloud.settled(settled_status, _RESERVED_S):
        _unreserve(cloud, volume_id)
    # One that is deleted already, as a killed destroy has asked for, refuses a second request.
    if cloud.settled(settled_status, 120.0) != "deleting":
        cloud.volumes.delete(f"/volumes/{volume_id}")


def _unreserve(cloud: Cloud, volume_id: str) -> None:
    """Nova leaves a volume reserved for good if its server is deleted before that has a host."""
    path = f"{cloud.require('block-storage')}/attachments"
    version = {"OpenStack-API-Version": "volume 3.27"}
    found = cloud.session.get(f"{path}?volume_id={volume_id}", headers=version).json()
    for one in found["attachments"]:
        if one["status"] == "reserved":
            absent_is_success(partial(
                cloud.session.delete, f"{path}/{one['id']}", headers=version))


def _require_gone(
    cloud: Cloud, name: str, gone: Callable[[], bool], timeout_s: float = 60.0
) -> None:
    if not cloud.settled(gone, timeout_s):
        raise CloudRefusal(
            f"{name} is still there after its deletion", remedy="run 'rdeploy destroy' again"
        )


def delete_server(cloud: Cloud, server_id: str) -> None:
    """Ask for its deletion; absent is success."""
    absent_is_success(cloud.nova.servers.delete, server_id)
