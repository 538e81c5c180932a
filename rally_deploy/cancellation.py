"""One token per running command of ours: asked to stop by the user, or out of time."""

from __future__ import annotations

import threading
import time

from rally_deploy.errors import Cancelled, WaitTimeout


class Cancellation:
    """Says when the work is to end. Thread-safe; it is polled, it interrupts nothing by itself."""

    def __init__(self, timeout_s: float | None = None) -> None:
        self._event = threading.Event()
        self._why = ""
        self._timeout_s = timeout_s
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s

    def limit(self, timeout_s: float) -> None:
        """From now on the work may take this long."""
        self._timeout_s, self._deadline = timeout_s, time.monotonic() + timeout_s

    def cancel(self, why: str = "cancelled by the user") -> None:
        self._why = self._why or why
        self._event.set()

    @property
    def requested(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raise Cancelled, or WaitTimeout once the time limit of the whole command is over."""
        if self._event.is_set():
            raise Cancelled(self._why)
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise WaitTimeout(
                f"not done within the time limit of {self._timeout_s:g} s",
                remedy="'rdeploy resume' goes on from here, with a larger --timeout or none",
            )

    def sleep(self, seconds: float) -> None:
        """Sleep, but wake up and raise when the work is to end."""
        self.check()
        if self._deadline is not None:
            seconds = min(seconds, max(0.0, self._deadline - time.monotonic()) + 0.01)
        self._event.wait(seconds)
        self.check()
