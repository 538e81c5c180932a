"""The runbook: from a template to clones that let us in, and back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import Cancelled, LeftOver, RallyDeployError
from rally_deploy.model import Resource, Server
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.serverprovider.virsh import schema
from rally_deploy.serverprovider.virsh.way import parse
from rally_deploy.ssh import keys

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment
    from rally_deploy.hosts.tagged import Tagged
    from rally_deploy.serverprovider.virsh.addresses import Surroundings
    from rally_deploy.serverprovider.virsh.link import Hypervisor

#: How long a removal may take: what it meets half-made is waited for.
_REMOVAL_S = 600.0


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
        try:
            clones, around = self.make_clones(amount or self.config["amount"])
            return self._let_in(clones, around, time.monotonic() + self.config["timeout_s"])
        finally:
            self.close()

    def make_clones(self, amount: int) -> tuple[list[Resource], Surroundings]:
        """Clones that run, and where their addresses come from."""
        from rally_deploy.serverprovider.virsh.addresses import surroundings
        from rally_deploy.serverprovider.virsh.domain_xml import has_agent
        from rally_deploy.serverprovider.virsh.parts import Parts
        from rally_deploy.serverprovider.virsh.removal import DOMAIN
        from rally_deploy.serverprovider.virsh.template import look

        step, numbers = self.deployment.step, range(amount)
        with step(f"connect to {parse(self.config['connection']).label}"):
            hypervisor = self._hypervisor
        parts = Parts(self, hypervisor, self.config, self._host,
                      lambda: keys.public_key(self._own_key()))
        with step(f"look at the template {self.config['template_name']}"):
            parts.drop_broken(numbers)
            there = parts.rows(DOMAIN)
            new = [number for number in numbers if str(number) not in there]
            template = look(hypervisor, self.config, bool(new))
            parts.require_space(template, new)
        with step(f"make the disks of {amount} clones"):
            parts.disks(template, numbers)
            consoles = parts.consoles(template)
        with step(f"define and start {amount} clones"):
            rows = parts.domains(template, consoles, numbers)
        return rows, surroundings(hypervisor, template.networks[0], has_agent(template.xml),
                                  consoles.pool, consoles.mark)

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
        return host_of(way, self.config) if way.by_ssh else None

    def _own_key(self) -> str:
        return self.deployment.secret("ssh_private_key", keys.make_private_key)

    # Clones that run

    def _let_in(
        self, rows: Sequence[Resource], around: Surroundings, end: float
    ) -> list[Server]:
        from rally_deploy.serverprovider.virsh.addresses import Running, await_addresses
        from rally_deploy.serverprovider.virsh.clones import domain_of

        def left_s() -> float:
            return max(round(end - time.monotonic()), 1)

        running = [
            Running(row.name, domain_of(self._hypervisor, row), row.facts["macs"])
            for row in rows
        ]
        with self.deployment.step("wait for their addresses"):
            addresses = await_addresses(
                self.deployment, self._hypervisor, running, around, left_s())
        servers = [self._server(row, addresses[row.name], around) for row in rows]
        host = servers[0].jump
        if host and not self._hypervisor.way.wrapped:
            # libvirt has logged in there by itself; whether we can is not known yet.
            with self.deployment.step(f"log in to {host.host}, which the clones are behind"):
                self.deployment.ssh(host).run(["true"], quiet=True)
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
        from rally_deploy.serverprovider.virsh.logins import place_key, wait_for_login

        ways = [server]
        if not server.key and not server.password:
            # By cloud-init if the template has it, else as the user of this machine logs in.
            ways = [replace(server, private_key=self._own_key()), server]
        server = wait_for_login(self.deployment, self._hypervisor, ways, around, timeout_s)
        if server.password and not server.key:
            own = self._own_key()
            if place_key(self.deployment, server, keys.public_key(own)):
                server = replace(server, private_key=own)
        return replace(server, become=server.user != "root")

    # The end

    def destroy_servers(self) -> None:
        try:
            super().destroy_servers()
        finally:
            self.close()

    def release_all(self) -> None:
        """Remove what is recorded here; a hypervisor that is away is told once, not for each."""
        left = self.deployment.ledger.alive()
        if left:
            try:
                self._hypervisor.alive()
            except Cancelled:
                raise
            except RallyDeployError as error:
                where = parse(self.config["connection"]).label
                raise LeftOver(
                    f"{len(left)} resource(s) on {where} could not be removed", str(error),
                    "once libvirt answers there, run 'rdeploy destroy' again",
                ) from error
        super().release_all()

    def delete(self, resource: Resource) -> None:
        from rally_deploy.serverprovider.virsh.removal import remove

        def wait(probe: Any, what: str) -> None:
            self.deployment.wait(probe, _REMOVAL_S, what)

        remove(self._hypervisor, resource, self.deployment.uuid, wait)

    # What is left, of whichever deployment

    def place(self) -> str:
        connection = self.config["connection"]
        try:
            return f"libvirt {parse(connection).uri}"
        except ValueError:
            return f"libvirt {connection}"  # with a variable that is not set, say

    def tagged(self) -> list[Tagged]:
        from rally_deploy.serverprovider.virsh.tagged import list_tagged

        try:
            return list_tagged(self._hypervisor)
        finally:
            self.close()
