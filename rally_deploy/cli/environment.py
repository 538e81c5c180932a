"""``--fromenv``: the OS_* variables as an ExistingCloud config."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from rally_deploy.errors import UsageError

_TRUE = frozenset({"1", "true", "yes", "on", "t", "y"})


def config_from_environment(environ: Mapping[str, str] = os.environ) -> str:
    """The config's text. Raises UsageError that names every variable that is missing."""
    project = environ.get("OS_PROJECT_NAME") or environ.get("OS_TENANT_NAME")
    missing = [
        name for name in ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD") if not environ.get(name)
    ]
    if not project:
        missing.append("OS_PROJECT_NAME (or OS_TENANT_NAME)")
    if missing:
        raise UsageError(
            f"--fromenv: not set: {', '.join(missing)}",
            remedy="source the cloud's openrc file first",
        )
    for name, value in environ.items():
        if name.startswith("OS_") and ("${env:" in value or "${var:" in value):
            raise UsageError(f"--fromenv: {name} holds '${{', which a config would replace")
    return json.dumps(_config(environ, project or ""))


def _config(environ: Mapping[str, str], project: str) -> dict[str, Any]:
    admin = {
        "username": environ["OS_USERNAME"],
        "password": environ["OS_PASSWORD"],
        "project_name": project,
        "user_domain_name": environ.get("OS_USER_DOMAIN_NAME", ""),
        "project_domain_name": environ.get("OS_PROJECT_DOMAIN_NAME", ""),
    }
    interface = environ.get("OS_INTERFACE") or environ.get("OS_ENDPOINT_TYPE") or ""
    config: dict[str, Any] = {
        "type": "ExistingCloud",
        "auth_url": environ["OS_AUTH_URL"],
        "region_name": environ.get("OS_REGION_NAME", ""),
        # Both "internal" and "internalURL" are in use.
        "endpoint_type": interface.removesuffix("URL"),
        "https_cacert": environ.get("OS_CACERT", ""),
        "https_insecure": environ.get("OS_INSECURE", "").strip().lower() in _TRUE,
        "admin": {key: value for key, value in admin.items() if value},
    }
    return {key: value for key, value in config.items() if value or key == "type"}
