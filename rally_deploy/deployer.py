"""The use cases, and so the Python API: create, destroy, resume, recreate, cancel, look.

No printing and no click here. What happens is told to the watcher.
"""

from __future__ import annotations

import os
import uuid as uuids
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rally_deploy import config as configs
from rally_deploy import lease
from rally_deploy.cancellation import Cancellation
from rally_deploy.deployment import Deployment, Shells, Workplace
from rally_deploy.errors import DeploymentHeld, UsageError
from rally_deploy.events import NoWatcher, Watcher
from rally_deploy.holder import Holder
from rally_deploy.masking import Mask
from rally_deploy.model import MOVING, DeploymentRecord, Resource, Server, State
from rally_deploy.plugins import Registry
from rally_deploy.store import Store

#: Seconds that a killed process on another machine keeps its deployment from others.
LEASE_S = 30.0


@dataclass(frozen=True)
class Overview:
    """All that ``show`` tells of one deployment."""

    record: DeploymentRecord
    servers: list[Server]
    resources: list[Resource]
    children: list[Overview]
    credentials: Mapping[str, Any] | None  # as DeployEngine.deploy returns it, with secrets


class Deployer:
    """Does the use cases on one store. Close it, or use it as a context manager."""

    def __init__(
        self,
        store: Store,
        registry: Registry | None = None,
        watcher: Watcher | None = None,
        environ: Mapping[str, str] | None = None,
        shells: Callable[[], Shells] | None = None,
        lease_s: float = LEASE_S,
    ) -> None:
        self.store = store
        self.registry = registry or Registry()
        self.watcher = watcher or NoWatcher()
        self.environ = os.environ if environ is None else environ
        self.cancellation = Cancellation()
        self._shells = shells or _pool
        self._lease_s = lease_s
        self._owner = lease.owner_id()

    def __enter__(self) -> Deployer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.store.close()

    # The ways of a deployment

    def create(
        self,
        document: configs.Document,
        name: str = "",
        timeout_s: float | None = None,
        destroy_on_failure: bool = False,
        announce: Callable[[DeploymentRecord], None] = lambda record: None,
        wait: bool = False,
    ) -> DeploymentRecord:
        """Make a cloud from a config; ``announce`` gets the row before anything is made.

        With ``wait`` it waits for a free place where a provider's ``max_nodes`` are all there.

        Raises ConfigError before the row is written; any later error leaves a failed or
        cancelled deployment that can be resumed or destroyed (or nothing, with
        ``destroy_on_failure``).
        """
        warnings = configs.validate(document, self.registry, self.environ)
        uuid = str(uuids.uuid4())
        record = self.store.deployments.add(
            uuid, name or self._free_name(document, uuid), configs.plugin_name(document.data),
            document.data, owner=self._owner, lease_s=self._lease_s,
        )
        announce(record)
        return self._deploy(
            record, timeout_s, destroy_on_failure, [str(w) for w in warnings], wait)

    def resume(
        self, wanted: str, timeout_s: float | None = None, destroy_on_failure: bool = False,
        wait: bool = False,
    ) -> DeploymentRecord:
        """Go on where a failed, cancelled or killed create stopped."""
        record = self.find(wanted)
        if record.state in (State.DESTROYING, State.DESTROYED):
            raise UsageError(
                f"deployment {record.name} is {record.state}",
                remedy=f"'rdeploy recreate {record.short}' makes it anew",
            )
        return self._deploy(record, timeout_s, destroy_on_failure, wait=wait)

    def destroy(self, wanted: str, timeout_s: float | None = None) -> DeploymentRecord:
        """Remove everything that the deployment ever made; harmless if that is nothing."""
        record = self.find(wanted)
        if record.parent_uuid:
            parent = self.store.deployments.get(record.parent_uuid)
            raise UsageError(
                f"{record.name} is a part of {parent.name}", remedy=f"destroy {parent.name}"
            )
        with self._entity(record, timeout_s) as deployment:
            deployment.destroy()
        return self.find(record.uuid)

    def recreate(self, wanted: str, timeout_s: float | None = None) -> DeploymentRecord:
        """Destroy, then create again from the stored config, under the same uuid and name."""
        record = self.destroy(wanted, timeout_s)
        return self._deploy(record, timeout_s, False)

    def cancel(self, wanted: str) -> DeploymentRecord:
        """Ask the process that works on it to end; a dead one's deployment is cancelled here."""
        record = self.find(wanted)
        if record.state not in MOVING:
            raise UsageError(f"deployment {record.name} is {record.state}: nothing to cancel")
        if self.is_stale(record):
            self.store.deployments.cancel_unheld(record.uuid)
        else:
            self.store.deployments.request_cancel(record.uuid)
        return self.find(record.uuid)

    def _deploy(
        self, record: DeploymentRecord, timeout_s: float | None, destroy_on_failure: bool,
        warnings: Iterable[str] = (), wait: bool = False,
    ) -> DeploymentRecord:
        try:
            with self._entity(record, timeout_s, wait) as deployment:
                for warning in warnings:
                    deployment.note(warning, warning=True)
                deployment.deploy()
        except DeploymentHeld:
            raise
        except (Exception, KeyboardInterrupt):
            # Whatever ended it, an error of a plugin's own or of an SDK too, has left things.
            if destroy_on_failure:
                # What ended the create must not end the removal at once, too.
                self.cancellation = Cancellation()
                self.destroy(record.uuid)
            raise
        return self.find(record.uuid)

    @contextmanager
    def _entity(
        self, record: DeploymentRecord, timeout_s: float | None = None, wait: bool = False
    ) -> Iterator[Deployment]:
        if timeout_s is not None:
            self.cancellation.limit(timeout_s)
        work = self._workplace(wait)
        try:
            with Holder(self.store, self._owner, record.uuid, self._lease_s, self.cancellation):
                yield Deployment(work, record)
        finally:
            work.shells.close()

    @contextmanager
    def looking(self, records: Iterable[DeploymentRecord]) -> Iterator[list[Deployment]]:
        """Deployments to look with: nobody holds them, so nothing of theirs may be changed."""
        work = self._workplace()
        try:
            yield [Deployment(work, record) for record in records]
        finally:
            work.shells.close()

    def _workplace(self, wait: bool = False) -> Workplace:
        return Workplace(
            store=self.store, registry=self.registry, shells=self._shells(), owner=self._owner,
            watcher=self.watcher, cancellation=self.cancellation, mask=Mask(),
            environ=self.environ, lease_s=self._lease_s, wait_for_places=wait,
        )

    def _free_name(self, document: configs.Document, uuid: str) -> str:
        stem = os.path.splitext(os.path.basename(document.source))[0].strip("<>") or "deployment"
        taken = {record.name for record in self.store.deployments.list()}
        return f"{stem}-{uuid[:4]}" if stem in taken else stem

    # Looking

    def find(self, wanted: str) -> DeploymentRecord:
        """By name, uuid, or a unique beginning of the uuid."""
        return self.store.deployments.find(wanted)

    def list(self, all: bool = False) -> list[DeploymentRecord]:
        """The deployments that are not destroyed; with ``all`` these and the children too."""
        return self.store.deployments.list(all=all)

    def is_stale(self, record: DeploymentRecord) -> bool:
        """In a moving state, but nobody is alive who moves it."""
        return lease.is_stale(record)

    def show(self, wanted: str) -> Overview:
        return self._overview(self.find(wanted))

    def _overview(self, record: DeploymentRecord) -> Overview:
        return Overview(
            record, self.store.servers.list(record.uuid),
            self.store.resources.list(record.uuid),
            [self._overview(child) for child in self.store.deployments.children(record.uuid)],
            self.store.credentials.get(record.uuid),
        )

    def config(self, wanted: str, show_secrets: bool = False) -> Mapping[str, Any]:
        """The config as it was given; secrets are masked unless asked for."""
        tree = self.store.deployments.config(self.find(wanted).uuid)
        return tree if show_secrets else configs.mask_secrets(tree, self.registry)

    def credentials(self, wanted: str) -> Mapping[str, Any]:
        """How to use the cloud, as DeployEngine.deploy returned it, with its secrets."""
        record = self.find(wanted)
        found = self.store.credentials.get(record.uuid)
        if found is None:
            raise UsageError(
                f"deployment {record.name} is {record.state}: it has no credentials",
                remedy=f"'rdeploy show {record.short}' tells where it stands",
            )
        return found


def _pool() -> Shells:
    from rally_deploy.ssh import Pool

    return Pool()

