"""The runbook: from bare servers to a cloud by DevStack that was seen to work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rally_deploy.engines.base import DeployEngine
from rally_deploy.engines.devstack import (
    before,
    beforehand,
    computes,
    faster,
    files,
    firewall,
    folders,
    local_conf,
    preflight,
    prepare,
    proof,
    removal,
    schema,
    source,
    stack,
    trust,
    written,
)
from rally_deploy.engines.devstack.clone_script import clone_script
from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import CloudBroken, RallyDeployError
from rally_deploy.hosts import own_names
from rally_deploy.hosts.remote_cloud import RemoteCloud
from rally_deploy.model import Resource, ResourceState, Server
from rally_deploy.ssh import detached
from rally_deploy.ssh.detached import JobState

#: The names of the jobs that run on a server whatever becomes of our connection.
JOBS = ("packages", "stack")


class DevstackEngine(DeployEngine):
    """DevStack on any provider's servers, each stacked with the same local.conf."""

    CONFIG_SCHEMA = schema.CONFIG_SCHEMA

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    @classmethod
    def config_warnings(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.warnings(config)

    @classmethod
    def packages_beforehand(cls, config: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
        return beforehand.PACKAGES

    def deploy(self) -> dict[str, Any]:
        step, each = self.deployment.step, self.deployment.each
        trust.require_no_keys(self.deployment.handed, self.config["local_conf"])
        servers = self.create_servers()
        with step("look at the servers"):
            nodes = each(self._look, servers)
            own_names.require_own_names(nodes)
        with step("run DevStack"):
            each(self._node, nodes)
        stacked = [(node, written.read(node)) for node in nodes]
        controllers = [(node, found) for node, found in stacked if found.is_controller]
        if not controllers:
            # Computes of another's cloud, which proves it.
            return {"admin": None, "users": [], "services": {}}
        self._tell_others(controllers)
        (controller, found), remote = controllers[0], self._remote(*controllers[0])
        self._join(controller, remote, stacked)
        self._prove([remote, *(self._remote(*other) for other in controllers[1:])])
        login = written.login(controller, found)
        return {
            "admin": written.login_elsewhere(login, found), "users": [],
            "services": self._catalog(remote, login["auth_url"]),
        }

    # The clouds

    def _remote(self, node: Node, found: written.Written) -> RemoteCloud:
        login = written.login(node, found)
        return RemoteCloud(node.shell, login, logs="'journalctl -u \"devstack@*\"'")

    def _tell_others(self, controllers: Sequence[tuple[Node, written.Written]]) -> None:
        """Servers with one local.conf are clouds of their own, unless it says otherwise."""
        others = [written.login(*other)["auth_url"] for other in controllers[1:]]
        if others:
            self.deployment.note(
                f"{len(controllers)} servers are {len(controllers)} clouds, each by itself: the "
                f"endpoints are the first one's, the others are at {', '.join(others)}",
                warning=True)

    def _join(
        self, controller: Node, remote: RemoteCloud,
        stacked: Sequence[tuple[Node, written.Written]],
    ) -> None:
        """Make the computes beside the controller a part of its cloud."""
        hosts = [
            host for _, found in stacked
            if found.has_compute and not found.is_controller for host in found.computes
        ]
        if hosts:
            computes.admit(self.deployment, controller, remote, hosts)

    def _prove(self, clouds: Sequence[RemoteCloud]) -> None:
        if self.config["prove"]:
            with self.deployment.step("prove that the cloud works"):
                self.deployment.each(partial(proof.prove_cloud, self.deployment), clouds)

    def _catalog(self, remote: RemoteCloud, auth_url: str) -> dict[str, str]:
        if self.config["prove"]:
            return dict(remote.call("catalog"))
        try:
            # Once: where nothing was proved, nothing may be there.
            return dict(remote.call("catalog", tries=1))
        except CloudBroken as error:
            self.deployment.note(
                f"only Keystone's address is known, its catalog could not be had: {error.details}",
                warning=True)
            return {"identity": auth_url}

    # One server

    def _look(self, server: Server) -> Node:
        handed, shell, conf = (
            self.deployment.handed, self.deployment.ssh(server), self.config["local_conf"])
        role = "compute" if computes.is_compute(handed, conf) else "all"
        node = preflight.look_at(
            server, shell, self.config["user"], role, self._name("devstack"), self._name("stack"))
        node = replace(node, folders=folders.of(conf, node.home))
        return replace(node, ca_bundle=trust.bundle(node)) if trust.authority(handed) else node

    def _node(self, node: Node) -> None:
        """One server from its bare system to the end of its stack.sh."""
        ledger = self.deployment.ledger
        row = next((r for r in ledger.alive(removal.KIND) if r.key == node.hostname), None)
        if row and row.state is ResourceState.RELEASING:
            # A destroy did not come to its end. Once it has, the server is as it was before us.
            with self.deployment.step("remove what an earlier destroy has left", node.server):
                ledger.release(row, self.delete)
            node, row = self._look(node.server), None
        self.create(
            removal.KIND, node.hostname, partial(self._make, node), on=node.server, adopt=True,
            facts={} if row else before.facts_before(node),
        )

    def _make(self, node: Node, row: Resource) -> Mapping[str, Any]:
        # What a running stack.sh uses is not touched: it is attached to.
        if detached.status(node.shell, self._name("stack")).state is not JobState.RUNNING:
            self._make_ready(node, row)
        stack.run(
            self.deployment, node, self._name("stack"), self.config["timeout_s"],
            before.names(row.facts, node.folders.dest))
        if self._client_server:
            faster.stop_client_server(node)
        removal.remember_edits(node, row.name)
        return {"commit": source.commit(node), **before.facts_after(node, row.facts)}

    def _make_ready(self, node: Node, row: Resource) -> None:
        """All that stack.sh needs to begin; an earlier run may have done it."""
        step, server = self.deployment.step, node.server
        if row.facts.get("had"):
            self.deployment.note(
                f"{', '.join(row.facts['had'])} was there before: DevStack uses it, and what it "
                "changes in there stays after the end", server, warning=True)
        with step("prepare the host", server):
            removal.keep_settings(node, row.name)
            prepare.trust_our_mirrors(node, self._machine_of(server))
            prepare.install_packages(node, self._name("packages"))
            prepare.make_account(node)
            prepare.adapt(node)
            if node.ca_bundle:
                trust.install(node, trust.authority(self.deployment.handed))
            firewall.open_ports(node.shell, row.name)
        with step("fetch DevStack", server):
            source.fetch(node, self._name("devstack"), *schema.devstack_source(self.config))
            self.deployment.note(f"DevStack is at {source.commit(node)}", server)
        with step("write local.conf", server):
            files.place(node, self.config["files"], removal.kept(row.name))
            files.write_local_conf(node, self._local_conf(node))

    def _machine_of(self, server: Server) -> Any:
        return self.deployment.ssh(server.jump) if server.jump else None

    def _local_conf(self, node: Node) -> str:
        wanted, handed = self.config["local_conf"], self.deployment.handed
        defaults = {
            **local_conf.standard_defaults(self.deployment.secret), "HOST_IP": node.address,
            **local_conf.compute_defaults(handed, wanted),
        }
        try:
            text = local_conf.render(wanted, defaults, git_base=self.config["git_base"])
            return faster.with_client_server(text) if self._client_server else text
        except local_conf.LocalConfBroken as error:
            raise RallyDeployError(
                "local.conf cannot be written", str(error), "mend 'local_conf' in the config",
            ) from error

    @property
    def _client_server(self) -> bool:
        return faster.needs_client_server(self.deployment.handed, self.config["local_conf"])

    def _name(self, name: str) -> str:
        """Of a job of ours on a server, or of the checkout: what it is marked with."""
        return self.deployment.ledger.name(name)

    def delete(self, resource: Resource) -> None:
        assert resource.host is not None
        trust.remove(self.deployment.ssh(resource.host))
        removal.remove(
            self.deployment, resource, self._name("devstack"), [self._name(name) for name in JOBS],
            self.config["user"])

    # What outer engines ask

    def hand_on(self) -> dict[str, str]:
        node, cloud = self._controller()
        found = written.settings(node)
        values = {
            **super().hand_on(),
            "controller_host": node.hostname,
            "controller_ip": node.address,
            "controller_transport_url": cloud.transport_url,
            "controller_ca": cloud.ca,
        }
        for key, name in local_conf.PASSWORDS.items():
            values[f"controller_{name}"] = found.get(key, "")
        return values

    def compute_hosts(self) -> list[str]:
        return [
            host for node in self._nodes() for found in [written.read(node)]
            if found.has_compute for host in found.computes
        ]

    def admit(self, hosts: Sequence[str]) -> None:
        node, cloud = self._controller()
        remote = self._remote(node, cloud)
        computes.admit(self.deployment, node, remote, hosts)
        # Without them no server could be booted, if it has no compute of its own.
        self._prove([remote])

    def clone_script(self) -> str:
        return clone_script(self._nodes()[0])

    def _nodes(self) -> list[Node]:
        return self.deployment.each(self._look, self.deployment.servers())

    def _controller(self) -> tuple[Node, written.Written]:
        for node in self._nodes():
            found = written.read(node)
            if found.is_controller:
                return node, found
        raise CloudBroken(
            "none of the servers has Keystone", remedy="deploy a controller by this engine",
        )
