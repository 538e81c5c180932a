"""The config block of DistroEngine."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

SERVICES = ("keystone", "glance", "placement", "nova", "neutron")
PASSWORDS = ("admin", "service", "database", "rabbit", "metadata")
#: What each service cannot work without.
NEEDS = {
    "glance": ("keystone",), "placement": ("keystone",), "neutron": ("keystone",),
    "nova": ("keystone", "glance", "placement", "neutron"),
}

_IMAGE = {
    "type": "object",
    "required": ["name", "url"],
    "additionalProperties": False,
    "description": "An image of every user",
    "properties": {
        "name": {"type": "string", "description": "its name in Glance"},
        "url": {"type": "string", "description": "http(s), or a file on this machine"},
        "format": {"type": "string", "default": "qcow2", "description": "qcow2, raw, iso ..."},
        "checksum": {
            "type": "string", "default": "",
            "description": "md5, or sha256:... or sha512:...; verified before the upload",
        },
    },
}

_NETWORK = {
    "type": "object",
    "required": ["name", "cidr"],
    "additionalProperties": False,
    "description": "A network with a subnet",
    "properties": {
        "name": {"type": "string", "description": "its name in Neutron"},
        "cidr": {"type": "string", "description": "its subnet"},
        "external": {
            "type": "boolean", "default": False,
            "description": "floating addresses come from it; it is on the bridge br-ex",
        },
        "gateway": {"type": "string", "default": "", "description": "the subnet's gateway"},
        "free_range": {
            "type": "string", "default": "",
            "description": "FIRST-LAST: the addresses that it may give out",
        },
    },
}

CONFIG_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "provider"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "x-alias": ["name"], "description": "DistroEngine"},
        "provider": {
            "type": "object", "x-plugin": "provider",
            "description": "its servers: one is all in one, of several the first is the "
                           "controller and the others are computes",
        },
        "controller": {
            "type": "string", "x-empty-is-absent": True, "x-handed": "controller_ip",
            "description": "the address of a DistroEngine's controller elsewhere: then all "
                           "servers are its computes (default: none; in the nodes of a "
                           "MultihostEngine its controller's)",
        },
        "services": {
            "type": "array", "items": {"type": "string", "enum": list(SERVICES)},
            "default": list(SERVICES), "uniqueItems": True,
            "description": "which services to install",
        },
        "virt_driver": {
            "type": "string", "enum": ["", "fake", "qemu", "kvm"], "default": "",
            "description": "what runs the guests; unset: kvm where it works, else qemu",
        },
        "passwords": {
            "type": "object", "additionalProperties": False, "default": {},
            "description": "passwords to use; those not given are random",
            "properties": {
                name: {"type": "string", "minLength": 4, "x-secret": True,
                       "description": f"of {what}"}
                for name, what in zip(PASSWORDS, (
                    "the user admin", "the services' users", "the database's users",
                    "the broker's user", "the metadata proxy"), strict=True)
            },
        },
        "roles": {
            "type": "array", "default": [],
            "items": {"type": "string", "enum": ["controller", "compute", "all"]},
            "description": "the role of each server in the provider's order; unset: all for a "
                           "single one, else a controller and computes; of a controller alone "
                           "the computes come from outside, a MultihostEngine's nodes say",
        },
        "images": {
            "type": "array", "items": _IMAGE, "default": [],
            "description": "images to upload beside the small one that comes with every cloud",
        },
        "networks": {
            "type": "array", "items": _NETWORK, "default": [],
            "description": "networks to make; unset: a tenant network with a router to one that "
                           "gives floating addresses",
        },
        "workers": {
            "type": "integer", "minimum": 1, "maximum": 64, "default": 1,
            "description": "processes per API; more need more memory",
        },
    },
    "examples": [
        {
            "type": "DistroEngine",
            "virt_driver": "qemu",
            "provider": {
                "type": "ExistingServers",
                "credentials": [{"host": "192.0.2.10", "user": "root"}],
            },
        }
    ],
}


def mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the schema cannot say, as (path below the block, message)."""
    services = config.get("services") or SERVICES
    for index, service in enumerate(services):
        for needed in NEEDS.get(service, ()):
            if needed not in services:
                yield f"services[{index}]", f"{service} needs {needed}"
    if "keystone" not in services:
        yield "services", "nothing works without keystone"
    if config.get("controller"):
        yield from _compute_mistakes(config)
    else:
        yield from _role_mistakes(config.get("roles") or [])
    for index, network in enumerate(config.get("networks") or []):
        yield from _network_mistakes(f"networks[{index}]", network)


def controller_mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a cloud must have to take computes from outside."""
    roles = config.get("roles") or []
    if not roles:
        yield ("roles", "computes come from outside: say [\"controller\"], or [\"controller\", "
               "\"compute\", ...] if its provider gives it some of its own")
    elif roles == ["all"]:
        yield "roles[0]", "an all-in-one takes no computes from outside: make it controller"


def _role_mistakes(roles: Sequence[str]) -> Iterator[tuple[str, str]]:
    if roles and roles[0] == "compute":
        yield ("roles[0]", "the first server is the controller: give it controller or all; "
               "computes of a controller elsewhere need its address in 'controller'")
    for index, role in enumerate(roles[1:], 1):
        if role != "compute":
            yield f"roles[{index}]", "there is one controller, and it is the first server"


def _compute_mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for index, role in enumerate(config.get("roles") or []):
        if role != "compute":
            yield f"roles[{index}]", "the controller is elsewhere: this can only be a compute"
    for key in ("images", "networks"):
        if config.get(key):
            yield key, "they belong to the controller, which is elsewhere"


def _network_mistakes(path: str, network: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    try:
        cidr = ipaddress.IPv4Network(str(network.get("cidr", "")))
    except ValueError as error:
        yield f"{path}.cidr", f"not an IPv4 network: {error}"
        return
    inside: dict[str, list[Any]] = {"gateway": [network.get("gateway")]}
    span = network.get("free_range")
    if span:
        ends = [end.strip() for end in str(span).split("-")]
        if len(ends) != 2:
            yield f"{path}.free_range", "must be FIRST-LAST"
        inside["free_range"] = ends
    for key, addresses in inside.items():
        for text in filter(None, addresses):
            try:
                good = ipaddress.IPv4Address(text) in cidr
            except ValueError:
                good = False
            if not good:
                yield f"{path}.{key}", f"{text} is not an address of {cidr}"
