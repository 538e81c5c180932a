"""Waits for many servers or volumes, on one listing per tick."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rally_deploy.model import Resource
from rally_deploy.serverprovider.openstack import servers
from rally_deploy.serverprovider.openstack.cloud import Cloud
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, ServerFailed
from rally_deploy.serverprovider.openstack.servers import Roster

_FIRST_TICK_S, _LONGEST_TICK_S = 0.5, 3.0
_MISSES = 3
_SETTLED = frozenset({"ACTIVE", "ERROR", "DELETED", "SOFT_DELETED"})


def await_settled(
    cloud: Cloud, roster: Roster, rows: Sequence[Resource], uuid: str
) -> dict[str, Any]:
    """Row's key -> its server, once each is ACTIVE or will never be, or time is over."""
    tick = _FIRST_TICK_S
    started: set[str] = set()
    missed: dict[str, int] = {}
    while True:
        listing = roster.look(time.monotonic())
        there = {row.key: _one(cloud, listing, row, uuid) for row in rows}
        for row_key, server in there.items():
            if server is not None and server.status == "SHUTOFF" and server.id not in started:
                started.add(server.id)
                _start(cloud, server.id)
            missed[row_key] = missed.get(row_key, 0) + 1 if server is None else 0
        # Nova loses sight of a server for a moment when a cell takes it over.
        if all(
            missed[key] > _MISSES if server is None else server.status in _SETTLED
            for key, server in there.items()
        ):
            return there
        if cloud.patience.left_s <= 0:
            return there
        cloud.patience.pause(tick)
        tick = min(tick * 1.3, _LONGEST_TICK_S)


def _one(cloud: Cloud, listing: Sequence[Any], row: Resource, uuid: str) -> Any:
    """The server of a row. A second one came from a request that was believed lost: it goes."""
    found = servers.mine(listing, row, uuid)
    kept = next((s for s in found if s.id == row.facts["id"]), None)
    for double in found:
        if double is not kept:
            servers.delete_server(cloud, double.id)
    return kept


def _start(cloud: Cloud, server_id: str) -> None:
    try:
        cloud.nova.servers.start(server_id)
    except CloudRefusal as refusal:
        if refusal.status != 409:  # it is being started already
            raise


def active(cloud: Cloud, there: Mapping[str, Any], row: Resource) -> Any:
    """The server of a row; ServerFailed with all that the cloud tells if it is not ACTIVE."""
    server = there[row.key]
    if server is None:
        raise ServerFailed(
            f"{row.name} is not there any more", "somebody else has deleted it",
            "'rdeploy resume' makes it anew",
        )
    if server.status != "ACTIVE":
        what = "has failed" if server.status == "ERROR" else \
            f"is {server.status} instead of ACTIVE, and time is over"
        raise ServerFailed(
            f"server {row.name} {what}",
            f"{servers.fault_of(cloud, server)}\n{servers.console_of(cloud, server.id)}",
            "'rdeploy resume' makes anew what failed and keeps the others; "
            "'rdeploy destroy' removes all",
        )
    return server


def await_volumes(cloud: Cloud, rows: Iterable[Resource], uuid: str) -> None:
    """Return once all can be booted from."""
    names = {row.name for row in rows}
    tick = _FIRST_TICK_S
    while True:
        found = {servers.made_as(v, uuid): v["status"] for v in servers.list_volumes(cloud)}
        status = {name: found.get(name, "not there") for name in names}
        waiting = {n: s for n, s in status.items() if s not in ("available", "in-use")}
        if not waiting:
            return
        bad = {n: s for n, s in waiting.items() if s.startswith("error")}
        if bad or cloud.patience.left_s <= 0:
            shown = sorted((bad or waiting).items())
            raise ServerFailed(
                f"{len(shown)} of {len(names)} volumes cannot be booted from",
                "\n".join(f"{name} is {text}" for name, text in shown),
                "the volume service's log tells more; 'rdeploy resume' makes anew what failed",
            )
        cloud.patience.pause(tick)
        tick = min(tick * 1.3, _LONGEST_TICK_S)
