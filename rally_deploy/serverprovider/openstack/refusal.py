"""What the cloud says no to, and whether it may say yes a moment later."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rally_deploy.errors import RallyDeployError

#: A call that only meets passing troubles is given up after this long.
PATIENCE_S = 120.0

#: Answers that pass more often than not; 0 is a connection that failed.
_PASSING = frozenset({0, 401, 409, 429, 500, 502, 503, 504})

#: Of these a few tries show whether they pass: a broken service stays broken.
_FEW = {401: 1, 409: 2, 500: 3}

#: After these nobody knows whether the request was carried out.
_MAYBE_DONE = frozenset({0, 500, 502, 503, 504})

#: Neutron's own names of conflicts that do not pass by themselves.
_FINAL_KINDS = frozenset({
    "OverQuota", "IpAddressGenerationFailure", "ExternalIpAddressExhausted", "NoMoreFixedIps",
})


class CloudRefusal(RallyDeployError):
    """An API call that failed. ``status`` is HTTP's, 0 if no answer came."""

    def __init__(
        self, brief: str, details: str = "", remedy: str = "", *, status: int = 0,
        kind: str = "", retry_after_s: float | None = None, passing: bool | None = None,
    ) -> None:
        super().__init__(brief, details, remedy)
        self.status, self.kind, self.retry_after_s = status, kind, retry_after_s
        self.passing = status in _PASSING if passing is None else passing
        if kind in _FINAL_KINDS:
            self.passing = False

    @property
    def maybe_done(self) -> bool:
        """The request may have been carried out all the same."""
        return self.status in _MAYBE_DONE


def absent_is_success(delete: Callable[..., Any], *args: Any) -> None:
    """A deletion; it is well too if the thing is not there any more."""
    try:
        delete(*args)
    except CloudRefusal as refusal:
        if refusal.status != 404:
            raise


class ServerFailed(RallyDeployError):
    """A server that does not work, with what the cloud tells of it."""


class CloudUnfit(RallyDeployError):
    """What is asked for cannot be made on this cloud; all hindrances at once."""


@dataclass
class Patience:
    """One deadline over all calls and waits; every sleep ends when the user cancels.

    :param sleep: raises Cancelled.
    :param check: raises Cancelled.
    """

    sleep: Callable[[float], None]
    check: Callable[[], None]
    note: Callable[[str], None] = lambda text: None
    end: float = float("inf")
    _noted: float = float("-inf")

    def begin(self, timeout_s: float) -> None:
        self.end = time.monotonic() + timeout_s

    @property
    def left_s(self) -> float:
        return max(0.0, self.end - time.monotonic())

    def pause(self, seconds: float) -> None:
        self.sleep(min(seconds, self.left_s))

    def tell(self, text: str) -> None:
        """A note, but not one for each of many calls that meet the same trouble."""
        now = time.monotonic()
        if now - self._noted > 5:
            self._noted = now
            self.note(text)


class Tries:
    """The tries of one call."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._end = min(patience.end, time.monotonic() + PATIENCE_S)
        self._count: dict[int, int] = {}

    def again(self, refusal: CloudRefusal, many: bool = False) -> bool:
        """Whether it is worth another try; if so, returns after the pause before that.

        :param many: go on until the patience ends, also where a few tries should do.
        """
        seen = self._count[refusal.status] = self._count.get(refusal.status, 0) + 1
        if not refusal.passing or (not many and seen > _FEW.get(refusal.status, seen)):
            return False
        # Many calls that failed together must not come back together.
        delay = random.uniform(0.5, 1.0) * min(0.5 * 2 ** sum(self._count.values()), 10.0)
        if refusal.retry_after_s is not None:
            delay = refusal.retry_after_s + random.uniform(0, 0.5)
        if time.monotonic() + delay > self._end:
            return False
        self._patience.tell(f"{refusal.brief}; trying again")
        self._patience.pause(delay)
        return True
