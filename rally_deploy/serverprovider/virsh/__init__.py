"""VirshProvider: clones of a libvirt domain."""

from rally_deploy.serverprovider.virsh.provider import VirshProvider

__all__ = ["VirshProvider"]
