"""OpenStack by DevStack."""

from rally_deploy.engines.devstack.engine import DevstackEngine

__all__ = ["DevstackEngine"]
