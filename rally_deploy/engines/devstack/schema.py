"""The config block of DevstackEngine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rally_deploy.config.document import printable
from rally_deploy.engines.devstack import local_conf_advice, local_conf_check, source

#: Where OpenStack's repositories are if the config does not say it.
UPSTREAM = "https://opendev.org"

_FILE = {
    "type": "object",
    "required": ["to"],
    "additionalProperties": False,
    "description": "A file to place before stack.sh runs: from this machine, or of this text",
    "properties": {
        "from": {"type": "string", "minLength": 1, "description": "a file on this machine"},
        "content": {
            "type": "string",
            "description": "its text, in place of 'from'; {controller_ca} and the like are "
                           "replaced in it",
        },
        "to": {
            "type": "string", "minLength": 1,
            "description": "its path on the server: below ~/devstack/files, absolute, or ~/...",
        },
        "mode": {
            "type": "string", "pattern": "^0?[0-7]{3}$", "default": "0644",
            "description": "its permissions; a script needs 0755",
        },
    },
}

CONFIG_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["type", "provider"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "x-alias": ["name"], "description": "DevstackEngine"},
        "provider": {
            "type": "object", "x-plugin": "provider",
            "description": "its servers: one is all in one; of several, each is stacked with the "
                           "same local.conf, at the same time",
        },
        "local_conf": {
            "type": ["object", "string"], "x-alias": ["localrc"], "default": {},
            "description": "DevStack's local.conf: the variables of [[local|localrc]], "
                           "ENABLE_PLUGIN, enable_service and disable_service (each one or a "
                           "list), other sections as "
                           '{"[[post-config|$NOVA_CONF]]": {"DEFAULT": {...}}}; or the whole '
                           "file as a string",
        },
        "devstack_repo": {
            "type": "string", "default": "", "x-empty-is-absent": True,
            "description": "DevStack's git repository: a path on this machine, any URL, or "
                           "HOST:PATH; unset: openstack/devstack below 'git_base'",
        },
        "devstack_branch": {
            "type": "string", "default": "master", "pattern": "^[^-\\s][^\\s]*$",
            "description": "its branch or tag",
        },
        "git_base": {
            "type": "string", "default": "", "x-empty-is-absent": True, "pattern": "^\\S+$",
            "description": "where openstack/NAME is for every repository: an address, or a path "
                           f"that each server and this machine have; unset: {UPSTREAM}",
        },
        "user": {
            "type": "string", "default": "stack", "pattern": "^[a-z_][a-z0-9_-]{0,31}$",
            "description": "the account that DevStack runs as; made if it is not there",
        },
        "timeout_s": {
            "type": "integer", "minimum": 60, "default": 7200,
            "description": "how long stack.sh may take, in seconds",
        },
        "files": {
            "type": "array", "items": _FILE, "default": [],
            "description": "files to place on each server: images and tarballs that DevStack "
                           "need not download, say",
        },
        "prove": {
            "type": "boolean", "default": True,
            "description": "boot a server in the cloud at the end, to see that it works",
        },
    },
    "examples": [
        {
            "type": "DevstackEngine",
            "devstack_branch": "stable/2026.1",
            "local_conf": {
                "VIRT_DRIVER": "fake",
                "ENABLED_SERVICES+": ",-tempest,-horizon",
                "ENABLE_PLUGIN": ["barbican https://opendev.org/openstack/barbican"],
                "[[post-config|$NOVA_CONF]]": {"DEFAULT": {"debug": False}},
            },
            "provider": {
                "type": "ExistingServers",
                "credentials": [{"host": "192.0.2.10", "user": "root"}],
            },
        }
    ],
}


_ADDRESS = "an address is a URL with ://, or HOST:PATH"


def devstack_source(config: Mapping[str, Any]) -> tuple[str, str]:
    """The repository and branch of DevStack itself."""
    base = config["git_base"].rstrip("/") or UPSTREAM
    return config["devstack_repo"] or f"{base}/openstack/devstack", config["devstack_branch"]


def mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What the schema cannot say, as (path below the block, message)."""
    yield from local_conf_check.mistakes(config.get("local_conf") or {})
    if config.get("user") == "root":
        yield "user", "DevStack refuses to run as root; leave it out, or name another account"
    yield from _repository_mistakes(config)
    for index, file in enumerate(config.get("files") or []):
        yield from _file_mistakes(f"files[{index}]", file)


def warnings(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is no mistake but will not do what it once did, as (path, message)."""
    yield from local_conf_advice.warnings(config.get("local_conf") or {})
    base = config["git_base"]
    if base and not source.is_address(base):
        yield "git_base", (
            "each server looks for OpenStack's repositories at this path of its own, only "
            "DevStack itself is sent from here: see that they are there, or give an address that "
            "the servers reach")


def _repository_mistakes(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A repository of this machine must be there; relative paths begin at the current folder."""
    base, given = config["git_base"], config["devstack_repo"]
    if base and not source.is_address(base) and not base.startswith("/"):
        yield "git_base", (f"a path must be absolute, as each server looks for it; {_ADDRESS}")
        return
    repo, branch = devstack_source(config)
    if source.is_address(repo):
        return
    if not source.is_there(repo):
        yield ("devstack_repo" if given else "git_base"), (
            f"there is no {printable(repo)} on this machine, which DevStack itself is taken from; "
            f"{_ADDRESS}{'' if given else ', and one for DevStack alone is devstack_repo'}")
    elif source.lacks(repo, branch):
        yield "devstack_branch", f"{printable(repo)} has no such branch, tag or commit"


def _file_mistakes(path: str, file: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    source, target = file.get("from"), str(file.get("to", ""))
    if (source is None) == ("content" not in file):
        yield path, "give either 'from' or 'content'"
    elif source is not None:
        where = Path(source).expanduser()
        if "://" in source:
            yield f"{path}.from", "it must be a file on this machine: download it first"
        elif not where.exists():
            yield f"{path}.from", f"there is no {printable(source)}"
        elif not where.is_file():
            yield f"{path}.from", f"{printable(source)} is not a file"
    if ".." in target.split("/"):
        yield f"{path}.to", "it must not go up by '..'; write an absolute path, or ~/..."
    elif target.endswith("/"):
        yield f"{path}.to", "it must name the file, not its folder"
