"""What a clone is made of: its disks, its console's log, the domain itself. Rows first."""

from __future__ import annotations

import secrets
import uuid as uuids
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rally_deploy.errors import ResourceConflict
from rally_deploy.ledger import ResourceOwner
from rally_deploy.model import Resource, ResourceState, Server
from rally_deploy.serverprovider.virsh import clones, pools
from rally_deploy.serverprovider.virsh.domain_xml import Clone, NewDisk, definition
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.removal import CONSOLES, DOMAIN, VOLUME
from rally_deploy.serverprovider.virsh.seed import seed
from rally_deploy.serverprovider.virsh.template import Disk, Template


@dataclass(frozen=True)
class Consoles:
    """Where the console logs are. Without a ``mark`` there are none."""

    pool: str = ""
    mark: str = ""  # in the name of each
    folder: str = ""

    def log_of(self, name: str) -> str:
        return f"{self.folder}/{name}-{self.mark}.log" if self.mark else ""


@dataclass(frozen=True)
class Parts:
    """Makes the parts of one provider's clones; each is made once.

    :param owner: the provider, in whose ledger they are.
    :param host: the machine that they are on, if we reach it over SSH.
    :param public_key: tells the key that is handed over by cloud-init.
    """

    owner: ResourceOwner
    hypervisor: Hypervisor
    config: Mapping[str, Any]
    host: Server | None
    public_key: Callable[[], str]

    def rows(self, kind: str) -> dict[str, Resource]:
        """What may exist of this kind, by key."""
        return {row.key: row for row in self.owner.deployment.ledger.alive(kind)}

    def _name(self, key: str) -> str:
        return self.owner.deployment.ledger.name(key)

    def drop_broken(self, numbers: Iterable[int]) -> None:
        """Remove what an earlier run has left half-made; it is made anew, with new disks."""
        domains, volumes = self.rows(DOMAIN), self.rows(VOLUME)
        deployment = self.owner.deployment

        def drop(number: int) -> None:
            row = domains[str(number)]
            if row.state is ResourceState.LIVE and clones.domain_of(self.hypervisor, row):
                return
            own = [v for key, v in volumes.items() if key.startswith(f"{number}-")]
            for one in [row, *own]:
                deployment.ledger.release(one, self.owner.delete)

        deployment.each(drop, [n for n in numbers if str(n) in domains])

    def require_space(self, template: Template, numbers: Sequence[int]) -> None:
        """PoolFull unless there is room for the disks of these clones."""
        there, needed = self.rows(VOLUME), dict[str, int]()
        for disk in template.disks:
            missing = sum(f"{n}-{disk.target}" not in there for n in numbers)
            each = disk.allocation if self.config["clone"] == "copy" else pools.OVERLAY_BYTES
            needed[disk.pool] = needed.get(disk.pool, 0) + missing * each
        for pool, size in needed.items():
            pools.require_space(self.hypervisor, pool, size)

    # Disks

    def disks(self, template: Template, numbers: Sequence[int]) -> None:
        """The disks of these clones, with one for cloud-init where there is no other login."""
        each = self.owner.deployment.each
        each(partial(self._volume, template),
             [(number, disk) for number in numbers for disk in template.disks])
        login = self.config.get("template_key") or self.config.get("template_password")
        if not login and template.disks[0].files:
            each(partial(self._seed, template), numbers)

    def _volume(self, template: Template, wanted: tuple[int, Disk]) -> Resource:
        number, disk = wanted
        key = f"{number}-{disk.target}"

        def make(row: Resource) -> Mapping[str, Any]:
            what = (self.hypervisor, disk.pool, row.name, disk.path, disk.format, disk.capacity)
            if self.config["clone"] == "copy":
                return {"path": pools.make_copy(*what, disk.allocation)}
            return {"path": pools.make_overlay(*what)}

        # A volume has no metadata. Its name, which nobody else can have chosen, is our mark.
        name = self._name(f"{key}-{secrets.token_hex(4)}")
        return self.owner.create(VOLUME, key, make, name=name, on=self.host,
                                 facts={"pool": disk.pool})

    def _seed(self, template: Template, number: int) -> Resource:
        pool, mark = template.disks[0].pool, secrets.token_hex(4)
        name, user = self._name(str(number)), self.config["template_user"]

        def make(row: Resource) -> Mapping[str, Any]:
            content = seed(user, self.public_key(), f"{name}-{mark}", name)
            return {"path": pools.make_file(self.hypervisor, pool, row.name, content)}

        return self.owner.create(VOLUME, f"{number}-seed", make, name=f"{name}-seed-{mark}",
                                 on=self.host, facts={"pool": pool})

    # Consoles and domains

    def consoles(self, template: Template) -> Consoles:
        """Where the console logs go, which the domains' starts will make."""
        pool, mark = template.disks[0].pool, f"console-{secrets.token_hex(4)}"
        with self.hypervisor.doing(f"look at the pool {pool}"):
            shown = pools.info_of(pools.active_pool(self.hypervisor, pool))
        if shown.kind not in pools.OF_FILES:
            return Consoles()
        row = self.owner.create(
            CONSOLES, "consoles", lambda row: None, name=self._name(mark), on=self.host,
            facts={"pool": pool, "mark": mark, "folder": shown.path})
        return Consoles(row.facts["pool"], row.facts["mark"], row.facts["folder"])

    def domains(
        self, template: Template, consoles: Consoles, numbers: Sequence[int]
    ) -> list[Resource]:
        """The domains of these clones, running."""
        volumes, known = self.rows(VOLUME), frozenset(self.rows(DOMAIN))
        make = partial(self._domain, template, consoles, volumes, known)
        return self.owner.deployment.each(make, numbers)

    def _domain(
        self, template: Template, consoles: Consoles, volumes: Mapping[str, Resource],
        known: Collection[str], number: int,
    ) -> Resource:
        def make(row: Resource) -> None:
            clone = self._clone(template, row, volumes, consoles.log_of(row.name))
            try:
                domain = clones.define(
                    self.hypervisor, definition(template.xml, clone), row.name)
            except ResourceConflict:
                self.owner.deployment.ledger.forget(row)
                raise
            clones.start(self.hypervisor, domain, row.name)

        key = str(number)
        facts = {"uuid": str(uuids.uuid4()), "macs": [_mac() for _ in range(template.interfaces)]}
        row = self.owner.create(DOMAIN, key, make, on=self.host, facts=facts)
        if key in known:
            clones.start(self.hypervisor, clones.domain_of(self.hypervisor, row), row.name)
        return row

    def _clone(
        self, template: Template, row: Resource, volumes: Mapping[str, Resource], log: str
    ) -> Clone:
        config, deployment = self.config, self.owner.deployment

        def new(disk: Disk) -> NewDisk:
            path = volumes[f"{row.key}-{disk.target}"].facts["path"]
            if config["clone"] == "overlay":
                return NewDisk(path, "qcow2")
            return NewDisk(path, disk.format if disk.files else "raw", block=not disk.files)

        seeded = volumes.get(f"{row.key}-seed")
        return Clone(
            row.name, row.facts["uuid"], row.facts["macs"],
            {disk.target: new(disk) for disk in template.disks}, deployment.uuid,
            deployment.name, config.get("memory_mb"), config.get("vcpus"), config.get("network"),
            log, seeded.facts["path"] if seeded else "",
        )


def _mac() -> str:
    """A MAC of QEMU's own range."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
