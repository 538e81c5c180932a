"""The keys of an LxcEngine block."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.config import plugin_name
from rally_deploy.hosts.lxc_place import problems_of
from rally_deploy.hosts.lxc_schema import KEYS, NAME_PATTERN

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "provider", "engine", "containers_per_host"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "x-alias": ["name"], "description": "LxcEngine"},
        "provider": {
            "type": "object", "x-plugin": "provider",
            "description": "the hosts: machines that the containers are made on",
        },
        "engine": {
            "type": "object", "x-plugin": "engine", "x-plugin-given": ["provider"],
            "description": "what each host's first container is deployed with; its provider is "
                           "that container",
        },
        "containers_per_host": {
            "type": "integer", "minimum": 1, "maximum": 1000, "x-alias": ["nodes_per_server"],
            "description": "how many containers on each host: the first one and its clones",
        },
        "container_name": {
            "type": "string", "default": "node", "pattern": NAME_PATTERN,
            "x-alias": ["container_name_prefix"],
            "description": "part of the containers' names, behind our tag",
        },
        "start_script": {
            "type": "string", "x-empty-is-absent": True,
            "description": "a file here that is run in each container once it is up, with "
                           "RDEPLOY_NAME, RDEPLOY_NUMBER (from 0, over all hosts) and "
                           "RDEPLOY_ADDRESS; ~ is the user's home",
        },
        **KEYS,
    },
    "examples": [
        {
            "type": "LxcEngine",
            "provider": {"type": "ExistingServers", "credentials": ["root@192.0.2.11"]},
            "container_name": "compute",
            "containers_per_host": 16,
            "distribution": "debian",
            "start_lxc_network": "10.1.1.0/24",
            "engine": {"type": "DistroEngine", "virt_driver": "fake"},
        }
    ],
}


def script_path(path: str) -> str:
    """Where a file of the config is on this machine."""
    return os.path.abspath(os.path.expanduser(path))


def mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the schema cannot say: (path, message)."""
    yield from problems_of(config)
    if plugin_name(config["engine"]) == "LxcEngine":
        key = "type" if "type" in config["engine"] else "name"
        yield f"engine.{key}", ("containers in the containers cannot be cloned: name what is to "
                                "be deployed in each container")
    script = config.get("start_script")
    if isinstance(script, str) and script:
        path = script_path(script)
        if not os.path.isfile(path):
            yield "start_script", f"there is no file {path}"
        elif not os.access(path, os.R_OK):
            yield "start_script", f"{path} must not be read by this user"


def warnings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What has no effect."""
    engine = config.get("engine")
    if isinstance(engine, Mapping) and "provider" in engine:
        yield "engine.provider", "it has no effect: the server is each host's first container"
