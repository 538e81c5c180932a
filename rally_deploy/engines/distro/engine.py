"""The runbook: from bare servers to a cloud that was seen to work."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from rally_deploy.deployment import Deployment
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
    software,
)
from rally_deploy.engines.distro.cloud import Cloud, Node
from rally_deploy.engines.distro.readiness import clock, wait_for_hosts, wait_until_ready
from rally_deploy.engines.distro.wanted import DistroCloud, Job
from rally_deploy.hosts import systemd
from rally_deploy.hosts.files import put_all
from rally_deploy.hosts.guest_image import GuestFiles, build_guest, empty_disk
from rally_deploy.hosts.proof import prove
from rally_deploy.hosts.remote_cloud import RemoteCloud
from rally_deploy.hosts.virtualization import kvm_works
from rally_deploy.model import Resource

#: The services whose tables are made beside each other, once Keystone is there.
_MODULES = {"glance": glance, "placement": placement, "nova": nova, "neutron": neutron}


class DistroEngine(DistroCloud):
    """OpenStack from the distribution's own packages, all in one or controller and computes."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(deployment)
        #: (service, host) -> when this run started it, by the controller's clock.
        self._started: dict[tuple[str, str], float] = {}

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

    def admit(self, hosts: Sequence[str]) -> None:
        cloud = self._cloud(self.deployment.servers())
        remote = self._remote(cloud)
        wait_for_hosts(self.deployment, cloud, remote, hosts)
        with self.deployment.step("prove that the cloud works"):
            networks = self._networks(cloud, remote)
            prove(self.deployment, remote, content.proof_guest(networks, cloud.real))

    def delete(self, resource: Resource) -> None:
        assert resource.host is not None
        jobs = [software.job(self, name) for name in software.JOBS]
        removal.remove(self.deployment.ssh(resource.host), jobs, resource.facts)

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
                Job("keystone", partial(keystone.set_up, cloud, self._tables("keystone"))),
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
            module.set_up(cloud, self._tables(name))
        with step(f"start {name}", node.server):
            units = module.api_units(cloud)
            self._start(cloud, node, units)
            for unit in units:
                if unit.port:
                    systemd.wait_up(node.shell, unit)

    def _tables(self, name: str) -> str:
        """The job that makes a service's tables.

        MySQL takes no half-made revision back, and the next run stumbles over it: so nothing of
        ours ends it but a removal.
        """
        return software.job(self, f"tables-{name}")

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
