"""Ctrl-C, SIGTERM and SIGHUP end the work within seconds, as ``cancelled``."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from rally_deploy.cli.ending import say
from rally_deploy.model import MOVING, State

if TYPE_CHECKING:
    from rally_deploy.deployer import Deployer

#: Seconds that the work has to end by itself before the process ends without it.
GRACE_S = 7.0

#: Seconds that the last word to the database may take.
_LAST_S = 1.5


@contextmanager
def ends_on_signals(deployer: Deployer, grace_s: float = GRACE_S) -> Iterator[None]:
    """Within it, a signal cancels the deployer's work instead of raising somewhere."""
    interruption = _Interruption(deployer, grace_s)
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # What the caller ignores (nohup does with SIGHUP) stays ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, interruption.signalled)
    try:
        yield
    finally:
        interruption.over()
        for number, handler in before.items():
            signal.signal(number, handler)


class _Interruption:
    """The first signal cancels; a second one, or the end of the grace, ends the process.

    Either way the row stays, as ``cancelled``. A removal that ``--destroy-on-failure`` begins
    after the first signal has all the time it needs; it can be cancelled in its turn.
    """

    def __init__(self, deployer: Deployer, grace_s: float) -> None:
        self._deployer, self._grace_s = deployer, grace_s
        self._over = threading.Event()
        self._now = threading.Event()

    def signalled(self, number: int, frame: FrameType | None) -> None:
        # Nothing here may block: the main thread may hold any lock at this moment.
        token = self._deployer.cancellation
        if token.requested:
            self._now.set()
            return
        token.cancel(f"cancelled by {signal.Signals(number).name}")
        threading.Thread(target=self._watch, args=(token,), daemon=True).start()

    def over(self) -> None:
        self._over.set()

    def _watch(self, token: object) -> None:
        say("ending; once more ends it at once")
        waited_s = 0.0
        while waited_s < self._grace_s and not self._now.wait(0.1):
            waited_s += 0.1
            if self._over.is_set():
                return
            if self._deployer.cancellation is not token:
                return
        self._leave()

    def _leave(self) -> None:
        """End the process from here: what blocks the main thread does not listen."""
        # A database that does not answer now must not keep us either; the dead lease tells all.
        last = threading.Timer(_LAST_S, os._exit, (3,))
        last.daemon = True
        last.start()
        try:
            _mark_cancelled(self._deployer)
        finally:
            say("cancelled while a step was still busy; 'rdeploy resume' goes on, "
                "'rdeploy destroy' removes what was made")
            os._exit(3)


def _mark_cancelled(deployer: Deployer) -> None:
    from rally_deploy import lease

    me = lease.owner_id()
    for record in deployer.list(all=True):
        if record.lease_owner == me and record.state in MOVING:
            deployer.store.deployments.move(
                record.uuid, State.CANCELLED, owner=me, lease_s=1.0, error="cancelled"
            )
