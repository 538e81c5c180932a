"""ExistingCloud: a cloud that is there already, in every form in which Rally's configs say it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rally_deploy import access
from rally_deploy.engines.base import DeployEngine
from rally_deploy.errors import CloudBroken, WaitTimeout
from rally_deploy.hosts.cloud_client import CallFailed, Cloud

_DISCOVER = "run 'nova-manage cell_v2 discover_hosts' on its controller"
_PLATFORMS = ("openstack", "existing@openstack")


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, "x-empty-is-absent": True, **more}


_USER: dict[str, Any] = {
    "username": _text("the user's name"),
    "password": _text("its password", **{"x-secret": True}),
    "project_name": _text("its project", **{"x-alias": ["tenant_name"]}),
    "user_domain_name": _text("the user's domain", default="Default"),
    "project_domain_name": _text("the project's domain", default="Default"),
    "domain_name": _text("the domain to authorize for, instead of a project"),
}
_NEEDED = {"required": ["username", "password"], "additionalProperties": False}
_OLD: dict[str, Any] = {
    key: {"description": "of Rally; taken and kept, without effect", "x-empty-is-absent": True}
    for key in ("admin_port", "use_public_urls", "permission", "admin_domain_name",
                "profiler_hmac_key", "profiler_conn_str", "api_info", "https_key")
}
_PLACE: dict[str, Any] = {
    "auth_url": _text("Keystone's address: http://HOST:5000/v3", pattern=r"^https?://[^\s/]"),
    "region_name": _text("the region to use", **{"x-alias": ["region"]}),
    "endpoint_type": _text(
        "which of a service's endpoints are used", enum=["admin", "internal", "public"],
        default="public",
    ),
    "https_insecure": {
        "type": "boolean", "default": False, "x-empty-is-absent": True,
        "description": "do not check the certificates of https addresses",
    },
    "https_cacert": _text("a file with the certificates to trust"),
}
_CLOUD: dict[str, Any] = {
    **_PLACE,
    "admin": {
        "type": "object", "description": "the administrator; may be left out if there are users",
        "x-empty-is-absent": True, "properties": _USER, **_NEEDED,
    },
    "users": {
        "type": "array", "description": "users without special rights",
        "x-empty-is-absent": True, "items": {"type": "object", "properties": _USER, **_NEEDED},
    },
    "endpoint": {
        "type": ["string", "object"], "x-empty-is-absent": True, "pattern": r"^https?://[^\s/]",
        "description": "Keystone's admin address, if the catalog has a wrong one; "
                       "in the oldest configs: address and admin in one object",
        "properties": {**_PLACE, **_USER, **_OLD}, **_NEEDED,
    },
    **_OLD,
}
_ONE_CLOUD = {"type": "object", "properties": _CLOUD, "additionalProperties": False}
_PLATFORM = {
    **_ONE_CLOUD, "type": ["object", "array"], "items": _ONE_CLOUD, "minItems": 1, "maxItems": 1,
    "description": "Rally's form: the keys below, but type and extra",
}


class ExistingCloud(DeployEngine):
    """A cloud that is there already: nothing is made, and nothing removed."""

    #: Seconds that computes which were deployed for it may take until they are up there.
    ADMIT_TIMEOUT_S = 420.0

    CONFIG_SCHEMA: Mapping[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"],
                     "description": "ExistingCloud; not needed beside openstack"},
            **_CLOUD,
            "extra": {"type": "object", "x-empty-is-absent": True,
                      "description": "anything; kept with the deployment"},
            "creds": {"type": "object", "additionalProperties": False, "minProperties": 1,
                      "properties": dict.fromkeys(_PLATFORMS, _PLATFORM),
                      "description": "Rally's form: {\"openstack\": {...} or [{...}]}"},
            **dict.fromkeys(_PLATFORMS, _PLATFORM),
        },
        "examples": [
            {
                "type": "ExistingCloud",
                "auth_url": "http://192.0.2.10:5000/v3",
                "region_name": "RegionOne",
                "admin": {"username": "admin", "password": "change-me", "project_name": "admin"},
            },
            {
                "openstack": {
                    "auth_url": "http://192.0.2.10:5000/v2.0/",
                    "users": [{"username": "u", "password": "change-me", "project_name": "p"}],
                },
            },
        ],
    }

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """There is exactly one cloud, it has an address, and somebody who may use it."""
        forms = list(_forms(config))
        if not forms:
            yield "", "it needs auth_url and admin or users; or 'openstack' with these in it"
        for path, _ in forms[1:]:
            yield path, f"a second cloud: there is one in '{forms[0][0] or 'auth_url'}' already"
        for path, cloud in forms[:1]:
            below = f"{path}." if path else ""
            if not cloud.get("auth_url"):
                yield f"{below}auth_url", "'auth_url' is missing"
            if not (cloud.get("admin") or cloud.get("users") or "username" in cloud):
                yield f"{below}admin", "there is neither an admin nor a user"
            yield from _homeless(cloud, path)

    @classmethod
    def plan(cls, config: Mapping[str, Any]) -> Iterator[str]:
        """The cloud that is named; nothing is made."""
        _, cloud = next(_forms(config))
        yield f"nothing is made: the cloud is at {cloud['auth_url']}"

    def deploy(self) -> dict[str, Any]:
        """The endpoints as the config has them; the network is not asked."""
        _, cloud = next(_forms(self.config))
        place = {key: cloud[key] for key in _PLACE if key in cloud}
        oldest = "username" in cloud
        admin = {key: cloud[key] for key in _USER if key in cloud} if oldest \
            else cloud.get("admin")
        return {
            "admin": {**place, **admin} if admin else None,
            "users": [{**place, **user} for user in cloud.get("users", ())],
            "services": {"identity": cloud["auth_url"]},
        }

    def admit(self, hosts: Sequence[str]) -> None:
        """Look from here whether Nova has them; to make them known is its operator's affair."""
        admin = self.deployment.result().get("admin") or {}
        if not admin.get("project_name"):
            super().admit(hosts)
            return
        cloud, late, told = _client(admin), list(hosts), False

        def all_up() -> bool:
            nonlocal told
            late[:] = _late(cloud, hosts)
            if late and not told:
                self.deployment.note(
                    f"{len(late)} of {len(hosts)} computes are not up there yet: unless that "
                    f"cloud looks for new ones by itself, {_DISCOVER}", warning=True)
                told = True
            return not late

        try:
            self.deployment.wait(all_up, self.ADMIT_TIMEOUT_S, "hypervisors that are up",
                                 interval_s=2, tolerate=(CallFailed,))
        except WaitTimeout as error:
            raise CloudBroken(
                f"{len(late)} of {len(hosts)} computes are not up at {admin['auth_url']}",
                "\n".join([*late, error.details]).strip(), f"{_DISCOVER}, then 'rdeploy resume'",
            ) from error


def _client(admin: Mapping[str, Any]) -> Cloud:
    file = admin.get("https_cacert")
    try:
        return Cloud({**admin, "auth_url": access.v3_url(admin["auth_url"]),
                      "https_cacert": str(Path(file).expanduser()) if file else ""})
    except OSError as error:
        raise CloudBroken(
            f"the certificates of {file} cannot be read", str(error), "mend 'https_cacert'",
        ) from error


def _late(cloud: Cloud, hosts: Sequence[str]) -> list[str]:
    """Those of the hosts that are no hypervisor of the cloud that is up."""
    try:
        up = {h["host"] for h in cloud.hypervisors() if h["up"]}
    except CallFailed as error:
        if error.status in (401, 403):
            raise CloudBroken(
                "the cloud does not tell of its hypervisors", str(error),
                "give an 'admin' who may list them, then 'rdeploy resume'",
            ) from error
        raise
    up |= {name.partition(".")[0] for name in up}
    return [host for host in hosts if host not in up]


def _homeless(cloud: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Users who have neither a project nor a domain to work in."""
    below = f"{path}." if path else ""
    found = {f"{below}users[{i}]": user for i, user in enumerate(cloud.get("users", ()))}
    if "username" in cloud:
        found[path] = cloud
    elif "admin" in cloud:
        found[f"{below}admin"] = cloud["admin"]
    for where, user in found.items():
        if not (user.get("project_name") or user.get("domain_name")):
            yield f"{where}.project_name", "'project_name' (or 'tenant_name') is missing"


def _forms(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each cloud of a normal block, with its path: there is to be one, in one of the forms."""
    if isinstance(config.get("endpoint"), Mapping):
        yield "endpoint", config["endpoint"]
    elif config.get("auth_url") or config.get("admin") or config.get("users"):
        yield "", config
    for above, holder in (("", config), ("creds", config.get("creds", {}))):
        for key in _PLATFORMS:
            if key not in holder:
                continue
            step = key if key.isidentifier() else f'["{key}"]'
            path = f"{above}.{step}" if above and key.isidentifier() else above + step
            cloud, several = holder[key], isinstance(holder[key], (list, tuple))
            path, cloud = (f"{path}[0]", cloud[0]) if several else (path, cloud)
            if isinstance(cloud.get("endpoint"), Mapping):
                inner = {**cloud, **cloud["endpoint"]}
                yield f"{path}.endpoint", {k: v for k, v in inner.items() if k != "endpoint"}
            else:
                yield path, cloud
