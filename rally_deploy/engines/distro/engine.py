"""The runbook: from bare servers to a cloud that was seen to work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from rally_deploy.engines.base import DeployEngine
from rally_deploy.engines.distro import (
    bridges,
    content,
    glance,
    infra,
    keystone,
    neutron,
    nova,
    placement,
    preflight,
    removal,
    schema,
)
from rally_deploy.engines.distro.cloud import REGION, Cloud, Node
from rally_deploy.errors import CloudBroken, EachFailed, WaitTimeout
from rally_deploy.hosts import packages, systemd
from rally_deploy.hosts.files import put_all
from rally_deploy.hosts.guest_image import GuestFiles, build_guest, empty_disk
from rally_deploy.hosts.proof import prove
from rally_deploy.hosts.remote_cloud import RemoteCloud
from rally_deploy.hosts.virtualization import kvm_works
from rally_deploy.model import Resource, Server

#: What the store calls the generated passwords; DevStack's nodes may share some of them.
_SECRETS = {
    "admin": "admin_password", "service": "service_password", "database": "database_password",
    "rabbit": "rabbit_password", "metadata": "metadata_secret",
}

#: How long computes and agents may take until they report, once started.
UP_TIMEOUT_S = 240.0


@dataclass(frozen=True)
class Job:
    """A part of the work that others may go on beside."""

    name: str
    run: Callable[[], Any]


class DistroEngine(DeployEngine):
    """OpenStack from the distribution's own packages, all in one or controller and computes."""

    CONFIG_SCHEMA = schema.CONFIG_SCHEMA

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    def deploy(self) -> dict[str, Any]:
        step = self.deployment.step
        servers = self.create_servers()
        with step("look at the servers"):
            cloud = self._cloud(servers)
        with step("download packages"):
            self.deployment.each(self._record_packages, cloud.nodes)
            self.deployment.each(self._download, cloud.nodes)
        with step("install the control plane"):
            self.deployment.each(partial(self._install, cloud, "core"), cloud.nodes)
        with step("configure the control plane"):
            self._together(
                Job("agents and computes", partial(self._install_rest, cloud)),
                Job("control plane", partial(self._control_plane, cloud)),
            )
        with step("start agents and computes"):
            self.deployment.each(partial(self._start_node, cloud), cloud.nodes)
        remote = self._remote(cloud)
        with step("images and flavors; wait for computes and agents"):
            self._together(
                Job("images and flavors", partial(self._images, cloud, remote)),
                Job("computes and agents", partial(self._wait_up, cloud, remote)),
            )
        with step("networks"):
            # Not before: a port that is made while its agent is unknown is never bound.
            networks = self._networks(cloud, remote)
        with step("prove that the cloud works"):
            real = self._real(cloud)
            guest = content.proof_guest(networks, real) if cloud.has("nova") else None
            prove(self.deployment, remote, guest)
        return {"admin": self._login(cloud), "users": [], "services": cloud.catalog()}

    def delete(self, resource: Resource) -> None:
        assert resource.host is not None
        shell = self.deployment.ssh(resource.host)
        removal.remove(shell, self._jobs(), resource.facts)

    # What is to be made

    def _cloud(self, servers: list[Server]) -> Cloud:
        roles = self._roles(len(servers))
        ssh = self.deployment.ssh
        looks = [
            Job(server.label, partial(preflight.look_at, server, ssh(server), role))
            for server, role in zip(servers, roles, strict=True)
        ]
        nodes: list[Node] = self._together(*looks)
        preflight.require_own_names(nodes)
        return Cloud(
            tuple(nodes), frozenset(self.config["services"]), self._secret,
            self.config["virt_driver"], self.config["workers"],
        )

    def _roles(self, count: int) -> list[frozenset[str]]:
        wanted = self.config["roles"] or (
            ["all"] if count == 1 else ["controller"] + ["compute"] * (count - 1)
        )
        if len(wanted) != count:
            raise CloudBroken(
                f"'roles' names {len(wanted)} servers, the provider gave {count}",
                remedy="make 'roles' as long as there are servers, or leave it out",
            )
        return [
            frozenset({"controller", "compute"}) if role == "all" else frozenset({role})
            for role in wanted
        ]

    def _secret(self, name: str) -> str:
        given = self.config["passwords"].get(name)
        return given or self.deployment.secret(_SECRETS[name])

    def _login(self, cloud: Cloud) -> dict[str, str]:
        return {
            "auth_url": cloud.public_url("keystone"), "username": "admin",
            "password": self._secret("admin"), "project_name": "admin",
            "user_domain_name": "Default", "project_domain_name": "Default",
            "region_name": REGION,
        }

    def _remote(self, cloud: Cloud) -> RemoteCloud:
        return RemoteCloud(cloud.controller.shell, self._login(cloud))

    # Packages

    def _job(self, name: str) -> str:
        return self.deployment.ledger.name(name)

    def _jobs(self) -> list[str]:
        return [self._job(name) for name in ("download", "core", "rest", "guest")]

    def _core(self, cloud: Cloud, node: Node) -> list[str]:
        """What is installed first: on the controller, all that has tables to be made."""
        names = list(node.release.packages["base"])
        if node.has("controller"):
            names += node.release.packages["infra"]
            for service in schema.SERVICES:
                names += node.release.packages[service] if cloud.has(service) else ()
        return names

    def _rest(self, cloud: Cloud, node: Node) -> list[str]:
        names: list[str] = []
        if node.has("controller") and cloud.has("neutron"):
            names += node.release.packages["network"]
        if node.has("compute") and cloud.has("nova"):
            fake = cloud.virt_driver == "fake"
            driver = node.release.fake_driver if fake else node.release.libvirt_driver
            names += [*node.release.packages["compute"], driver]
        return names

    def _record_packages(self, node: Node) -> None:
        """On a server that is not ours, remember what was not there before."""
        if node.ours:
            return
        ledger = self.deployment.ledger
        if any(r.key == node.hostname for r in ledger.alive(removal.KIND)):
            return
        cloud = self._cloud_of_one(node)
        names = [*self._core(cloud, node), *self._rest(cloud, node)]
        self.create(
            removal.KIND, node.hostname, lambda _: None, on=node.server, adopt=True,
            facts=removal.facts_before(node.shell, names),
        )

    def _cloud_of_one(self, node: Node) -> Cloud:
        return Cloud((node,), frozenset(self.config["services"]), self._secret,
                     self.config["virt_driver"])

    def _download(self, node: Node) -> None:
        cloud = self._cloud_of_one(node)
        names = packages.missing(
            node.shell, [*self._core(cloud, node), *self._rest(cloud, node)])
        if names:
            with self.deployment.step("download packages", node.server):
                packages.download(node.shell, self._job("download"), names)

    def _install(self, cloud: Cloud, part: str, node: Node) -> None:
        """One of the two parts; computes take both at once, they have no tables to wait for."""
        wanted = self._core(cloud, node) if part == "core" else []
        if part == "rest" or not node.has("controller"):
            wanted += self._rest(cloud, node)
        names = packages.missing(node.shell, wanted)
        if names:
            with self.deployment.step(f"install packages ({part})", node.server):
                packages.install(node.shell, self._job(part), names, fast=node.ours)

    def _install_rest(self, cloud: Cloud) -> None:
        self._install(cloud, "rest", cloud.controller)
        if cloud.has("glance"):
            node = cloud.controller
            with self.deployment.step("build the guest image", node.server):
                if cloud.has("nova") and cloud.virt_driver != "fake":
                    build_guest(node.shell, self._job("guest"), node.release.guest_kernel)
                else:
                    empty_disk(node.shell)

    # The control plane

    def _control_plane(self, cloud: Cloud) -> None:
        node, step = cloud.controller, self.deployment.step
        with step("write the configuration", node.server):
            put_all(node.shell, [
                *infra.files(cloud), *keystone.files(cloud),
                *(f for s, m in self._modules(cloud) for f in m.files(cloud)),
            ])
        with step("start database and broker", node.server):
            infra.start_all(cloud)
            infra.make_databases(cloud)
        self._together(
            Job("keystone", partial(self._keystone, cloud)),
            Job("broker", partial(infra.make_broker_user, cloud)),
            *(Job(s, partial(self._tables, cloud, s, m)) for s, m in self._modules(cloud)),
        )
        with step("start the APIs", node.server):
            units = self._api_units(cloud)
            systemd.start(node.shell, units, 300)
            for unit in units:
                if unit.port:
                    systemd.wait_up(node.shell, unit, 180)

    def _modules(self, cloud: Cloud) -> list[tuple[str, Any]]:
        all_modules = {"glance": glance, "placement": placement, "nova": nova, "neutron": neutron}
        return [(name, module) for name, module in all_modules.items() if cloud.has(name)]

    def _keystone(self, cloud: Cloud) -> None:
        node = cloud.controller
        with self.deployment.step("tables of keystone", node.server):
            keystone.set_up(cloud)
        with self.deployment.step("start keystone", node.server):
            systemd.start(node.shell, [keystone.unit(cloud)])
            systemd.wait_up(node.shell, keystone.unit(cloud))
        with self.deployment.step("users, services and endpoints", node.server):
            login = {**self._login(cloud), "auth_url": cloud.inner_url("keystone", node)}
            RemoteCloud(node.shell, login).calls(keystone.catalog_calls(cloud))

    def _tables(self, cloud: Cloud, name: str, module: Any) -> None:
        with self.deployment.step(f"tables of {name}", cloud.controller.server):
            module.set_up(cloud)

    def _api_units(self, cloud: Cloud) -> list[systemd.Unit]:
        units: list[systemd.Unit] = []
        for _, module in self._modules(cloud):
            units += module.api_units(cloud)
        return units

    # Nodes

    def _virt_driver(self, cloud: Cloud, node: Node) -> str:
        if cloud.virt_driver:
            return cloud.virt_driver
        return "kvm" if kvm_works(node.shell) else "qemu"

    def _real(self, cloud: Cloud) -> bool:
        return cloud.virt_driver != "fake"

    def _start_node(self, cloud: Cloud, node: Node) -> None:
        if not cloud.has("neutron"):
            return
        with self.deployment.step("start agents and compute", node.server):
            files = neutron.agent_files(cloud, node)
            units = neutron.agent_units(cloud, node)
            bridges.make_bridges(cloud, node)
            if node.has("compute") and cloud.has("nova"):
                virt_driver = self._virt_driver(cloud, node)
                files += nova.compute_files(cloud, node, virt_driver)
                units += nova.compute_units(virt_driver)
            put_all(node.shell, files)
            systemd.start(node.shell, units, 300)

    # What is in it

    def _images(self, cloud: Cloud, remote: RemoteCloud) -> None:
        if not cloud.has("glance"):
            return
        real = self._real(cloud) and cloud.has("nova")
        content.make_guest(remote, GuestFiles(), real, cloud.has("nova"))
        for image in self.config["images"]:
            with self.deployment.step(f"image {image['name']}", cloud.controller.server):
                content.make_image(remote, cloud.controller.shell, image)

    def _networks(self, cloud: Cloud, remote: RemoteCloud) -> content.Networks:
        if not cloud.has("neutron"):
            return content.Networks()
        wanted = self.config["networks"] or content.default_networks(
            bridges.external_of(cloud.controller))
        return content.make_networks(remote, wanted)

    def _wait_up(self, cloud: Cloud, remote: RemoteCloud) -> None:
        """Wait until each compute and agent reports, and Nova can place servers on each host."""
        if not cloud.has("nova"):
            return
        wanted = self._expected(cloud)
        hosts = {node.hostname.split(".")[0] for node in cloud.computes}
        late: set[str] = set()

        def all_up() -> bool:
            up = {(s["name"], s["host"]) for s in remote.call("services_up") if s["up"]}
            late.clear()
            late.update(f"{name} on {host}" for name, host in wanted - up)
            if late:
                return False
            known = {h["host"].split(".")[0] for h in remote.call("hypervisors") if h["up"]}
            if hosts - known:
                nova.discover_hosts(cloud)
            late.update(f"the hypervisor of {host}" for host in hosts - known)
            return not late

        try:
            self.deployment.wait(all_up, UP_TIMEOUT_S, "computes and agents", interval_s=1)
        except WaitTimeout as error:
            raise CloudBroken(
                "not all computes and agents have come up",
                "\n".join(f"{name} does not report" for name in sorted(late)),
                "their logs are below /var/log/nova and /var/log/neutron on that host; "
                "then 'rdeploy resume'",
            ) from error

    def _expected(self, cloud: Cloud) -> set[tuple[str, str]]:
        expected = {
            (name, cloud.controller.hostname) for name in ("nova-conductor", "nova-scheduler")
        }
        for node in cloud.nodes:
            if node.has("compute"):
                expected.add(("nova-compute", node.hostname))
            expected |= {(u.name, node.hostname) for u in neutron.agent_units(cloud, node)}
        return expected

    def _together(self, *jobs: Job) -> list[Any]:
        """Run the jobs at the same time; if one of them fails, its own error tells it best."""
        try:
            return self.deployment.each(lambda job: job.run(), jobs)
        except EachFailed as error:
            if len(error.failures) == 1:
                raise next(iter(error.failures.values()))[1] from error
            raise
