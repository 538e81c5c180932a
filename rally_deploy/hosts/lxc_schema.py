"""The keys that whoever makes containers takes in its block, and an LxcProvider's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally_deploy.hosts.tunnel import TYPES

#: What :class:`~rally_deploy.hosts.lxc_fleet.Containers` reads, apart from the provider's own.
KEYS: Mapping[str, Any] = {
    "distribution": {
        "type": "string", "x-empty-is-absent": True,
        "description": "an LXC template: debian, ubuntu, download ... (default: the host's "
                       "own distribution)",
    },
    "release": {
        "type": "string", "x-empty-is-absent": True,
        "description": "the distribution's release (default: the host's, where that is of "
                       "the same distribution; for ubuntu elsewhere the newest with long "
                       "support that the host's debootstrap knows)",
    },
    "arch": {
        "type": "string", "x-empty-is-absent": True,
        "description": "the containers' architecture, as the template names it",
    },
    "packages": {
        "type": "array", "items": {"type": "string"}, "default": [],
        "description": "packages in the base container, beside those always there",
    },
    "engine_packages": {
        "type": "boolean", "default": True,
        "description": "keep what the engine will install in a base container of its own, so "
                       "that the next create is quick",
    },
    "template_options": {
        "type": "array", "items": {"type": "string"}, "default": [],
        "description": "further options of the template, as on its command line",
    },
    "start_lxc_network": {
        "type": "string", "x-empty-is-absent": True,
        "description": "the first host's container network (CIDR); the next host gets the "
                       "next block of that size (default: one that is free)",
    },
    "tunnel_to": {
        "type": "array", "items": {"type": "string"}, "default": [],
        "description": "IPv4 addresses of machines that are to reach the containers through "
                       "tunnels (a note tells the commands for their end), or of the hosts "
                       "themselves",
    },
    "tunnel_type": {
        "type": "string", "enum": list(TYPES), "default": "ipip",
        "description": "the kind of tunnel; which of them a host has depends on its kernel",
    },
    "forward_ssh": {
        "type": "boolean", "default": False,
        "description": "lead ports of the host, from 1222 up, to the containers' SSH "
                       "(default: we jump over the host)",
    },
    "lxc_config": {
        "type": "array", "items": {"type": "string"}, "default": [],
        "description": "further lines of each container's LXC configuration",
    },
}

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,29}$"

PROVIDER_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "host_provider", "containers_per_host"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "x-alias": ["name"], "description": "LxcProvider"},
        "host_provider": {
            "type": "object", "x-plugin": "provider",
            "description": "the machines that the containers are made on: any provider's block",
        },
        "containers_per_host": {
            "type": "integer", "minimum": 1, "maximum": 1000,
            "description": "how many containers on each host",
        },
        "container_name_prefix": {
            "type": "string", "default": "rd", "pattern": NAME_PATTERN,
            "description": "part of the containers' names, behind our tag",
        },
        **KEYS,
        "network_bridge": {
            "type": "string", "x-empty-is-absent": True,
            "description": "a bridge that the hosts have: the containers go on that network",
        },
        "ipv4_start_address": {
            "type": "string", "x-empty-is-absent": True,
            "description": "the first container's address on 'network_bridge', counting up "
                           "(default: its DHCP)",
        },
        "ipv4_prefixlen": {
            "type": "integer", "minimum": 8, "maximum": 30, "x-empty-is-absent": True,
            "description": "the prefix length of that network",
        },
    },
    "examples": [
        {
            "type": "LxcProvider",
            "containers_per_host": 2,
            "distribution": "debian",
            "release": "bookworm",
            "host_provider": {
                "type": "ExistingServers",
                "credentials": [{"host": "localhost", "user": "root", "connection": "local"}],
            },
        }
    ],
}
