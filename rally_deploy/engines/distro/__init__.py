"""OpenStack from the distribution's own packages."""

from rally_deploy.engines.distro.engine import DistroEngine

__all__ = ["DistroEngine"]
