"""The one session of all clients: it tries again what may be, and tells refusals apart.

Novaclient, glanceclient, openstacksdk and the plain calls to Cinder all go through ``request``, so
that this is the only place where an answer becomes an error of ours, by its code.
"""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from keystoneauth1 import exceptions, session

from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, Patience, Tries

#: Connecting, and between two bytes of an answer.
_TIMEOUT_S = 60.0
_UPLOAD_TIMEOUT_S = 900.0

#: To do these twice is to do them once.
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_WIDTH = 50


class PatientSession(session.Session):
    """Repeats what can be repeated; a POST fails at once, for its caller to look first."""

    def __init__(self, patience: Patience, auth: Any, verify: bool | str) -> None:
        pool = requests.Session()
        for scheme in ("http://", "https://"):
            pool.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=_WIDTH))
        if verify is False:
            # The user has asked for it and was warned once; not at each call.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        super().__init__(
            auth=auth, session=pool, verify=verify, timeout=_TIMEOUT_S, app_name="rally_deploy"
        )
        self.patience = patience
        #: Of all answers so far: a service that is so slow has requests waiting in its queue.
        self.slowest_s = 0.0

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """As keystoneauth1's; raises CloudRefusal for each answer of 400 or more, and for none."""
        url, method = args
        login = url.endswith("/auth/tokens")
        if kwargs.get("authenticated") is False and not login:
            # The discovery of clouds.yaml's plugins, which has its own idea of what is an error.
            return super().request(url, method, **{"connect_retries": 3, **kwargs})
        upload = method == "PUT" and url.endswith("/file")
        repeatable = login or (method in _REPEATABLE and not upload)
        if upload:
            kwargs["timeout"] = _UPLOAD_TIMEOUT_S
        # A client's own second tries (openstacksdk had one) would be made without a look.
        kwargs.update(raise_exc=False, allow_reauth=repeatable, connect_retries=0,
                      status_code_retries=0)
        tries = Tries(self.patience)
        while True:
            begin = time.monotonic()
            try:
                response = super().request(url, method, **kwargs)
                if not upload:
                    self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
                if response.status_code < 400:
                    return response
                refusal = refusal_of(response, method)
            except (exceptions.ConnectionError, requests.RequestException) as error:
                refusal = _no_answer(url, method, error)
            except OSError as error:
                raise CloudRefusal(
                    f"{method} {_shown(url)} cannot be sent", str(error),
                    "'https_cacert' has to be a file of certificates that this user can read",
                    passing=False,
                ) from error
            if refusal.status == 401 and not login:
                self.invalidate(kwargs.get("auth"))
            if login and refusal.status == 401:
                refusal.passing = False
            # What is deleted may still be in use by what is just being deleted.
            many = method == "DELETE" and refusal.status == 409
            if not (repeatable and tries.again(refusal, many)):
                raise refusal


def refusal_of(response: Any, method: str) -> CloudRefusal:
    """The error for an answer of 400 or more."""
    status, kind, text = response.status_code, "", ""
    try:
        kind, text = _message(response.json())
    except ValueError:
        text = " ".join(re.sub(r"<[^>]*>", " ", response.text).split())
    path = urlsplit(response.url).path
    request_id = response.headers.get("x-openstack-request-id", "")
    return CloudRefusal(
        f"{method} {path} was answered with {status}",
        "\n".join(filter(None, [text, request_id and f"request id: {request_id}"])),
        _REMEDIES.get(status, "the service's log tells more"),
        status=status, kind=kind, retry_after_s=_retry_after(response.headers),
    )


_REMEDIES: Mapping[int, str] = {
    401: "check user, password, tenant and the domains",
    403: "this user must not do that there: ask the cloud's administrator, or for more quota",
    413: "it is over a quota: free something, or ask for more",
    429: "the cloud limits the rate of calls: try again later with 'rdeploy resume'",
    503: "the service is overloaded or down: try again later with 'rdeploy resume'",
}


def _message(body: Any) -> tuple[str, str]:
    """(Neutron's type of the error, the text) of a JSON body."""
    if not isinstance(body, Mapping):
        return "", str(body)
    inner = next((v for v in body.values() if isinstance(v, Mapping) and "message" in v), body)
    if isinstance(body.get("NeutronError"), str):
        return "", str(body["NeutronError"])
    text = " ".join(re.sub(r"<[^>]*>", " ", str(inner.get("message", ""))).split())
    return str(inner.get("type", "")), text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _shown(url: str) -> str:
    where = urlsplit(url)
    return f"{where.scheme}://{where.netloc}" if where.netloc else where.path


def _no_answer(url: str, method: str, error: Exception) -> CloudRefusal:
    shown = _shown(url)
    if isinstance(error, (exceptions.SSLError, requests.exceptions.SSLError)):
        return CloudRefusal(
            f"the certificate of {shown} is not trusted", str(error),
            "give its CA's certificate as 'https_cacert', or set 'https_insecure'",
            passing=False,
        )
    return CloudRefusal(
        f"{method} {shown}: no answer", str(error),
        "is the service running, and is its address reachable from here?",
    )
