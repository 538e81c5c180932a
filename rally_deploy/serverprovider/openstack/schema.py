"""The keys of an OpenStackProvider block, and the rules that a schema cannot say."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rally_deploy.access import v3_url
from rally_deploy.hosts import cloud_config
from rally_deploy.serverprovider.openstack.keys import key_problem

_FORMATS = ["qcow2", "raw", "iso", "vmdk", "vdi", "vhd", "vhdx", "ami", "ari", "aki", "ploop"]
_USERDATA_LIMIT = 65535

_IMAGE: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "the image that servers boot from: {uuid}, or {checksum} of one that is there, "
                   "or {name, format, url, checksum}: uploaded once per cloud",
    "properties": {
        "uuid": {"type": "string", "x-empty-is-absent": True,
                 "description": "of an image that is there"},
        "checksum": {"type": "string", "x-empty-is-absent": True,
                     "description": "md5 (as in Rally), sha256:... or sha512:..."},
        "name": {"type": "string", "description": "what the uploaded image is called"},
        "format": {"type": "string", "enum": _FORMATS, "description": "of the file"},
        "url": {"type": "string", "x-empty-is-absent": True,
                "description": "where it is fetched from: http, https, or a file's path"},
        "userdata": {"type": "string", "description": "for cloud-init, as text"},
    },
    "anyOf": [{"required": ["uuid"]}, {"required": ["checksum"]}],
}

_NIC: Mapping[str, Any] = {
    "type": "object",
    "required": ["net-id"],
    "additionalProperties": False,
    "description": "one network card",
    "properties": {
        "net-id": {"type": "string", "minLength": 1, "description": "a network's id or name"},
    },
}


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "x-empty-is-absent": True, "description": description, **more}


SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "deployment_name", "flavor_id", "image"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "x-alias": ["name"], "description": "OpenStackProvider"},
        "deployment_name": {"type": "string",
                            "description": "part of the servers' names, behind our tag"},
        "amount": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1,
                   "description": "how many servers"},
        "user": _text("who logs in to the cloud"),
        "password": _text("of that user", **{"x-secret": True}),
        "tenant": _text("the project that the servers are made in"),
        "auth_url": _text("Keystone's address; one of version 2.0 is turned into one of 3"),
        "user_domain_name": {"type": "string", "default": "Default",
                             "description": "the user's domain"},
        "project_domain_name": {"type": "string", "default": "Default",
                                "description": "the project's domain"},
        "region": _text("the region of the services (default: the first of the catalog)"),
        "cloud": _text("a cloud of clouds.yaml, instead of user, password, tenant and auth_url"),
        "https_cacert": _text("a file with the CA certificates of the cloud's addresses"),
        "https_insecure": {"type": "boolean", "default": False,
                           "description": "check no certificate at all"},
        "flavor_id": {"type": ["string", "integer"], "description": "a flavor's id or name"},
        "image": _IMAGE,
        "nics": {"type": "array", "items": _NIC, "default": [],
                 "description": "the servers' networks (default: the only one there is)"},
        "floating_network": _text("an external network (id or name): each server gets a floating "
                                  "address of it, by which it is reached"),
        "secgroup_name": _text("a security group of the project, used as it is; if there is none "
                               "of this name, the one that is made is called so, behind our tag"),
        "open_ports": {
            "type": "array", "default": [],
            "items": {"type": ["string", "integer"], "pattern": r"^\d{1,5}(-\d{1,5})?\Z"},
            "description": "TCP ports, or FIRST-LAST, that our security group opens beside SSH",
        },
        "availability_zone": _text("where the servers run (default: Nova chooses)"),
        "config_drive": {"type": "boolean", "default": False,
                         "description": "give the servers their metadata on a drive, too"},
        "volume_size_gb": {"type": "integer", "minimum": 1,
                           "description": "boot from a new volume of this size"},
        "login_user": {"type": "string", "default": "root", "pattern": r"^[^\s-]\S*\Z",
                       "description": "who logs in to the servers; others than root use sudo"},
        "ssh_public_key_file": _text("the key that the servers let in (default: one is made)"),
        "ssh_private_key_file": _text("its private key (default: the public key's path without "
                                      ".pub)"),
        "wait_for_ssh": {"type": "boolean", "default": True,
                         "description": "wait until each server lets us log in"},
        "wait_for_cloud_init": {"type": "boolean", "default": True,
                                "description": "with 'wait_for_ssh', wait for the end of "
                                               "cloud-init where the image has it; its errors "
                                               "are errors, what it got over are warnings"},
        "timeout_s": {"type": "integer", "minimum": 10, "default": 1800,
                      "description": "seconds for all calls, tries and waits together"},
    },
    "examples": [
        {
            "type": "OpenStackProvider",
            "deployment_name": "Rally sample deployment",
            "user": "admin", "tenant": "admin", "password": "${env:CLOUD_PASSWORD}",
            "auth_url": "http://192.0.2.5:5000/v3",
            "flavor_id": "2", "amount": 3, "login_user": "debian", "floating_network": "public",
            "image": {
                "name": "debian-12", "format": "qcow2",
                "url": "https://images.example.net/debian-12-genericcloud-amd64.qcow2",
                "checksum": "5101b2013b31d9f2f96f64f728926054",
                "userdata": "#cloud-config\ndisable_root: false\n",
            },
        },
        {
            "type": "OpenStackProvider", "deployment_name": "ci", "cloud": "mycloud",
            "flavor_id": "m1.small", "image": {"uuid": "9a213d2d-85b1-46c3-adf1-fef4572d95ef"},
        },
    ],
}

_LOGIN = ("user", "password", "tenant", "auth_url")


def place(config: Mapping[str, Any]) -> str:
    """The cloud, and whose part of it: key pairs are a user's, all else is a project's."""
    region = f", region {config['region']}" if config.get("region") else ""
    if config.get("cloud"):
        return f"cloud {config['cloud']} of clouds.yaml{region}"

    def named(key: str) -> str:
        domain = config[f"{'user' if key == 'user' else 'project'}_domain_name"]
        return str(config[key]) + (f" of {domain}" if domain != "Default" else "")

    url = v3_url(config["auth_url"]).rstrip("/")
    return f"{url}, user {named('user')}, project {named('tenant')}{region}"


def mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the schema cannot say, as (path below the block, message)."""
    yield from _login_mistakes(config)
    yield from _image_mistakes(config.get("image") or {})
    for key in ("https_cacert", "ssh_public_key_file", "ssh_private_key_file"):
        path = config.get(key)
        if path and not os.path.isfile(os.path.expanduser(path)):
            yield key, f"there is no file {os.path.expanduser(path)}"
        elif path and key != "https_cacert":
            problem = key_problem(config, key)
            if problem:
                yield key, problem
    for number, span in enumerate(config.get("open_ports") or ()):
        first, _, last = str(span).partition("-")
        if not 1 <= int(first) <= int(last or first) <= 65535:
            yield f"open_ports[{number}]", "ports are 1 to 65535, the first before the last"
    if not re.search(r"[A-Za-z0-9]", str(config.get("deployment_name"))):
        yield "deployment_name", "it needs a letter or a digit: servers are named after it"


def _login_mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given = [key for key in _LOGIN if config.get(key)]
    if config.get("cloud"):
        for key in given:
            yield key, "the cloud of clouds.yaml has its own: leave this out, or 'cloud'"
        problem = _cloud_problem(config["cloud"])
        if problem:
            yield "cloud", problem
        return
    for key in _LOGIN:
        if key not in given:
            yield key, f"'{key}' is missing; or give 'cloud', a name in clouds.yaml"
    url = config.get("auth_url")
    if url and not re.match(r"https?://[^/\s]+", url):
        yield "auth_url", "it must be like http://HOST:5000/v3"


def _cloud_problem(name: str) -> str:
    try:
        from openstack.config import OpenStackConfig
        from openstack.exceptions import ConfigException
    except ImportError:
        return "clouds.yaml is read by openstacksdk: pip install 'rally_deploy[openstack]'"
    try:
        # The two are its own names for what no file has.
        names = set(OpenStackConfig().get_cloud_names()) - {"envvars", "defaults"}
    except ConfigException as error:
        return f"clouds.yaml cannot be read: {error}"
    if name in names:
        return ""
    there = ", ".join(sorted(names)) or "none"
    return f"clouds.yaml has no cloud '{name}'; it has {there}"


def _image_mistakes(image: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from rally_deploy.serverprovider.openstack.download import Checksum, local_path

    if image.get("checksum"):
        try:
            Checksum.parse(image["checksum"])
        except ValueError as error:
            yield "image.checksum", str(error)
    url = image.get("url")
    if url and not image.get("uuid"):
        for key in ("name", "format", "checksum"):
            if not image.get(key):
                yield f"image.{key}", f"an image with a 'url' needs '{key}' too"
        path = local_path(url)
        if path and not path.is_file():
            yield "image.url", f"there is no file {path}"
    if len(base64.b64encode(image.get("userdata", "").encode())) > _USERDATA_LIMIT:
        yield "image.userdata", "Nova takes at most 48 KiB of it"
    problem = cloud_config.problem(image.get("userdata", ""))
    if problem:
        yield "image.userdata", problem


def warnings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is done otherwise than it is written."""
    url = config.get("auth_url") or ""
    if v3_url(url) != url:
        yield "auth_url", f"version 2.0 of Keystone is no more; {v3_url(url)} is used"
    if config.get("https_insecure"):
        yield "https_insecure", "no certificate is checked: anybody on the way can read along"
