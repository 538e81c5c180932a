"""MultihostEngine: to be filled in by the next commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally_deploy.engines.base import DeployEngine


class MultihostEngine(DeployEngine):
    """A controller, then nodes of other engines around it."""

    CONFIG_SCHEMA: Mapping[str, Any] = {
        "type": "object",
        "required": ["type"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"], "description": "MultihostEngine"},
        },
        "examples": [{"type": "MultihostEngine"}],
    }

    def deploy(self) -> dict[str, Any]:
        raise NotImplementedError
