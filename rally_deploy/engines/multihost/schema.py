"""The config block of MultihostEngine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.config import path_text, plugin_name
from rally_deploy.config.strings import each_string
from rally_deploy.engines.multihost import conflicts
from rally_deploy.engines.multihost.conflicts import NAMED_SERVERS, count_of

#: What nodes are told of their controller; docs/config.rst says what each is.
HANDED_ON = (
    "controller_ip", "controller_host", "controller_auth_url", "controller_admin_password",
    "controller_service_password", "controller_database_password",
    "controller_rabbit_password", "controller_transport_url", "controller_ca",
    "controller_machine_ip",
)
#: As some of Rally's documents have it.
MISSPELT = "contoller_ip"

_ANY = re.compile(r"\{(cont\w*ler_\w+)\}")

CONFIG_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "controller", "nodes"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "x-alias": ["name"], "description": "MultihostEngine"},
        "controller": {
            "type": "object", "x-plugin": "engine", "x-plugin-role": "controller",
            "description": "the engine of the controller, which is deployed first; its users and "
                           "endpoints are those of the whole cloud",
        },
        "nodes": {
            "type": "array", "minItems": 1,
            "description": "the engines of the nodes, deployed at the same time; 'count' in one: "
                           "so many of it; {controller_ip} and its like in any of their strings "
                           "become what the controller is",
            "items": {
                "type": "object", "x-plugin": "engine",
                "x-plugin-placeholders": [*HANDED_ON, MISSPELT],
                "x-plugin-keys": {
                    "count": {
                        "type": "integer", "minimum": 1, "maximum": 1000, "default": 1,
                        "description": "this node so many times",
                    },
                },
            },
        },
    },
    "examples": [
        {
            "type": "MultihostEngine",
            "controller": {
                "type": "DistroEngine", "roles": ["controller"],
                "provider": {
                    "type": "ExistingServers",
                    "credentials": [{"host": "192.0.2.10", "user": "root"}],
                },
            },
            "nodes": [
                {
                    "type": "DistroEngine", "controller": "{controller_ip}",
                    "provider": {
                        "type": "ExistingServers",
                        "credentials": [{"host": "192.0.2.11", "user": "root"}],
                    },
                },
            ],
        },
    ],
}


def mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the schema cannot say, as (path below the block, message)."""
    for index, node in enumerate(config["nodes"]):
        # An engine around another one makes servers of its own on those that are named.
        provider, count = plugin_name(node.get("provider")), count_of(node)
        if count > 1 and provider in NAMED_SERVERS and "engine" not in node:
            yield (f"nodes[{index}].count",
                   f"{provider} names the same servers for each of the {count} nodes: "
                   "give each a block of its own")
    yield from conflicts.mistakes(config)


def warnings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Braces that look like a value of the controller's but are none."""
    known = {*HANDED_ON, MISSPELT}
    for path, text in each_string(config["nodes"], ("nodes",)):
        for name in dict.fromkeys(_ANY.findall(text)):
            if name not in known:
                yield (path_text(path), f"{{{name}}} stays as it is: the controller's values are "
                       + ", ".join(HANDED_ON))
    for path, text in each_string(config["controller"], ("controller",)):
        for name in dict.fromkeys(_ANY.findall(text)):
            if name in known:
                yield path_text(path), f"{{{name}}} stays as it is: only nodes are told of it"
