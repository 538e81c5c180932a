"""The runbook: from a template to clones that let us in, and back."""

from __future__ import annotations

import secrets
import threading
import time
import uuid as uuids
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import ResourceConflict
from rally_deploy.model import Resource, ResourceState, Server
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.serverprovider.virsh import schema
from rally_deploy.serverprovider.virsh.way import parse
from rally_deploy.ssh import keys

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment
    from rally_deploy.serverprovider.virsh.domain_xml import Clone
    from rally_deploy.serverprovider.virsh.link import Hypervisor
    from rally_deploy.serverprovider.virsh.reaching import Surroundings
    from rally_deploy.serverprovider.virsh.template import Disk, Template

#: How long a removal may take: what it meets half-made is waited for.
_REMOVAL_S = 600.0

VOLUME, CONSOLES, DOMAIN = "virsh_volume", "virsh_console_logs", "virsh_domain"


class VirshProvider(ServerProvider):
    """Virtual machines: clones of a libvirt domain that is kept as a template."""

    CONFIG_SCHEMA = schema.SCHEMA

    def __init__(self, deployment: Deployment, config: Mapping[str, Any]) -> None:
        super().__init__(deployment, config)
        self._opening = threading.Lock()
        self._opened: Hypervisor | None = None

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    @classmethod
    def plan(cls, config: Mapping[str, Any]) -> Iterable[str]:
        """What would be made where."""
        how = "with disks of their own" if config["clone"] == "copy" else "as overlays"
        yield f"{config['amount']} clones of {config['template_name']} on " \
              f"{config['connection']}, {how}"

    # Create

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        """Clones that let us in; those that are there already and work are kept."""
        end = time.monotonic() + self.config["timeout_s"]
        try:
            clones, around = self.make_clones(amount or self.config["amount"])
            return self._let_in(clones, around, end)
        finally:
            self.close()

    def make_clones(self, amount: int) -> tuple[list[Resource], Surroundings]:
        """Clones that run, and where their addresses come from."""
        from rally_deploy.serverprovider.virsh.domain_xml import has_agent
        from rally_deploy.serverprovider.virsh.reaching import surroundings
        from rally_deploy.serverprovider.virsh.template import look

        step, numbers = self.deployment.step, range(amount)
        with step(f"connect to {parse(self.config['connection']).label}"):
            hypervisor = self._hypervisor
        with step(f"look at the template {self.config['template_name']}"):
            self._drop_broken(numbers)
            new = [n for n in numbers if str(n) not in self._rows(DOMAIN)]
            template = look(hypervisor, self.config, bool(new))
            self._require_space(template, new)
        with step(f"make the disks of {amount} clones"):
            wanted = [(n, disk) for n in numbers for disk in template.disks]
            self.deployment.each(partial(self._volume, template), wanted)
            pool, mark, folder = self._consoles(template)
        with step(f"define and start {amount} clones"):
            make = partial(self._domain, template, folder, mark, self._rows(VOLUME),
                           frozenset(self._rows(DOMAIN)))
            rows = self.deployment.each(make, numbers)
        return rows, surroundings(
            hypervisor, template.networks[0], has_agent(template.xml), pool, mark)

    @property
    def _hypervisor(self) -> Hypervisor:
        """The one connection, opened for the first who needs it."""
        from rally_deploy.serverprovider.virsh.link import open_hypervisor

        with self._opening:
            if self._opened is None:
                self._opened = open_hypervisor(self.deployment, self.config)
            return self._opened

    def close(self) -> None:
        """Give up the connection; who needs it later opens it again."""
        with self._opening:
            opened, self._opened = self._opened, None
        if opened:
            opened.close()

    @property
    def _host(self) -> Server | None:
        """The machine that the clones are on, if we reach it over SSH."""
        from rally_deploy.serverprovider.virsh.link import host_of

        way = parse(self.config["connection"])
        return host_of(way, self.config) if way.host else None

    def _rows(self, kind: str) -> dict[str, Resource]:
        return {row.key: row for row in self.deployment.ledger.alive(kind)}

    def _drop_broken(self, numbers: Iterable[int]) -> None:
        """Remove what an earlier run has left half-made; it is made anew, with new disks."""
        from rally_deploy.serverprovider.virsh.clones import running_domain

        domains, volumes = self._rows(DOMAIN), self._rows(VOLUME)

        def drop(number: int) -> None:
            row = domains.get(str(number))
            if row is None or (row.state is ResourceState.LIVE
                               and running_domain(self._hypervisor, row.facts["uuid"])):
                return
            own = [v for key, v in volumes.items() if key.startswith(f"{number}-")]
            for one in [row, *own]:
                self.deployment.ledger.release(one, self.delete)

        self.deployment.each(drop, [n for n in numbers if str(n) in domains])

    def _require_space(self, template: Template, numbers: Sequence[int]) -> None:
        from rally_deploy.serverprovider.virsh import pools

        there, needed = self._rows(VOLUME), dict[str, int]()
        for disk in template.disks:
            missing = sum(f"{n}-{disk.target}" not in there for n in numbers)
            each = disk.allocation if self.config["clone"] == "copy" else pools.OVERLAY_BYTES
            needed[disk.pool] = needed.get(disk.pool, 0) + missing * each
        for pool, size in needed.items():
            pools.require_space(self._hypervisor, pool, size)

    # The parts

    def _volume(self, template: Template, wanted: tuple[int, Disk]) -> Resource:
        from rally_deploy.serverprovider.virsh import pools

        number, disk = wanted
        key = f"{number}-{disk.target}"

        def make(row: Resource) -> Mapping[str, Any]:
            what = (self._hypervisor, disk.pool, row.name, disk.path, disk.format, disk.capacity)
            if self.config["clone"] == "copy":
                return {"path": pools.make_copy(*what, disk.allocation)}
            return {"path": pools.make_overlay(*what)}

        # A volume has no metadata. Its name, which nobody else can have chosen, is our mark.
        name = self.deployment.ledger.name(f"{key}-{secrets.token_hex(4)}")
        return self.create(VOLUME, key, make, name=name, on=self._host,
                           facts={"pool": disk.pool})

    def _consoles(self, template: Template) -> tuple[str, str, str]:
        """(pool, mark, folder) of the console logs, which the domains' starts will make."""
        from rally_deploy.serverprovider.virsh import pools

        pool, mark = template.disks[0].pool, f"console-{secrets.token_hex(4)}"
        with self._hypervisor.doing(f"look at the pool {pool}"):
            shown = pools.info_of(pools.active_pool(self._hypervisor, pool))
        if shown.kind not in pools.OF_FILES:
            return "", "", ""
        row = self.create(
            CONSOLES, "consoles", lambda row: None, name=self.deployment.ledger.name(mark),
            on=self._host, facts={"pool": pool, "mark": mark, "folder": shown.path})
        return row.facts["pool"], row.facts["mark"], row.facts["folder"]

    def _domain(
        self, template: Template, folder: str, mark: str, volumes: Mapping[str, Resource],
        known: Collection[str], number: int,
    ) -> Resource:
        from rally_deploy.serverprovider.virsh import clones
        from rally_deploy.serverprovider.virsh.domain_xml import definition

        key = str(number)

        def make(row: Resource) -> None:
            clone = self._clone(template, row, volumes)
            if folder:
                clone = replace(clone, console_log=f"{folder}/{row.name}-{mark}.log")
            try:
                domain = clones.define(
                    self._hypervisor, definition(template.xml, clone), row.name)
            except ResourceConflict:
                self.deployment.ledger.forget(row)
                raise
            clones.start(self._hypervisor, domain, row.name)

        facts = {"uuid": str(uuids.uuid4()), "macs": [_mac() for _ in range(template.interfaces)]}
        row = self.create(DOMAIN, key, make, on=self._host, facts=facts)
        if key in known:
            domain = clones.running_domain(self._hypervisor, row.facts["uuid"])
            clones.start(self._hypervisor, domain, row.name)
        return row

    def _clone(
        self, template: Template, row: Resource, volumes: Mapping[str, Resource]
    ) -> Clone:
        from rally_deploy.serverprovider.virsh.domain_xml import Clone, NewDisk

        config = self.config

        def new(disk: Disk) -> NewDisk:
            path = volumes[f"{row.key}-{disk.target}"].facts["path"]
            if config["clone"] == "overlay":
                return NewDisk(path, "qcow2")
            return NewDisk(path, disk.format if disk.files else "raw", block=not disk.files)

        return Clone(
            row.name, row.facts["uuid"], row.facts["macs"],
            {disk.target: new(disk) for disk in template.disks}, self.deployment.uuid,
            self.deployment.name, config.get("memory_mb"), config.get("vcpus"),
            config.get("network"),
        )

    # Clones that run

    def _let_in(
        self, rows: Sequence[Resource], around: Surroundings, end: float
    ) -> list[Server]:
        from rally_deploy.serverprovider.virsh.clones import running_domain
        from rally_deploy.serverprovider.virsh.reaching import Running, await_addresses

        def left_s() -> float:
            return max(end - time.monotonic(), 1.0)

        running = [
            Running(row.name, running_domain(self._hypervisor, row.facts["uuid"]),
                    row.facts["macs"])
            for row in rows
        ]
        with self.deployment.step("wait for their addresses"):
            addresses = await_addresses(
                self.deployment, self._hypervisor, running, around, left_s())
        servers = [self._server(row, addresses[row.name], around) for row in rows]
        with self.deployment.step("wait until they let us in"):
            return self.deployment.each(lambda one: self._ready(one, around, left_s()), servers)

    def _server(self, row: Resource, address: str, around: Surroundings) -> Server:
        config = self.config
        return Server(
            host=address, user=config["template_user"], name=row.name,
            key=schema.file_of(config, "template_key"), password=config.get("template_password"),
            jump=self._host if around.behind else None, resource_id=row.id,
            facts={"uuid": row.facts["uuid"], "macs": row.facts["macs"]},
        )

    def _ready(self, server: Server, around: Surroundings, timeout_s: float) -> Server:
        """The server as it is to be used from now on: by key where it takes one of ours."""
        from rally_deploy.serverprovider.virsh.reaching import place_key, wait_for_login

        wait_for_login(self.deployment, self._hypervisor, server, around, timeout_s)
        private = None
        if server.password and not server.key:
            own = self.deployment.secret("ssh_private_key", keys.make_private_key)
            if place_key(self.deployment, server, keys.public_key(own)):
                private = own
        return replace(server, private_key=private, become=server.user != "root")

    # The end

    def destroy_servers(self) -> None:
        try:
            super().destroy_servers()
        finally:
            self.close()

    def delete(self, resource: Resource) -> None:
        from rally_deploy.serverprovider.virsh.removal import remove

        def wait(probe: Any, what: str) -> None:
            self.deployment.wait(probe, _REMOVAL_S, what)

        remove(self._hypervisor, resource, self.deployment.uuid, wait)


def _mac() -> str:
    """A MAC of QEMU's own range."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))
