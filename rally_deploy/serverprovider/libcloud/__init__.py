"""LibcloudProvider: servers of any cloud that apache-libcloud has a driver for."""

from rally_deploy.serverprovider.libcloud.provider import LibcloudProvider

__all__ = ["LibcloudProvider"]
