"""How to use a deployed cloud and its servers: openrc, clouds.yaml and ssh configuration texts.

Everything is quoted for the program that reads it, whatever stands in a password or a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rally_deploy.errors import UsageError
from rally_deploy.model import Credentials, Server


def choose_user(cloud: Mapping[str, Any], username: str = "") -> Credentials:
    """One user of what DeployEngine.deploy returned: the one asked for, else the administrator."""
    users = [user for user in (cloud.get("admin"), *(cloud.get("users") or ())) if user]
    if username:
        users = [user for user in users if user.get("username") == username]
    if not users:
        what = f"user '{username}'" if username else "user"
        raise UsageError(f"the deployment has no {what}",
                         remedy="'rdeploy show' lists its users")
    return _credentials(cloud, users[0])


def _credentials(cloud: Mapping[str, Any], user: Mapping[str, Any]) -> Credentials:
    # What all users of a cloud have in common may stand above them.
    common = {name: value for name, value in cloud.items() if not isinstance(value, (dict, list))}
    values = {**common, **{name: value for name, value in user.items() if value is not None}}
    if not values.get("project_name"):
        values["project_name"] = values.get("tenant_name") or ""
    names = {field.name for field in fields(Credentials)}
    return Credentials(**{
        name: value for name, value in values.items()
        if name in names and value not in (None, "")
    })


def v3_url(auth_url: str) -> str:
    """Keystone's address for version 3, which every OpenStack of today speaks."""
    return re.sub(r"/v2\.0/?$", "/v3", auth_url)


def openrc(credentials: Credentials) -> str:
    """A file for ``sh`` to source; then ``openstack`` works."""
    project = bool(credentials.project_name)
    values = {
        "OS_AUTH_URL": v3_url(credentials.auth_url),
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": credentials.username,
        "OS_PASSWORD": credentials.password,
        "OS_USER_DOMAIN_NAME": credentials.user_domain_name,
        "OS_PROJECT_NAME": credentials.project_name,
        "OS_PROJECT_DOMAIN_NAME": credentials.project_domain_name if project else "",
        "OS_DOMAIN_NAME": "" if project else credentials.domain_name,
        "OS_REGION_NAME": credentials.region_name,
        "OS_INTERFACE": credentials.endpoint_type,
        "OS_CACERT": credentials.https_cacert,
        "OS_INSECURE": "true" if credentials.https_insecure else "",
    }
    # A variable of another cloud that is still set would be used together with ours.
    others = ("OS_CLOUD", "OS_TOKEN", "OS_TENANT_NAME", "OS_TENANT_ID", "OS_PROJECT_ID",
              "OS_USER_ID", "OS_USER_DOMAIN_ID", "OS_PROJECT_DOMAIN_ID", "OS_AUTH_TYPE",
              "OS_SYSTEM_SCOPE", "OS_ENDPOINT_TYPE")
    unset = [*others, *(name for name, value in values.items() if not value)]
    lines = [f"unset {' '.join(unset)}"]
    lines += [f"export {name}={sh_quoted(value)}" for name, value in values.items() if value]
    return "\n".join(lines) + "\n"


def sh_quoted(value: str) -> str:
    """The value as one word of ``sh``: nothing in it is special between single quotes."""
    if "\0" in value:
        raise UsageError("a value with a NUL character cannot be an environment variable")
    return "'" + value.replace("'", "'\\''") + "'"


def clouds_yaml(name: str, credentials: Credentials) -> str:
    """A clouds.yaml with this one cloud: ``openstack --os-cloud NAME``."""
    import yaml

    auth = {
        "auth_url": v3_url(credentials.auth_url),
        "username": credentials.username,
        "password": credentials.password,
        "user_domain_name": credentials.user_domain_name,
    }
    if credentials.project_name:
        auth["project_name"] = credentials.project_name
        auth["project_domain_name"] = credentials.project_domain_name
    elif credentials.domain_name:
        auth["domain_name"] = credentials.domain_name
    cloud: dict[str, Any] = {"auth": auth, "identity_api_version": "3"}
    if credentials.region_name:
        cloud["region_name"] = credentials.region_name
    cloud["interface"] = credentials.endpoint_type
    if credentials.https_cacert:
        cloud["cacert"] = credentials.https_cacert
    if credentials.https_insecure:
        cloud["verify"] = False
    text = yaml.safe_dump({"clouds": {name: cloud}}, sort_keys=False, allow_unicode=True)
    return str(text)


@dataclass(frozen=True)
class SshHost:
    """One ``Host`` section: a server, what it is called there, and its files."""

    alias: str
    server: Server
    key_file: str = ""
    jump: str = ""  # the alias of the host to go through


def ssh_hosts(servers: Sequence[Server], key_files: Mapping[Server, str]) -> list[SshHost]:
    """The servers, and before each the hosts on the way to it, each once, under unique names.

    :param key_files: where the private keys that are stored as text were written.
    """
    found: dict[tuple[str, str], SshHost] = {}

    def add(server: Server) -> str:
        if server.connection == "local":
            return ""
        known = found.get((server.identity, server.user))
        if known:
            return known.alias
        jump = add(server.jump) if server.jump else ""
        alias = _alias(server.label, {host.alias for host in found.values()})
        key = key_files.get(server, "") or server.key or ""
        found[server.identity, server.user] = SshHost(alias, server, key, jump)
        return alias

    for server in servers:
        add(server)
    return list(found.values())


def _alias(label: str, taken: Iterable[str]) -> str:
    # Host patterns know blanks, *, ?, ! and commas.
    stem = alias = re.sub(r"[^\w.@:-]", "_", label) or "server"
    number = 1
    while alias in set(taken):
        number += 1
        alias = f"{stem}-{number}"
    return alias


def known_hosts(hosts: Sequence[SshHost], pinned: Mapping[str, str]) -> str:
    """The pinned keys, by alias: two containers on two hosts may have the same address."""
    return "".join(
        f"{host.alias} {pinned[host.server.identity]}\n"
        for host in hosts if host.server.identity in pinned
    )


def ssh_config(
    hosts: Sequence[SshHost], pinned: Mapping[str, str], known_hosts_file: str
) -> str:
    """What ``ssh -F`` takes. A key that was pinned is demanded; a new one is taken once."""
    return "\n".join(_section(host, pinned, known_hosts_file) for host in hosts)


def _section(host: SshHost, pinned: Mapping[str, str], known_hosts_file: str) -> str:
    server = host.server
    lines = [
        f"Host {host.alias}",
        f"HostName {server.host}",
        f"User {ssh_quoted(server.user)}",
        f"Port {server.port}",
        "GlobalKnownHostsFile /dev/null",
        "CheckHostIP no",
    ]
    demanded = server.facts.get("known_hosts")
    if demanded:
        # The config named a file that has to know this server, under its own address.
        lines += [f"UserKnownHostsFile {_file_quoted(str(demanded))}",
                  "StrictHostKeyChecking yes"]
    else:
        checking = "yes" if server.identity in pinned else "accept-new"
        lines += [f"HostKeyAlias {host.alias}",
                  f"UserKnownHostsFile {_file_quoted(known_hosts_file)}",
                  f"StrictHostKeyChecking {checking}"]
    if host.key_file:
        lines += [f"IdentityFile {_file_quoted(host.key_file)}", "IdentitiesOnly yes"]
    if host.jump:
        lines.append(f"ProxyJump {host.jump}")
    return "\n  ".join(lines) + "\n"


def ssh_quoted(value: str) -> str:
    """One argument of an ssh_config line."""
    if "\n" in value or "\r" in value:
        raise UsageError(f"a line end cannot stand in an ssh configuration: {value!r}")
    if re.fullmatch(r"[\w./@:+~-]+", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _file_quoted(path: str) -> str:
    # In file names, and only there, a percent sign begins a token.
    return ssh_quoted(path.replace("%", "%%"))
