"""What is right in each block of a MultihostEngine alone, but not beside the others.

The blocks may still have mistakes of their own, which are told elsewhere: they are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rally_deploy.config import path_text, plugin_name
from rally_deploy.errors import UsageError
from rally_deploy.hosts.addresses import host_network
from rally_deploy.hosts.credentials import server_of

#: Providers that name servers instead of making them.
NAMED_SERVERS = ("ExistingServers", "DummyProvider")

#: Engines that put an OpenStack straight onto their servers: two on one are in each other's way.
#: LxcEngine is none: on one host there may be containers of many.
_OPENSTACKS = ("DevstackEngine", "DistroEngine")

#: How names of DevStack's services begin that a compute does not have.
_OF_A_CONTROLLER = (
    "key", "mysql", "postgresql", "rabbit", "n-api", "n-cond", "n-sch", "n-super-cond", "g-api",
    "placement-api", "q-svc", "neutron-api",
)
_SERVICES = "ENABLED_SERVICES"
_LOCALRC = "[[local|localrc]]"

Finding = tuple[str, str]
Path = tuple[str | int, ...]


class Block(NamedTuple):
    """The controller's or a node's, its place in the config, and how many there are of it."""

    path: Path
    block: Mapping[str, Any]
    times: int = 1


def mistakes(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Servers and networks that two blocks want, and a controller that would be none."""
    blocks = list(_blocks(config))
    yield from _servers_taken_twice(blocks)
    yield from _networks_taken_twice(blocks)
    yield from _no_controller(config.get("controller"))


def count_of(node: Mapping[str, Any]) -> int:
    """How many nodes a block of ``nodes`` stands for; 1 if what it says is no number."""
    count = node.get("count", 1)
    return count if isinstance(count, int) else 1


def _blocks(config: Mapping[str, Any]) -> Iterator[Block]:
    if isinstance(config.get("controller"), Mapping):
        yield Block(("controller",), config["controller"])
    for index, node in enumerate(config["nodes"]):
        if isinstance(node, Mapping):
            yield Block(("nodes", index), node, count_of(node))


def _servers_taken_twice(blocks: Sequence[Block]) -> Iterator[Finding]:
    taken: dict[str, Path] = {}
    for path, block, _ in blocks:
        if plugin_name(block) not in _OPENSTACKS:
            continue
        for index, server in _named_servers(block.get("provider")):
            first = taken.setdefault(server, path)
            if first != path:
                yield path_text((*path, "provider", "credentials", index)), (
                    f"{path_text(first)} has this server already: name another one, or make "
                    "containers on it by LxcProvider or LxcEngine")


def _networks_taken_twice(blocks: Sequence[Block]) -> Iterator[Finding]:
    """A network of containers can be on a host once."""
    taken: dict[str, list[tuple[Any, Path]]] = {}
    for path, block, count in blocks:
        for where, containers, hosts in _containers(path, block):
            start = containers.get("start_lxc_network")
            if not isinstance(start, str) or not start:
                continue
            servers = [server for _, server in _named_servers(hosts)]
            said = _network_mistake(start, path, count, servers, taken)
            if said:
                yield path_text((*where, "start_lxc_network")), said


def _network_mistake(
    start: str, path: Path, count: int, servers: Sequence[str],
    taken: dict[str, list[tuple[Any, Path]]],
) -> str:
    """What is wrong with the networks from ``start`` on; they are noted in ``taken``."""
    if count > 1 and servers:
        return (f"each of the {count} nodes would make {start} on the same host: leave it out, "
                "or give each node a block of its own")
    for number, server in enumerate(servers):
        try:
            network = host_network(start, number)
        except ValueError:
            return ""
        theirs = taken.setdefault(server, [])
        for other, owner in theirs:
            if network.overlaps(other):
                return (f"{network} is on the same host as {other} of {path_text(owner)}: give "
                        "each a network of its own, or leave it out")
        theirs.append((network, path))
    return ""


def _containers(
    path: Path, block: Mapping[str, Any]
) -> Iterator[tuple[Path, Mapping[str, Any], Any]]:
    """Each block that makes containers, and the provider of their hosts."""
    provider = block.get("provider")
    if plugin_name(block) == "LxcEngine":
        yield path, block, provider
    if isinstance(provider, Mapping) and plugin_name(provider) == "LxcProvider":
        yield (*path, "provider"), provider, provider.get("host_provider")


def _named_servers(provider: Any) -> Iterator[tuple[int, str]]:
    """Number and identity of each server that a config names."""
    if plugin_name(provider) not in NAMED_SERVERS:
        return
    credentials = provider.get("credentials")
    for index, entry in enumerate(credentials if isinstance(credentials, (list, tuple)) else ()):
        server = _identity(entry)
        if server:
            yield index, server


def _identity(entry: Any) -> str:
    """The same for one server in all its forms; empty if it is none."""
    try:
        return server_of(entry).identity.lower()
    except (AttributeError, TypeError, ValueError, UsageError):
        return ""


def _no_controller(controller: Any) -> Iterator[Finding]:
    """DevStack's services as an object says them, if none of them is a controller's."""
    if plugin_name(controller) != "DevstackEngine":
        return
    for key in ("local_conf", "localrc"):
        whole = controller.get(key)
        inner = whole.get(_LOCALRC) if isinstance(whole, Mapping) else None
        for path, variables in (((key,), whole), ((key, _LOCALRC), inner)):
            if isinstance(variables, Mapping) and _are_a_computes(variables):
                yield path_text(("controller", *path, _SERVICES)), (
                    "none of these is a service of a controller (key, rabbit, n-api ...): leave "
                    f"it out, or take some away by \"{_SERVICES}+\": \",-n-cpu\"")


def _are_a_computes(variables: Mapping[str, Any]) -> bool:
    given, added = variables.get(_SERVICES), variables.get(f"{_SERVICES}+") or ""
    if not isinstance(given, str) or not given or "$" in given:
        return False
    names = re.split(r"[,\s'\"]+", f"{given},{added}")
    return not any(name.startswith(_OF_A_CONTROLLER) for name in names)
