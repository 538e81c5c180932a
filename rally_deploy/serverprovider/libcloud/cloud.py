"""One cloud through libcloud: calls with their errors mapped, tried again, and few listings."""

from __future__ import annotations

import math
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from rally_deploy.errors import Cancelled, RallyDeployError
from rally_deploy.serverprovider.libcloud import drivers

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

T = TypeVar("T")

#: The key of our mark in the metadata or tags of what we make; its value is the whole uuid.
MARK = "rdeploy"

#: Seconds between two tries of a call.
_PAUSE_S = (1.0, 3.0)
_BUSY = frozenset({408, 413, 429, 500, 502, 503, 504})
#: Of these: the cloud did not even begin.
_UNDONE = frozenset({413, 429})


class CloudFailed(RallyDeployError):
    """The cloud refused a call, or made something that does not work."""


class NoService(CloudFailed):
    """The cloud's catalog does not name such a service, so it has nothing of that kind."""


class CloudBusy(CloudFailed):
    """The cloud was not reached, or has no time now.

    ``maybe_done`` is False if it is certain that what was asked for was not done.
    """

    def __init__(self, brief: str, details: str, remedy: str, maybe_done: bool = True) -> None:
        super().__init__(brief, details, remedy)
        self.maybe_done = maybe_done


class Cloud:
    """Calls of one driver. libcloud's drivers are for one thread each, so there are several."""

    #: Seconds that a request whose answer was lost may still be on its way, and that a cloud may
    #: take to list what it has made.
    settle_s = 20.0

    #: Seconds that a call is tried again while the cloud is busy or not reached.
    patience_s = 120.0

    def __init__(
        self, deployment: Deployment, config: Mapping[str, Any], patience_s: float | None = None
    ) -> None:
        self._deployment, self._was_let_in = deployment, False
        self.patience_s = self.patience_s if patience_s is None else patience_s
        self._name, self._arguments = config["driver"], config["driver_args"]
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lists: dict[str, _Listing] = {
            "list_nodes": _Listing(), "list_volumes": _Listing(), "list_key_pairs": _Listing()}

    @cached_property
    def driver_class(self) -> type:
        """Of the drivers as they are made: what libcloud's name leads to may choose another."""
        driver = self._driver("make a driver")
        self._idle.put(driver)
        return type(driver)

    def takes(self, method: str, argument: str) -> bool:
        return drivers.takes(self.driver_class, method, argument)

    def can(self, method: str) -> bool:
        return drivers.overrides(self.driver_class, method)

    def ask(self, what: str, work: Callable[[Any], T]) -> T:
        """What ``work`` returns for a driver; tried again while the cloud is busy."""
        return self._patiently(what, lambda: self._once(what, work))

    def make(
        self, what: str, find: Callable[[], T | None], work: Callable[[Any], T],
        settle_s: float | None = None,
    ) -> T:
        """Make a thing; after each try that may have made it, it is looked for first.

        :param settle_s: for how long (default: as long as the cloud needs to settle).
        """
        maybe_done: list[bool] = []

        def attempt() -> T:
            if maybe_done:
                found = self.settled(find, self.settle_s if settle_s is None else settle_s)
                if found is not None:
                    return found
            try:
                return self._once(what, work)
            except CloudBusy as busy:
                if busy.maybe_done:
                    maybe_done.append(True)
                raise

        return self._patiently(what, attempt)

    def settled(self, look: Callable[[], T], settle_s: float) -> T:
        """What a look finds; after so many seconds, what it does not find is not there."""
        end = time.monotonic() + settle_s

        def found() -> list[T]:
            seen = look()
            return [seen] if seen or time.monotonic() >= end else []

        return self._deployment.wait(
            found, math.inf, "the cloud settles", interval_s=min(1.0, settle_s / 4))[0]

    def listed(self, method: str) -> list[Any]:
        """All nodes, volumes or key pairs as of now; callers at the same time share one look."""
        listing, since = self._lists[method], time.monotonic()
        with listing.lock:
            if listing.at < since:
                began = time.monotonic()
                what = f"list {method.removeprefix('list_').replace('_', ' ')}"
                listing.found = self.ask(what, lambda driver: list(getattr(driver, method)()))
                listing.at = began
            return listing.found

    def _patiently(self, what: str, attempt: Callable[[], T]) -> T:
        # In a tuple, as an empty answer is an answer, too.
        return self._deployment.wait(
            lambda: (attempt(),), self.patience_s, f"{what}: the cloud is busy",
            interval_s=random.uniform(*_PAUSE_S), tolerate=(CloudBusy,),
        )[0]

    def _once(self, what: str, work: Callable[[Any], T]) -> T:
        driver = self._driver(what)
        try:
            done = work(driver)
        except (RallyDeployError, Cancelled):
            raise
        except Exception as error:
            raise _mapped(what, error, self._was_let_in) from error
        finally:
            self._idle.put(driver)
        self._was_let_in = True
        return done

    def _driver(self, what: str) -> Any:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            pass
        try:
            return drivers.make(self._name, self._arguments)
        except RallyDeployError:
            raise
        except Exception as error:
            raise _mapped(what, error) from error


class _Listing:
    """The last look at all things of one kind."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at = float("-inf")
        self.found: list[Any] = []


def _mapped(what: str, error: Exception, was_let_in: bool = False) -> CloudFailed:
    """The error of libcloud as ours: by its class and code."""
    import requests
    from libcloud.common.exceptions import BaseHTTPError
    from libcloud.common.types import (
        InvalidCredsError,
        MalformedResponseError,
        ServiceUnavailableError,
    )

    code = _code(error)
    text = str(getattr(error, "message", None) or getattr(error, "value", None) or error)
    brief = f"the cloud did not {what}: {text.strip().splitlines()[0] if text.strip() else ''}"
    details = f"{type(error).__name__}" + (f", HTTP status {code}" if code else "")
    if isinstance(error, InvalidCredsError):
        return CloudFailed(brief, details, "look at 'driver_args', and your rights there")
    if isinstance(error, NotImplementedError):
        return CloudFailed(
            f"this driver cannot {what}", details, "leave out what needs it")
    if isinstance(error, requests.exceptions.SSLError):
        return CloudFailed(brief, details, "look at the cloud's certificate and your CA bundle")
    if any(words in text for words in _NO_ENDPOINT):
        return NoService(
            f"this cloud has no service to {what}", details,
            "leave out what needs it, or look at the region in 'driver_args'")
    reached = not isinstance(error, (ServiceUnavailableError, requests.RequestException, OSError))
    answered = isinstance(error, (BaseHTTPError, MalformedResponseError))
    # A token may become invalid early; then the driver gets another one, with which it either
    # is let in again or fails with InvalidCredsError.
    stale = was_let_in and isinstance(error, BaseHTTPError) and code == 401
    if not reached or stale or answered and code in _BUSY:
        return CloudBusy(brief, details, "look whether the cloud answers; then resume",
                         maybe_done=code not in _UNDONE)
    return CloudFailed(brief, details, _REMEDIES.get(code or 0, "look at what the cloud says"))


def _code(error: Exception) -> int | None:
    """The HTTP status; libcloud tells the one of a Keystone that fails in a text only."""
    code = getattr(error, "code", None) or getattr(error, "http_code", None)
    told = re.match(r"code: (\d{3}) body:", str(getattr(error, "body", "")))
    return int(told.group(1)) if told and not code else code


#: What libcloud says, and in a status 500 Nova, where the catalog names no service of a type.
_NO_ENDPOINT = ("Could not find specified endpoint", "keystoneauth1.exceptions.catalog.Endpoint")

_REMEDIES = {
    403: "look at your quota and your rights in this cloud",
    404: "look at the names and ids in the config",
    409: "look at your quota, and what is there already",
}
