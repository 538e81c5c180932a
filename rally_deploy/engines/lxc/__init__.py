"""LxcEngine: one container deployed by another engine, then clones of it."""

from rally_deploy.engines.lxc.engine import LxcEngine

__all__ = ["LxcEngine"]
