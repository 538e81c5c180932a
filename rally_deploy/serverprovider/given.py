"""GivenServers: servers that an outer engine has made for a nested deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rally_deploy.model import Server
from rally_deploy.serverprovider.base import ServerProvider


class GivenServers(ServerProvider):
    """Servers that an outer engine has made; not to be written in a config by hand."""

    CONFIG_SCHEMA: Mapping[str, Any] = {
        "type": "object",
        "required": ["type", "servers"],
        "additionalProperties": False,
        "properties": {
            "type": {"type": "string", "x-alias": ["name"], "description": "GivenServers"},
            "servers": {
                "type": "array", "items": {"type": "object"},
                "description": "each with the fields of rally_deploy.model.Server",
            },
        },
        "examples": [
            {"type": "GivenServers", "servers": [{"host": "192.0.2.11", "user": "root"}]},
        ],
    }

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        return [Server.from_dict(values) for values in self.config["servers"]][:amount]
