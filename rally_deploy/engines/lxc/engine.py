"""One container per host deployed by another engine, then as many clones of it as are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rally_deploy.config import normalize, plugin_name
from rally_deploy.deployment import Deployment
from rally_deploy.engines.base import DeployEngine
from rally_deploy.engines.lxc import schema
from rally_deploy.engines.lxc.nodes import First, Node, Seeds, run_start_script, tell_memory
from rally_deploy.errors import Cancelled, PartlyDeployed
from rally_deploy.hosts import beforehand
from rally_deploy.hosts.beforehand import Beforehand
from rally_deploy.hosts.lxc_fleet import CLONE, CONTAINER, Containers
from rally_deploy.hosts.lxc_place import Place, Spot, name_part
from rally_deploy.hosts.lxc_seed import wait_for_services
from rally_deploy.model import Resource, ResourceState, State


class LxcEngine(DeployEngine):
    """Clones of one deployed container, each a node of its own."""

    CONFIG_SCHEMA = schema.SCHEMA

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.mistakes(config)

    @classmethod
    def config_warnings(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return schema.warnings(config)

    @classmethod
    def plan(cls, config: Mapping[str, Any]) -> Iterable[str]:
        """How many containers come from what."""
        count = config["containers_per_host"]
        yield f"on each host: 1 container, deployed by {plugin_name(config['engine'])}"
        if count > 1:
            yield f"and {count - 1} clones of it"

    def deploy(self) -> dict[str, Any]:
        containers = Containers(self, self.config, self._beforehand())
        hosts = self.deployment.provider(self.config["provider"]).provide()
        places = containers.prepare(hosts)
        firsts = [Spot(place, 0, self._key(place, 0)) for place in places]
        clones = [
            Spot(place, number, self._key(place, number))
            for place in places for number in range(1, self.config["containers_per_host"])
        ]
        with self.deployment.step("make the first container of each host"):
            rows = containers.make(firsts, whole=True)
            nodes = self._nodes(containers, rows)
        self.deployment.record_servers([node.server for node in nodes])
        self.deployment.move(State.DEPLOYING)
        children = [self._child(first) for first in nodes]
        self.deployment.each(
            lambda first: self._deploy_first(children[first.number], first), nodes)
        failures = self._clone(containers, firsts, clones, nodes, children)
        with self.deployment.step("wait until their SSH servers answer"):
            nodes = self._nodes(containers, self._rows())
        self.deployment.record_servers([node.server for node in nodes])
        self._bring_up(nodes)
        if failures:
            raise _partly(failures, len(clones), self.compute_hosts()) \
                from next(iter(failures.values()))
        if not self.deployment.handed:
            self._tell_of_outsiders(children[0])
            self.settled()
        return dict(children[0].result())

    def _beforehand(self) -> Beforehand:
        """What the inner engine will install in each first container."""
        block = self.config["engine"]
        inner = self.deployment.engine_class(block)
        return beforehand.ask(self.deployment, inner, normalize(block, inner.CONFIG_SCHEMA))

    def _key(self, place: Place, number: int) -> str:
        """The key of a container, which its name ends with: prefix, network (or host), number."""
        where = str(place.number)
        if self.config.get("start_lxc_network") and place.network:
            where = str(place.network.network_address).replace(".", "-")
        prefix = name_part(self.config["container_name"])
        return "-".join(part for part in (prefix, where, f"{number:03d}") if part)

    def _rows(self) -> list[Resource]:
        """All containers that are made, each host's first one before its clones."""
        ledger = self.deployment.ledger
        rows = [row for kind in (CONTAINER, CLONE) for row in ledger.alive(kind)
                if row.state is ResourceState.LIVE]
        return sorted(rows, key=lambda row: (row.facts["place"], row.facts["number"]))

    def _nodes(self, containers: Containers, rows: Sequence[Resource]) -> list[Node]:
        pairs = zip(rows, containers.servers(rows), strict=True)
        return [Node(number, row, server) for number, (row, server) in enumerate(pairs)]

    def _child(self, first: Node) -> Deployment:
        """What the inner engine works on: a host's first container."""
        return self.deployment.child(
            f"first-{first.row.facts['place']}", self.deployment.raw_config["engine"],
            handed=self.deployment.handed, servers=[first.server],
        )

    def _deploy_first(self, child: Deployment, first: Node) -> None:
        with self.deployment.step("deploy the first container", first.server):
            child.deploy()

    def _clone(
        self, containers: Containers, firsts: Sequence[Spot], clones: Sequence[Spot],
        nodes: Sequence[Node], children: Sequence[Deployment],
    ) -> dict[str, Exception]:
        """All containers run at its end, but for the clones that it returns with their errors."""
        seeds = Seeds(self.deployment)
        with self.deployment.step("make the first containers ready to be cloned"):
            sources = seeds.prepare([
                First(node, child.engine().clone_script(), frozenset(
                    spot.label for spot in clones if spot.place == first.place))
                for first, node, child in zip(firsts, nodes, children, strict=True)
            ])
        with self.deployment.step(f"make {len(clones)} clones"):
            failures = self._make_clones(containers, clones, sources)
            containers.make(
                [spot for spot in firsts if not seeds.runs(sources[spot.place.number])])
        return failures

    def _make_clones(
        self, containers: Containers, clones: Sequence[Spot], sources: Mapping[int, Resource]
    ) -> dict[str, Exception]:
        """One of many that fails must not keep the others from being a part of the cloud."""
        failures: dict[str, Exception] = {}

        def make(spot: Spot) -> None:
            try:
                containers.make([spot], sources=sources)
            except Cancelled:
                raise
            except Exception as error:
                name = self.deployment.ledger.name(spot.label)
                self.deployment.note(f"{name} failed: {error}", spot.place.host, warning=True)
                failures[name] = error

        self.deployment.each(make, clones)
        return failures

    def _bring_up(self, nodes: Sequence[Node]) -> None:
        path, each = self.config.get("start_script"), self.deployment.each
        if path:
            with open(schema.script_path(path), encoding="utf-8") as file:
                text = file.read()
            with self.deployment.step("run the start script in each container"):
                each(lambda node: run_start_script(self.deployment, text, node), nodes)
        with self.deployment.step("wait until the services run in each container"):
            each(lambda node: wait_for_services(self.deployment.ssh(node.server)), nodes)

    def _tell_of_outsiders(self, first: Deployment) -> None:
        """Computes of a cloud that is no deployment of ours: nobody admits them."""
        hosts = [] if first.result().get("admin") else self.compute_hosts()
        if hosts:
            self.deployment.note(
                f"{len(hosts)} computes belong to a cloud elsewhere, and nobody has looked "
                "whether they are up: run 'nova-manage cell_v2 discover_hosts' on its controller, "
                "then 'openstack hypervisor list' has them", warning=True)

    # What outer engines ask

    def hand_on(self) -> dict[str, str]:
        children = self.deployment.children()
        return children[0].engine().hand_on() if children else super().hand_on()

    def compute_hosts(self) -> list[str]:
        """Those of each first container, and the same of each of its clones."""
        rows, found = self._rows(), []
        for child in self.deployment.children():
            place = int(child.name.rpartition("-")[2])
            names = child.engine().compute_hosts()
            theirs = [row.name for row in rows if row.facts["place"] == place]
            found += [_renamed(name, theirs[0], own) for own in theirs for name in names]
        return found

    def admit(self, hosts: Sequence[str]) -> None:
        for child in self.deployment.children()[:1]:
            child.engine().admit(hosts)

    def settled(self) -> None:
        """Tell what memory the nodes take."""
        tell_memory(self.deployment, self._rows())

    # The end

    def delete(self, resource: Resource) -> None:
        Containers(self, self.config).delete(resource)

    def undoing(self) -> list[Callable[[], None]]:
        """The hosts before the nested deployments: what these have is inside of hosts of ours."""
        own, *children_and_provider = super().undoing()
        return [own, *reversed(children_and_provider)]


def _renamed(host: str, first: str, name: str) -> str:
    """The name of a clone's compute: an engine may add to the host name (DevStack's fakes)."""
    return host.replace(first, name) if first in host else name


def _partly(
    failures: Mapping[str, Exception], clones: int, hosts: Sequence[str]
) -> PartlyDeployed:
    return PartlyDeployed(
        f"{len(failures)} of {clones} clones failed: {', '.join(sorted(failures))}",
        "\n".join(f"{name}: {error}" for name, error in sorted(failures.items())),
        "mend what is named, then 'rdeploy resume': it makes only these again", hosts,
    )
