"""The clients of one cloud, on one session."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter
from keystoneauth1.identity import v3

from rally_deploy.access import v3_url
from rally_deploy.config import sounds_secret
from rally_deploy.errors import UsageError
from rally_deploy.serverprovider.openstack.refusal import (
    CloudRefusal,
    Patience,
    Tries,
    absent_is_success,
)
from rally_deploy.serverprovider.openstack.session import PatientSession

if TYPE_CHECKING:
    from rally_deploy.serverprovider.openstack.neutron import Network

T = TypeVar("T")

#: The first version of Nova's API that takes tags with a new server; none later is needed.
_TAGS = "2.52"
_OLDEST = "2.1"

_LONGEST_SETTLE_S = 120.0


class Rest:
    """Plain JSON calls to Cinder; openstacksdk would ask it for its versions first."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    def list(self, key: str, path: str, **params: Any) -> list[dict[str, Any]]:
        """All items, over all pages."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = params
        while True:
            body = self._call("GET", path, params=query)
            page = body[key]
            found += page
            following = any(x.get("rel") == "next" for x in body.get(f"{key}_links", ()))
            if not (following and page):
                return found
            query = {**params, "marker": page[-1]["id"]}

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("POST", path, json=body)

    def delete(self, path: str) -> None:
        """Absent already is success."""
        absent_is_success(self._call, "DELETE", path)

    def _call(self, method: str, path: str, **kwargs: Any) -> Any:
        response = self._adapter.request(path, method, **kwargs)
        return response.json() if response.content else None


class Cloud:
    """One user's view of a cloud: ``nova``, ``glance``, ``network``, ``volumes``.

    :param hide: is told the secrets that clouds.yaml holds.
    """

    def __init__(
        self, config: Mapping[str, Any], patience: Patience,
        hide: Callable[[list[str]], None] = lambda secrets: None,
    ) -> None:
        self.patience, self._hide = patience, hide
        self._region = config.get("region")
        self._interface: Any = "public"
        if config.get("cloud"):
            auth, verify = self._from_clouds_yaml(config["cloud"])
        else:
            auth, verify = _password(config), True
        if config.get("https_insecure"):
            verify = False
        elif config.get("https_cacert"):
            verify = os.path.expanduser(config["https_cacert"])
        self.session = PatientSession(patience, auth, verify)

    def _from_clouds_yaml(self, name: str) -> tuple[Any, Any]:
        from openstack.config import OpenStackConfig
        from openstack.exceptions import ConfigException

        try:
            found = OpenStackConfig().get_one(name)
            self._region = self._region or found.get_region_name()
            login = found.config.get("auth") or {}
            self._hide([str(login[k]) for k in login if sounds_secret(k)])
            self._interface = found.get_interface() or "public"
            return found.get_auth(), found.get_requests_verify_args()[0]
        except (ConfigException, exceptions.ClientException) as error:
            raise UsageError(
                f"cloud '{name}' of clouds.yaml cannot be used", str(error),
                "mend clouds.yaml, or name another cloud of it",
            ) from error

    def log_in(self) -> None:
        """Get a token, so that a wrong password is told before anything else."""
        try:
            self.session.get_token()
        except CloudRefusal as refusal:
            if refusal.status == 401:
                raise CloudRefusal(
                    "Keystone refuses this user", refusal.details, refusal.remedy, status=401
                ) from refusal
            raise
        except exceptions.ClientException as error:
            raise CloudRefusal("no token from Keystone", str(error)) from error

    @cached_property
    def project_id(self) -> str:
        return str(self.session.get_project_id() or "")

    def endpoint(self, service: str) -> str:
        """The address of a service in the catalog; empty if it has none."""
        try:
            found = self.session.get_endpoint(
                service_type=service, interface=self._interface, region_name=self._region
            )
        except exceptions.EndpointNotFound:
            return ""
        return str(found or "").rstrip("/")

    def require(self, service: str) -> str:
        found = self.endpoint(service)
        if not found:
            where = f" in region {self._region}" if self._region else ""
            raise CloudRefusal(
                f"the cloud's catalog has no {service} service{where}",
                remedy="check 'region', or use another cloud", status=404,
            )
        return found

    @cached_property
    def nova(self) -> Any:
        from novaclient import api_versions, client

        self.require("compute")
        asked = {"session": self.session, "region_name": self._region,
                 "endpoint_type": self._interface}
        oldest = client.Client(_OLDEST, **asked)
        newest = api_versions.APIVersion(oldest.versions.get_current().version or _OLDEST)
        version = min(newest, api_versions.APIVersion(_TAGS))
        return client.Client(version, **asked)

    @property
    def server_tags(self) -> bool:
        """Whether a server can be given tags in the call that makes it."""
        return str(self.nova.api_version.get_string()) == _TAGS

    @cached_property
    def glance(self) -> Any:
        from glanceclient.v2 import client

        self.require("image")
        return client.Client(
            session=self.session, region_name=self._region, interface=self._interface
        )

    @cached_property
    def network(self) -> Network:
        from rally_deploy.serverprovider.openstack import neutron

        return neutron.connect(self.session, self.require("network"))

    @cached_property
    def volumes(self) -> Rest:
        return Rest(Adapter(self.session, endpoint_override=self.require("block-storage")))

    def once(self, post: Callable[[], T], look: Callable[[], T | None], settle_s: float) -> T:
        """Make a thing with one POST; before a second one, look whether the first has made it.

        :param settle_s: how long a request whose answer was lost may still be on its way.
        """
        tries = Tries(self.patience)
        while True:
            try:
                return post()
            except CloudRefusal as refusal:
                again = tries.again(refusal)
                if refusal.passing:
                    found = self.settled(look, settle_s if refusal.maybe_done else 0)
                    if found:
                        return found
                # A look that ended with the time was too short to send a second one after it.
                if not again or self.patience.left_s <= 0:
                    raise

    def settled(self, look: Callable[[], T | None], settle_s: float) -> T | None:
        """What a look finds, or None if nothing came up for that long, or until time is over.

        A cloud that is slow to answer has requests waiting, so it is given longer.
        """
        begin, delay = time.monotonic(), 0.25
        while True:
            found = look()
            # How slow the service is shows only in its answers, this look's among them.
            slow_s = min(3 * self.session.slowest_s, _LONGEST_SETTLE_S) if settle_s else 0.0
            left_s = begin + max(settle_s, slow_s) - time.monotonic()
            if found or min(left_s, self.patience.left_s) <= 0:
                return found
            self.patience.pause(min(delay, max(0.05, left_s)))
            delay = min(delay * 2, 2.0)


def _password(config: Mapping[str, Any]) -> Any:
    return v3.Password(
        auth_url=keystone_url(config["auth_url"]), username=config["user"],
        password=config["password"], project_name=config["tenant"],
        user_domain_name=config["user_domain_name"],
        project_domain_name=config["project_domain_name"],
    )


def keystone_url(auth_url: str) -> str:
    """With ``/v3`` at its end: no discovery, which would follow links to inner addresses."""
    url = v3_url(auth_url).rstrip("/")
    return url if url.endswith("/v3") else url + "/v3"
