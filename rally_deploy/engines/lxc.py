"""LxcEngine: to be filled in by the next commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally_deploy.engines.base import DeployEngine


class LxcEngine(DeployEngine):
    """Clones of one deployed container, each a node of its own."""

    CONFIG_SCHEMA: Mapping[str, Any] = {
        "type": "object",
        "required": ["type"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"], "description": "LxcEngine"},
        },
        "examples": [{"type": "LxcEngine"}],
    }

    def deploy(self) -> dict[str, Any]:
        raise NotImplementedError
