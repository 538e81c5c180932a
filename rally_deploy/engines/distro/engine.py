"""The runbook: from bare servers to a cloud that was seen to work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rally_deploy.deployment import Deployment
from rally_deploy.engines.base import DeployEngine
from rally_deploy.engines.distro import (
    bridges,
    clones,
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
    software,
)
from rally_deploy.engines.distro.cloud import REGION, Cloud, Node
from rally_deploy.engines.distro.readiness import clock, wait_for_hosts, wait_until_ready
from rally_deploy.errors import CloudBroken, EachFailed
from rally_deploy.hosts import systemd
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

#: The services whose tables are made beside each other, once Keystone is there.
_MODULES = {"glance": glance, "placement": placement, "nova": nova, "neutron": neutron}


@dataclass(frozen=True)
class Job:
    """A part of the work that others may go on beside."""

    name: str
    run: Callable[[], Any]


class DistroEngine(DeployEngine):
    """OpenStack from the distribution's own packages, all in one or controller and computes."""

    CONFIG_SCHEMA = schema.CONFIG_SCHEMA

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment)
        #: (service, host) -> when this run started it, by the controller's clock.
        self._started: dict[tuple[str, str], float] = {}

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    @classmethod
    def check_as_controller(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.controller_mistakes(config)

    def deploy(self) -> dict[str, Any]:
        step, each = self.deployment.step, self.deployment.each
        servers = self.create_servers()
        with step("look at the servers"):
            cloud = self._cloud(servers)
        if cloud.at:
            return self._computes_only(cloud)
        controller, computes = cloud.controller, cloud.nodes[1:]
        with step("download packages"):
            each(partial(software.record, self, cloud), cloud.nodes)
            each(partial(software.download, self, cloud), cloud.nodes)
        with step("install database, broker and keystone"):
            software.install(self, controller, "core", software.core(cloud))
        # From here on two lanes: one group of packages is set up while the next is installed.
        with step("install the other services, set up keystone"):
            self._together(
                Job("packages", partial(
                    software.install, self, controller, "apis", software.apis(cloud))),
                Job("keystone", partial(self._keystone, cloud)),
                *(Job(n.label, partial(self._agents_software, cloud, n)) for n in computes),
            )
        with step("install agents and compute, set up the other services"):
            self._together(
                Job("packages", partial(self._agents_software, cloud, controller)),
                Job("guest image", partial(self._guest, cloud)),
                Job("services", partial(self._services, cloud)),
            )
        with step("start agents and computes"):
            each(partial(self._start_node, cloud), cloud.nodes)
        remote = self._remote(cloud)
        with step("upload images; wait for computes and agents"):
            self._together(
                Job("images", partial(self._images, cloud, remote)),
                Job("computes and agents", partial(self._ready, cloud, remote)),
            )
        with step("make networks"):
            # Not before: a port that is made while its agent is unknown is never bound.
            networks = self._networks(cloud, remote)
        with step("prove that the cloud works"):
            guest = content.proof_guest(networks, cloud.real) if cloud.computes else None
            prove(self.deployment, remote, guest if cloud.has("nova") else None)
        return {"admin": self._login(cloud), "users": [], "services": cloud.catalog()}

    def _computes_only(self, cloud: Cloud) -> dict[str, Any]:
        """Nodes of a controller elsewhere; that one is told of them by :meth:`admit`."""
        step, each = self.deployment.step, self.deployment.each
        with step("look for the controller"):
            each(lambda node: preflight.require_controller(node, cloud.at), cloud.nodes)
        with step("install computes"):
            each(partial(software.record, self, cloud), cloud.nodes)
            each(partial(software.download, self, cloud), cloud.nodes)
            each(partial(self._agents_software, cloud), cloud.nodes)
        with step("start computes"):
            each(partial(self._start_node, cloud), cloud.nodes)
        return {"admin": None, "users": [], "services": {}}

    # What outer engines ask

    def hand_on(self) -> dict[str, str]:
        cloud = self._cloud(self.deployment.servers())
        return {
            "controller_ip": cloud.controller_address,
            "controller_host": cloud.controller.hostname,
            "controller_auth_url": cloud.public_url("keystone"),
            "controller_transport_url": cloud.broker_url(cloud.controller_address),
            **{f"controller_{name}_password": self._secret(name)
               for name in ("admin", "service", "database", "rabbit")},
        }

    def compute_hosts(self) -> list[str]:
        servers = self.deployment.servers()
        roles = self._roles(len(servers))
        computes = [s for s, role in zip(servers, roles, strict=True) if "compute" in role]
        return self.deployment.each(
            lambda server: self.deployment.ssh(server).run(["uname", "-n"]).stdout.strip(),
            computes,
        )

    def admit(self, hosts: Sequence[str]) -> None:
        cloud = self._cloud(self.deployment.servers())
        remote = self._remote(cloud)
        wait_for_hosts(self.deployment, cloud, remote, hosts)
        with self.deployment.step("prove that the cloud works"):
            networks = self._networks(cloud, remote)
            prove(self.deployment, remote, content.proof_guest(networks, cloud.real))

    def clone_script(self) -> str:
        return clones.SCRIPT

    def delete(self, resource: Resource) -> None:
        assert resource.host is not None
        jobs = [software.job(self, name) for name in software.JOBS]
        removal.remove(self.deployment.ssh(resource.host), jobs, resource.facts)

    # What is to be made

    def _cloud(self, servers: list[Server]) -> Cloud:
        ssh = self.deployment.ssh
        nodes: list[Node] = self._together(*(
            Job(server.label, partial(preflight.look_at, server, ssh(server), roles))
            for server, roles in zip(servers, self._roles(len(servers)), strict=True)
        ))
        preflight.require_own_names(nodes)
        return Cloud(
            tuple(nodes), frozenset(self.config["services"]), self._secret,
            self.config["virt_driver"], self.config["workers"], self._elsewhere,
            self.deployment.handed.get("controller_transport_url", "") if self._elsewhere else "",
        )

    @property
    def _elsewhere(self) -> str:
        """The address of the controller, if that is no server of ours."""
        given: str = self.config.get("controller", "")
        return given or self.deployment.handed.get("controller_ip", "")

    def _roles(self, count: int) -> list[frozenset[str]]:
        first = "compute" if self._elsewhere else "all" if count == 1 else "controller"
        wanted = self.config["roles"] or [first, *["compute"] * (count - 1)]
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
        given = self.config["passwords"].get(name) or self.deployment.handed.get(
            f"controller_{name}_password")
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

    # The control plane

    def _keystone(self, cloud: Cloud) -> None:
        node, step = cloud.controller, self.deployment.step
        with step("start database and broker", node.server):
            put_all(node.shell, [*infra.files(cloud), *keystone.files(cloud)])
            infra.start_all(cloud)
            infra.make_databases(cloud)
        with step("tables of keystone", node.server):
            self._together(
                Job("broker", partial(infra.make_broker_user, cloud)),
                Job("keystone", partial(keystone.set_up, cloud)),
            )
        with step("start keystone", node.server):
            systemd.start(node.shell, [keystone.unit(cloud)])
            systemd.wait_up(node.shell, keystone.unit(cloud))
        with step("users, services and endpoints", node.server):
            login = {**self._login(cloud), "auth_url": cloud.inner_url("keystone", node)}
            RemoteCloud(node.shell, login).calls(keystone.catalog_calls(cloud))

    def _services(self, cloud: Cloud) -> None:
        node, step = cloud.controller, self.deployment.step
        modules = [(name, module) for name, module in _MODULES.items() if cloud.has(name)]
        with step("write the configuration", node.server):
            put_all(node.shell, [file for _, m in modules for file in m.files(cloud)])
        self._together(*(Job(s, partial(self._service, cloud, s, m)) for s, m in modules))

    def _service(self, cloud: Cloud, name: str, module: Any) -> None:
        """One service, from its tables to its answers."""
        node, step = cloud.controller, self.deployment.step
        with step(f"tables of {name}", node.server):
            module.set_up(cloud)
        with step(f"start {name}", node.server):
            units = module.api_units(cloud)
            self._start(cloud, node, units)
            for unit in units:
                if unit.port:
                    systemd.wait_up(node.shell, unit)

    # Nodes

    def _agents_software(self, cloud: Cloud, node: Node) -> None:
        software.install(self, node, "node", software.agents(cloud, node))

    def _start_node(self, cloud: Cloud, node: Node) -> None:
        if not cloud.has("neutron"):
            return
        with self.deployment.step("start agents and compute", node.server):
            files = neutron.agent_files(cloud, node)
            units = neutron.agent_units(cloud, node)
            bridges.make_bridges(cloud, node)
            if node.has("compute") and cloud.has("nova"):
                driver = cloud.virt_driver or ("kvm" if kvm_works(node.shell) else "qemu")
                files += nova.compute_files(cloud, node, driver)
                units += nova.compute_units(driver)
            put_all(node.shell, files)
            self._start(cloud, node, units)

    def _start(self, cloud: Cloud, node: Node, units: list[systemd.Unit]) -> None:
        now = 0.0 if cloud.at else clock(cloud)
        for name in systemd.start(node.shell, units):
            self._started[name, node.hostname] = now

    def _ready(self, cloud: Cloud, remote: RemoteCloud) -> None:
        if cloud.has("nova"):
            wait_until_ready(self.deployment, cloud, remote, self._started)

    # What is in it

    def _guest(self, cloud: Cloud) -> None:
        if not cloud.has("glance"):
            return
        node = cloud.controller
        with self.deployment.step("build the guest image", node.server):
            if cloud.real:
                build_guest(node.shell, software.job(self, "guest"), node.release.guest_kernel)
            else:
                empty_disk(node.shell)

    def _images(self, cloud: Cloud, remote: RemoteCloud) -> None:
        if not cloud.has("glance"):
            return
        content.make_guest(remote, GuestFiles(), cloud.real, cloud.has("nova"))
        for image in self.config["images"]:
            with self.deployment.step(f"image {image['name']}", cloud.controller.server):
                content.make_image(remote, cloud.controller.shell, image)

    def _networks(self, cloud: Cloud, remote: RemoteCloud) -> content.Networks:
        if not cloud.has("neutron"):
            return content.Networks()
        wanted = self.config["networks"] or content.default_networks(
            bridges.external_of(cloud.controller))
        return content.make_networks(remote, wanted)

    def _together(self, *jobs: Job) -> list[Any]:
        """Run the jobs at the same time; if one of them fails, its own error tells it best."""
        try:
            return self.deployment.each(lambda job: job.run(), jobs)
        except EachFailed as error:
            if len(error.failures) == 1:
                raise next(iter(error.failures.values()))[1] from error
            raise
