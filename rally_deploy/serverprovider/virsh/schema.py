"""The keys of a VirshProvider's block, and what a schema cannot say of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.serverprovider.virsh.way import parse

_FILE = "; ~ is the user's home; a relative path is relative to the working directory"

SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "connection", "template_name", "template_user"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "x-alias": ["name"], "description": "VirshProvider"},
        "connection": {
            "type": "string", "pattern": r"^([^\s/?#]+@[^\s/?#]+|[a-z][a-z0-9+]*://\S*)\Z",
            "description": "user@host[:port] of a machine with libvirt, or any libvirt URI; by "
                           "those of SSH we go through that machine to its guests",
        },
        "connection_key": {
            "type": "string", "x-empty-is-absent": True,
            "description": "private key file for that machine (default: the user's agent and "
                           "keys)" + _FILE,
        },
        "connection_password": {
            "type": "string", "x-secret": True, "x-empty-is-absent": True,
            "description": "for that machine: of the user there, or of the key",
        },
        "template_name": {
            "type": "string", "minLength": 1,
            "description": "the domain to clone; it has to be shut off",
        },
        "template_user": {
            "type": "string", "pattern": r"^[^\s-]\S*\Z",
            "description": "who logs in to the clones; works by sudo if it is not root",
        },
        "template_password": {
            "type": "string", "x-secret": True, "x-empty-is-absent": True,
            "description": "of that user; a key of the deployment's own is put in with it",
        },
        "template_key": {
            "type": "string", "x-empty-is-absent": True,
            "description": "private key file that the template lets in (default without a "
                           "password: a key of the deployment's own, handed over by cloud-init; "
                           "else the user's agent and keys)" + _FILE,
        },
        "amount": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1,
                   "description": "how many clones"},
        "clone": {
            "enum": ["overlay", "copy"], "default": "overlay",
            "description": "overlay: disks that hold only what differs from the template's, which "
                           "must not be started meanwhile; copy: disks of their own",
        },
        "memory_mb": {"type": "integer", "minimum": 16,
                      "description": "memory of a clone (default: the template's)"},
        "vcpus": {"type": "integer", "minimum": 1, "maximum": 1024,
                  "description": "CPUs of a clone (default: the template's)"},
        "pool": {"type": "string", "x-empty-is-absent": True,
                 "description": "storage pool for the clones' disks (default: the template's)"},
        "network": {
            "type": "string", "x-empty-is-absent": True,
            "description": "libvirt network of the clones' first interface (default: the "
                           "template's)",
        },
        "timeout_s": {
            "type": "number", "exclusiveMinimum": 0, "default": 600,
            "description": "how long the clones may take until they let us in",
        },
    },
    "examples": [
        {
            "type": "VirshProvider",
            "connection": "alex@performance-01",
            "template_name": "stack-01-devstack-template",
            "template_user": "ubuntu",
            "template_password": "${env:TEMPLATE_PASSWORD}",
        },
        {
            "type": "VirshProvider", "connection": "qemu:///system", "template_name": "bookworm",
            "template_user": "root", "template_key": "~/.ssh/id_ed25519", "amount": 4,
            "memory_mb": 4096, "vcpus": 2,
        },
    ],
}


def file_of(config: Mapping[str, Any], key: str) -> str | None:
    """The absolute path of a file that the config names; None if it names none."""
    given = config.get(key)
    return os.path.abspath(os.path.expanduser(given)) if given else None


def mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(path, what is wrong) beyond what the schema says."""
    for key in ("template_key", "connection_key"):
        path = file_of(config, key)
        if path and not os.path.isfile(path):
            yield key, f"there is no file {path}"
        elif path and not os.access(path, os.R_OK):
            yield key, f"{path} must not be read by this user"
    try:
        parse(config["connection"])
    except ValueError as error:
        yield "connection", str(error)
