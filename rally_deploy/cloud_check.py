"""Does a cloud work? Keystone gives a token, and every service of its catalog answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from rally_deploy.access import v3_url
from rally_deploy.errors import RallyDeployError
from rally_deploy.model import Credentials

if TYPE_CHECKING:
    from keystoneauth1.session import Session

#: Any service that says less than this is there; what it says is its own business.
_BROKEN = 500


@dataclass(frozen=True)
class Answer:
    """What one service said. ``status`` is its HTTP status, 0 if none came."""

    service: str
    url: str
    status: int
    detail: str = ""

    @property
    def ok(self) -> bool:
        return 0 < self.status < _BROKEN


class NoToken(RallyDeployError):
    """Keystone did not let us in."""


def check(credentials: Credentials, timeout_s: float = 10.0) -> list[Answer]:
    """Ask Keystone for a token and every service of the catalog for an answer, in parallel.

    The first answer is Keystone's. Raises NoToken if there is no token to be had.

    :param timeout_s: of each request.
    """
    session = _session(credentials, timeout_s)
    catalog = _catalog(session, credentials)
    if not catalog:
        return []
    with ThreadPoolExecutor(len(catalog), thread_name_prefix="check") as pool:
        return list(pool.map(lambda one: _ask(session, one[0], one[1], timeout_s), catalog))


def _session(credentials: Credentials, timeout_s: float) -> Session:
    from keystoneauth1.identity import v3
    from keystoneauth1.session import Session

    scope: dict[str, Any] = {}
    if credentials.project_name:
        scope = {
            "project_name": credentials.project_name,
            "project_domain_name": credentials.project_domain_name,
        }
    elif credentials.domain_name:
        scope = {"domain_name": credentials.domain_name}
    auth = v3.Password(
        auth_url=_versioned(credentials.auth_url), username=credentials.username,
        password=credentials.password, user_domain_name=credentials.user_domain_name, **scope,
    )
    verify = False if credentials.https_insecure else (credentials.https_cacert or True)
    return Session(auth=auth, verify=verify, timeout=timeout_s)


def _versioned(auth_url: str) -> str:
    """With ``/v3`` at its end: no discovery, which would follow links to inner addresses."""
    url = v3_url(auth_url).rstrip("/")
    return url if url.endswith("/v3") else url + "/v3"


def _catalog(session: Session, credentials: Credentials) -> list[tuple[str, str]]:
    """(service type, URL) of each endpoint of the user's interface and region."""
    from keystoneauth1 import exceptions

    try:
        access: Any = session.auth
        found = access.get_access(session).service_catalog
    except exceptions.Unauthorized as error:
        raise NoToken(
            f"Keystone at {credentials.auth_url} refuses user {credentials.username}",
            str(error), "'rdeploy show --secrets' tells the password that is stored",
        ) from error
    except exceptions.ClientException as error:
        raise NoToken(
            f"no token from Keystone at {credentials.auth_url}", str(error),
            "is it running, and is its address reachable from here?",
        ) from error
    endpoints = found.get_endpoints(
        interface=credentials.endpoint_type, region_name=credentials.region_name or None
    )
    return sorted(
        (service, str(endpoint["url"]))
        for service, some in endpoints.items() for endpoint in some
    )


def _ask(session: Session, service: str, url: str, timeout_s: float) -> Answer:
    from keystoneauth1 import exceptions

    try:
        response = session.get(
            root(url), authenticated=False, raise_exc=False, redirect=False, timeout=timeout_s,
            headers={"Accept": "application/json"}, connect_retries=0,
        )
    except exceptions.ClientException as error:
        return Answer(service, url, 0, str(error).splitlines()[0])
    return Answer(service, url, response.status_code, str(response.reason or ""))


def root(url: str) -> str:
    """The endpoint without version and project: ``http://h/compute/v2.1/abc`` -> ``.../compute/``.

    What lists a service's versions there needs neither a token nor rights.
    """
    parts = urlsplit(url)
    kept: list[str] = []
    for word in parts.path.split("/"):
        if word[:1] == "v" and word[1:2].isdigit():
            break
        if "%(" in word or "$(" in word:
            break
        kept.append(word)
    path = "/".join(kept).rstrip("/") + "/"
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))
