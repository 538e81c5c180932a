"""Records as JSON values, and times and durations as people read them. No secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rally_deploy.deployer import Overview
    from rally_deploy.events import Event
    from rally_deploy.model import DeploymentRecord, Resource, Server


def dump(value: Any, lines: bool = False) -> str:
    """JSON text: indented, or on one line."""
    return json.dumps(value, indent=None if lines else 2, ensure_ascii=False)


def iso(at: datetime | None) -> str | None:
    """A UTC time as every JSON output and log line has it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def local(at: datetime | None) -> str:
    """A time for people, in their own zone."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def duration(seconds: float) -> str:
    """``7.4 s``, ``1 min 5 s``, ``2 h 3 min``."""
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def age(at: datetime, now: datetime | None = None) -> float:
    """Seconds since then."""
    return ((now or datetime.now(timezone.utc)) - at).total_seconds()


def record_values(record: DeploymentRecord, stale: bool) -> dict[str, Any]:
    return {
        "uuid": record.uuid, "name": record.name, "parent_uuid": record.parent_uuid,
        "state": str(record.state), "stale": stale, "engine": record.engine,
        "created_at": iso(record.created_at), "updated_at": iso(record.updated_at),
        "started_at": iso(record.started_at), "ready_at": iso(record.ready_at),
        "error": record.error, "cancel_requested": record.cancel_requested,
    }


def server_values(server: Server) -> dict[str, Any]:
    return {
        "name": server.name, "host": server.host, "port": server.port, "user": server.user,
        "connection": server.connection, "key": server.key, "become": server.become,
        "jump": server_values(server.jump) if server.jump else None,
    }


def resource_values(resource: Resource) -> dict[str, Any]:
    return {
        "id": resource.id, "kind": resource.kind, "name": resource.name,
        "state": str(resource.state), "owner": resource.owner, "key": resource.key,
        "host": resource.host.label if resource.host else None,
        "inside_id": resource.inside_id, "facts": dict(resource.facts),
        "created_at": iso(resource.created_at), "updated_at": iso(resource.updated_at),
    }


def event_values(event: Event) -> dict[str, Any]:
    return {
        "type": "event", "deployment": event.deployment_uuid,
        "at": event.at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z", "kind": str(event.kind),
        "title": event.title, "server": event.server, "step": event.step,
        "parent_step": event.parent_step, "elapsed_s": event.elapsed_s, "detail": event.detail,
        "id": event.id,
    }


def masked_credentials(credentials: Mapping[str, Any] | None) -> Any:
    """The same tree with every password replaced."""
    if isinstance(credentials, Mapping):
        return {
            key: "***" if "password" in key and value else masked_credentials(value)
            for key, value in credentials.items()
        }
    if isinstance(credentials, list):
        return [masked_credentials(item) for item in credentials]
    return credentials


def overview_values(overview: Overview, stale: Any, secrets: bool) -> dict[str, Any]:
    """All that ``show --json`` tells; ``stale`` says of a record whether nobody moves it."""
    credentials = overview.credentials
    return {
        **record_values(overview.record, stale(overview.record)),
        "servers": [server_values(server) for server in overview.servers],
        "resources": [resource_values(resource) for resource in overview.resources],
        "children": [overview_values(child, stale, secrets) for child in overview.children],
        "credentials": credentials if secrets else masked_credentials(credentials),
    }
