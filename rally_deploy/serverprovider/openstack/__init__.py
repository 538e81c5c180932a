"""OpenStackProvider: servers of an OpenStack cloud."""

from rally_deploy.serverprovider.openstack.provider import OpenStackProvider

__all__ = ["OpenStackProvider"]
