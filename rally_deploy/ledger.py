"""Record before create: an outside thing is a row first, and stays one until it is seen gone.

The row is committed as ``intended`` under a name that we choose, then the thing is made under
that name, then the row becomes ``live``. Release goes ``releasing``, delete, ``gone``. So a kill
between any two of these leaves a row that a later destroy can act on.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import Cancelled, LeftOver
from rally_deploy.model import Resource, ResourceState, Server

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment
    from rally_deploy.store import Store

#: Makes the thing under the resource's name; returns the facts that came back (no secrets).
Make = Callable[[Resource], Mapping[str, Any] | None]
Delete = Callable[[Resource], None]


class Ledger:
    """The resource rows of one plugin of one deployment. ``owner`` is its place in the config."""

    def __init__(self, store: Store, deployment_uuid: str, owner: str) -> None:
        self._store = store
        self._uuid = deployment_uuid
        self._owner = owner

    def name(self, key: str) -> str:
        """The name, and so the identity, of the thing with this key."""
        return f"rd-{self._uuid[:8]}-{key}"

    def alive(self, kind: str = "") -> list[Resource]:
        """What may still exist, in the order in which it was recorded."""
        return self._store.resources.list(
            self._uuid, owner=self._owner, kind=kind or None, alive=True
        )

    def create(
        self,
        kind: str,
        key: str,
        make: Make,
        delete: Delete,
        *,
        name: str = "",
        on: Server | None = None,
        inside: int | None = None,
        facts: Mapping[str, Any] | None = None,
        adopt: bool = False,
    ) -> Resource:
        """Return the live resource with this key, made now if it is not there yet.

        :param name: its name, where ``rd-<uuid>-<key>`` cannot be it (an interface name, say).
        :param on: the server that it is on; if we made that server, it ends with it.
        :param adopt: ``make`` can go on with a half-made one (a detached command, say). Otherwise
            what an earlier run left half-made is deleted first.
        """
        row = next((r for r in self.alive(kind) if r.key == key), None)
        if row and row.state is ResourceState.LIVE:
            return row
        if row and not (adopt and row.state is ResourceState.INTENDED):
            self.release(row, delete)
            row = None
        if row is None:
            row = self._store.resources.intend(
                self._uuid, self._owner, kind, key, name or self.name(key), host=on,
                inside_id=inside if inside is not None else (on.resource_id if on else None),
                facts=facts or {},
            )
        made = make(row)
        return self._store.resources.set_state(
            row.id, ResourceState.LIVE, {**row.facts, **(made or {})}
        )

    def claim(self, kind: str, keys: Sequence[str], name: str, at_most: int) -> bool:
        """Take a place for each key, all or none: ``at_most`` of a kind and name may be taken.

        That counts over all deployments of the database. A place is a resource that is there at
        once; its ``delete`` has nothing to do. False while not enough places are free.
        """
        return self._store.resources.claim(
            self._uuid, self._owner, kind, keys, name, at_most)

    def update(self, resource: Resource, facts: Mapping[str, Any]) -> Resource:
        """Add to what is known of a live resource."""
        return self._store.resources.set_state(
            resource.id, resource.state, {**resource.facts, **facts}
        )

    def forget(self, resource: Resource) -> None:
        """Take back what was recorded, as its maker is certain that it was never made."""
        self._store.resources.mark_gone(resource.id)

    def release(self, resource: Resource, delete: Delete) -> None:
        """Delete the thing and mark its row, and the rows of all that was inside it, gone."""
        self._store.resources.set_state(resource.id, ResourceState.RELEASING)
        delete(resource)
        self._store.resources.mark_gone(resource.id)


class ResourceOwner(ABC):
    """What engines and providers have in common: they make resources and can delete each."""

    #: JSON schema of this plugin's config block.
    CONFIG_SCHEMA: Mapping[str, Any] = {"type": "object"}

    deployment: Deployment

    @abstractmethod
    def delete(self, resource: Resource) -> None:
        """Remove one thing that this plugin made. Absent already is success.

        It may be half-made, or never made at all. A thing of its name that is not ours is a
        ResourceConflict. Returns only when it was seen gone.
        """

    def create(self, kind: str, key: str, make: Make, **options: Any) -> Resource:
        """A resource in the ledger of this plugin; see :meth:`Ledger.create`."""
        self.deployment.check_cancelled()
        return self.deployment.ledger.create(kind, key, make, self.delete, **options)

    def release_all(self) -> None:
        """Delete all that this plugin made here, the latest first, runs of one kind in parallel.

        What is inside another thing of ours is left to that thing's end. One failure does not
        keep the others; all failures are raised as one LeftOver at the end.
        """
        ledger = self.deployment.ledger
        rows = [r for r in reversed(ledger.alive()) if r.inside_id is None]
        failures: list[str] = []

        def release(row: Resource) -> None:
            try:
                with self.deployment.step(f"remove {row.kind.replace('_', ' ')} {row.name}"):
                    ledger.release(row, self.delete)
            except Cancelled:
                raise
            except Exception as error:
                # Whatever one removal meets must not keep the others from being removed.
                failures.append(f"{row.kind} {row.name}: {error or type(error).__name__}")

        for _, run in itertools.groupby(rows, key=lambda row: row.kind):
            self.deployment.each(release, list(run))
        if failures:
            raise LeftOver(
                f"{len(failures)} resource(s) could not be removed", "\n".join(failures),
                "mend what is named, then run 'rdeploy destroy' again",
            )


def undo_all(acts: Iterable[Callable[[], None]]) -> None:
    """Do each of these removals; a failure of one never keeps the next.

    Raises one LeftOver at the end that tells of all failures.
    """
    failures: list[LeftOver] = []
    for act in acts:
        try:
            act()
        except LeftOver as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise LeftOver(
            "not everything could be removed", "\n".join(str(e) for e in failures),
            failures[0].remedy,
        )
