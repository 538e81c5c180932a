"""What cloud-init of a server is told."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from rally_deploy.serverprovider.libcloud.choice import contains_spec


def userdata(config: Mapping[str, Any], image_name: str, public_key: str) -> str:
    """The block's ``userdata`` for this image, with our key let in; a text stays as it is."""
    given: Any = next(
        (value for spec, value in config["userdata"].items()
         if contains_spec(image_name, spec.lower())), {})
    if isinstance(given, str):
        return given
    told = copy.deepcopy(dict(given))
    told["ssh_authorized_keys"] = [*told.get("ssh_authorized_keys", ()), public_key]
    if config["login_user"] == "root":
        told.setdefault("disable_root", False)
    else:
        told.setdefault("user", config["login_user"])
    # JSON is YAML, too.
    return "#cloud-config\n" + json.dumps(told, indent=1) + "\n"
