"""All of an account that carries the tag of a deployment, of whichever database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rally_deploy.hosts.tagged import Tagged, named
from rally_deploy.serverprovider.libcloud.cloud import Cloud, NoService
from rally_deploy.serverprovider.libcloud.machines import (
    KEY_PAIR,
    LISTS,
    NODE,
    VOLUME,
    is_gone,
    mark_of,
)

_KINDS = {NODE: "server", VOLUME: "volume", KEY_PAIR: "key pair"}


def list_tagged(cloud: Cloud) -> list[Tagged]:
    """Servers, volumes and key pairs, each by its mark, else by its name."""
    return sorted(set(_found(cloud)))


def _found(cloud: Cloud) -> Iterator[Tagged]:
    for kind, call in LISTS.items():
        if kind == NODE or cloud.can(call):
            for thing in _listed(cloud, kind):
                if not is_gone(thing):
                    yield from _tagged(_KINDS[kind], thing)


def _listed(cloud: Cloud, kind: str) -> list[Any]:
    try:
        return cloud.listed(LISTS[kind])
    except NoService:
        # An OpenStack without Cinder has no volumes; one without servers is the wrong region.
        if kind == NODE:
            raise
        return []


def _tagged(kind: str, thing: Any) -> Iterator[Tagged]:
    tag, name = mark_of(thing)[:8], str(thing.name or "")
    if re.fullmatch("[0-9a-f]{8}", tag):
        yield Tagged(kind, name, tag)
    else:
        yield from named(kind, name)
