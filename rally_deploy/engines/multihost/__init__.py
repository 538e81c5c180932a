"""MultihostEngine: a controller, and nodes of other engines around it."""

from rally_deploy.engines.multihost.engine import MultihostEngine

__all__ = ["MultihostEngine"]
