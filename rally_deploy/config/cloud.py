"""The normal form of how to use a cloud: what ``DeployEngine.deploy`` returns, in any form."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rally_deploy.errors import PluginBroken
from rally_deploy.model import Credentials

_FIELDS = {field.name for field in dataclasses.fields(Credentials)}
_OLD_NAMES = {"tenant_name": "project_name", "user_domain": "user_domain_name",
              "project_domain": "project_domain_name", "interface": "endpoint_type"}


def cloud_result(result: Any) -> dict[str, Any]:
    """``{"admin": {...} or None, "users": [...], "services": {type: url}}`` of any form of it.

    Rally's ``{"openstack": [{"admin", "users"}]}`` and Credentials in place of dicts are taken.
    Every user has all fields of :class:`~rally_deploy.model.Credentials`. An admin that is None,
    and no users, say that it is no cloud by itself: a node of one. Raises PluginBroken.
    """
    cloud = result
    if isinstance(cloud, Mapping) and "openstack" in cloud:
        cloud = cloud["openstack"]
    if isinstance(cloud, (list, tuple)) and len(cloud) == 1:
        cloud = cloud[0]
    if not isinstance(cloud, Mapping):
        raise _broken("it has neither an admin nor users")
    node = "admin" in cloud and cloud["admin"] is None
    if not (cloud.get("admin") or cloud.get("users") or node):
        raise _broken("it has neither an admin nor users")
    users = cloud.get("users") or []
    if not isinstance(users, (list, tuple)):
        raise _broken("its users are no list")
    admin = cloud.get("admin")
    return {
        "admin": credentials(admin) if admin else None,
        "users": [credentials(user) for user in users],
        "services": dict(cloud.get("services") or {}),
    }


def credentials(user: Any) -> dict[str, Any]:
    """One user's credentials as a dict with every field; old names are taken."""
    if isinstance(user, Credentials):
        return dataclasses.asdict(user)
    if not isinstance(user, Mapping):
        raise _broken("a user is no object")
    named = {_OLD_NAMES.get(key, key): value for key, value in user.items()
             if value is not None and value != ""}
    missing = {"auth_url", "username", "password"} - set(named)
    if missing:
        raise _broken(f"a user has no {', '.join(sorted(missing))}")
    return dataclasses.asdict(Credentials(**{k: v for k, v in named.items() if k in _FIELDS}))


def _broken(what: str) -> PluginBroken:
    return PluginBroken(f"the engine returned no usable cloud: {what}")
