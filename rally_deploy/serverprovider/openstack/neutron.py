"""Neutron's client: openstacksdk's network proxy, on our session.

Imported when Neutron is first asked: openstacksdk takes its time.
"""

from __future__ import annotations

from typing import Any

from openstack.connection import Connection
from openstack.network.v2._proxy import Proxy

from rally_deploy.serverprovider.openstack.session import PatientSession

_VERSION = "/v2.0"


class Network(Proxy):
    """Keeps to the address that it was given."""

    def request(self, url: str, method: str, *args: Any, **kwargs: Any) -> Any:
        # The next page of a list is linked by the address that Neutron believes to have. Behind
        # a proxy that is an inner one, and with it the SDK would leave the catalog's.
        return super().request(url.rpartition(_VERSION)[2], method, *args, **kwargs)


def connect(session: PatientSession, endpoint: str) -> Network:
    """Asks for nothing; with ``connection.network`` the SDK asks the endpoint for its versions.

    :param endpoint: the catalog's, with or without the version at its end.
    """
    address = endpoint.rstrip("/").removesuffix(_VERSION) + _VERSION
    connection = Connection(session=session, network_endpoint_override=address)
    found: Network = connection.config.get_session_client("network", constructor=Network)
    found._connection = connection
    return found
