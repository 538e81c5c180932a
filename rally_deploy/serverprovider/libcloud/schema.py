"""The keys of a LibcloudProvider block, and the rules that a schema cannot say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.config import path_text
from rally_deploy.hosts import cloud_config
from rally_deploy.serverprovider.libcloud import drivers

_SECRET: Mapping[str, Any] = {"x-secret": True, "description": "never shown"}


def _patterns(description: str, default: list[str]) -> dict[str, Any]:
    return {
        "type": ["array", "string"], "items": {"type": "string"}, "default": default,
        "description": f"{description}: regular expressions, from the name's beginning",
    }


_NEED = {"type": "number", "minimum": 0}

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "driver", "image"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "x-alias": ["name"], "description": "LibcloudProvider"},
        "driver": {"type": "string", "minLength": 1,
                   "description": "libcloud's name of the cloud: openstack, ec2, gce ..."},
        "driver_args": {
            "type": "object", "default": {},
            "description": "what libcloud's driver is made with; 'username' and 'password' stand "
                           "for its first two arguments",
            "properties": {"key": _SECRET, "api_key": _SECRET, "credentials": _SECRET},
        },
        "pool": {"type": "string", "x-empty-is-absent": True,
                 "description": "what 'max_nodes' counts together (default: the same account of "
                                "the same cloud; by name of a 'libcloud' section: that name)"},
        "amount": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1,
                   "description": "how many servers"},
        "max_nodes": {"type": "integer", "minimum": 1,
                      "description": "how many servers there may be at once, over all deployments "
                                     "of the database"},
        "image": {"type": ["string", "integer"],
                  "description": "by id, by name, or as <os>-<version>, which its name contains"},
        "exclude_image": _patterns("images not to be taken", []),
        "size": {
            "type": ["string", "integer", "object"], "x-alias": ["machine"], "default": {},
            "additionalProperties": False,
            "description": "by id or name, or what is needed, of which the smallest is taken",
            "properties": {
                "ram": {**_NEED, "description": "MB, at least"},
                "disk": {**_NEED, "description": "GB, at least"},
                "cpus": {**_NEED, "description": "at least"},
            },
        },
        "allow_sizes": _patterns("sizes to choose from by need", [".*"]),
        "exclude_sizes": _patterns("sizes not to be chosen by need", ["win"]),
        "allow_networks": _patterns("networks that the servers are put on", []),
        "security_groups": {"type": "array", "items": {"type": "string"}, "default": [],
                            "description": "groups of the cloud, by name, used as they are"},
        "location": {"type": "string", "x-empty-is-absent": True,
                     "description": "a region or zone, by name or id (default: the cloud's)"},
        "userdata": {
            "type": "object", "default": {},
            "additionalProperties": {"type": ["object", "string"]},
            "description": "for cloud-init, by <os>-<version> of the image: an object, to which "
                           "our key is added, or a text that is taken as it is",
        },
        "volumes": {
            "type": "object", "default": {"count": 0, "size": 20}, "additionalProperties": False,
            "description": "of each server, attached to it",
            "properties": {
                "count": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1,
                          "description": "how many"},
                "size": {"type": "integer", "minimum": 1, "default": 20, "description": "GB each"},
            },
        },
        "ssh_interface": {"enum": ["public_ips", "private_ips"], "default": "public_ips",
                          "description": "which address we log in to"},
        "login_user": {"type": "string", "default": "root", "pattern": r"^[^\s-]\S*\Z",
                       "description": "who logs in to the servers; others than root use sudo"},
        "wait_for_ssh": {"type": "boolean", "default": True,
                         "description": "wait until each server lets us log in"},
        "timeout_s": {"type": "integer", "minimum": 10, "default": 1800,
                      "description": "seconds that the servers may take to come up"},
    },
    "examples": [
        {
            "type": "LibcloudProvider", "driver": "openstack",
            "driver_args": {
                "username": "me", "password": "${env:CLOUD_PASSWORD}",
                "ex_force_auth_url": "https://cloud.example.net:5000/v3",
                "ex_force_auth_version": "3.x_password", "ex_tenant_name": "my project",
                "ex_force_service_region": "RegionOne",
            },
            "image": "debian-12", "size": {"ram": 4096, "disk": 40, "cpus": 2},
            "login_user": "debian", "security_groups": ["ssh"], "amount": 3, "max_nodes": 10,
        },
        {
            "type": "LibcloudProvider", "driver": "ec2",
            "driver_args": {"key": "${env:EC2_KEY}", "secret": "${env:EC2_SECRET}",
                            "region": "eu-west-1"},
            "image": "ami-0123456789abcdef0", "size": "t3.medium", "login_user": "admin",
            "volumes": {"count": 1, "size": 20},
        },
    ],
}

_PATTERNS = ("exclude_image", "allow_sizes", "exclude_sizes", "allow_networks")


def mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the schema cannot say, as (path below the block, message)."""
    if config.get("max_nodes") and config["amount"] > config["max_nodes"]:
        yield "amount", f"{config['amount']} is more than 'max_nodes', {config['max_nodes']}"
    for key in _PATTERNS:
        for pattern in patterns(config[key]):
            try:
                re.compile(pattern)
            except re.error as error:
                yield key, f"'{pattern}' is no regular expression: {error}"
    for spec, told in config["userdata"].items():
        if isinstance(told, str) and (wrong := cloud_config.problem(told)):
            yield path_text(("userdata", spec)), wrong
    problem = drivers.problem(config["driver"], config["driver_args"])
    if problem:
        yield problem


def warnings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is taken otherwise than it is written."""
    if drivers.uses_v2(config["driver_args"]):
        yield "driver_args", "Keystone's version 2 is no more: version 3 of that address is used"


def patterns(value: str | list[str]) -> list[str]:
    """The regular expressions of a key that may hold one or many."""
    return [value] if isinstance(value, str) else list(value)
