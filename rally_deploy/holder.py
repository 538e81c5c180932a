"""While we work on a deployment: its lease is renewed, and a request to cancel is heard."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rally_deploy.cancellation import Cancellation
from rally_deploy.errors import StoreError
from rally_deploy.model import DeploymentRecord
from rally_deploy.store import Store

#: Seconds between two looks for a request to cancel.
_LOOK_S = 1.0


class Holder:
    """A context in which a thread keeps what ``owner`` holds. Children are held by it too."""

    def __init__(
        self, store: Store, owner: str, uuid: str, lease_s: float, cancellation: Cancellation
    ) -> None:
        self._store, self._owner, self._uuid, self._lease_s = store, owner, uuid, lease_s
        self._cancellation = cancellation
        self._held = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Holder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    def _keep(self) -> None:
        renewed = time.monotonic()
        while not self._end.wait(_LOOK_S):
            try:
                self._look(self._store.deployments.get(self._uuid))
                if time.monotonic() - renewed >= self._lease_s / 3:
                    self._store.deployments.renew(self._owner, self._lease_s)
                    renewed = time.monotonic()
            except StoreError:
                # A database that is away for a moment must not end hours of work; the lease
                # lasts three renewals, and every state move is guarded anyway.
                continue

    def _look(self, record: DeploymentRecord) -> None:
        if record.lease_owner == self._owner:
            self._held = True
            if record.cancel_requested:
                self._cancellation.cancel("cancelled by 'rdeploy cancel'")
        elif self._held and record.lease_owner:
            # We were away for longer than the lease (a suspended machine, say).
            self._cancellation.cancel("another process has taken this deployment over")
