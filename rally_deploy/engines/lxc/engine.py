"""One container per host deployed by another engine, then as many clones of it as are wanted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from rally_deploy.config import normalize, plugin_name
from rally_deploy.deployment import Deployment
from rally_deploy.engines.base import DeployEngine
from rally_deploy.engines.lxc import schema
from rally_deploy.engines.lxc.nodes import First, Node, Seeds, run_start_script, tell_memory
from rally_deploy.errors import Cancelled, EachFailed, PartlyDeployed
from rally_deploy.hosts import beforehand
from rally_deploy.hosts.beforehand import Beforehand
from rally_deploy.hosts.lxc_fleet import CLONE, CONTAINER, Containers
from rally_deploy.hosts.lxc_place import Place, Spot, name_part
from rally_deploy.hosts.lxc_seed import wait_for_services
from rally_deploy.model import Resource, ResourceState, Server, State


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
        failures = self._deploy_firsts(nodes, children)
        lost = [first for first in nodes if first.row.name in failures]
        good = [first for first in nodes if first not in lost]
        self._clone(containers, firsts, clones, good, children, failures)
        with self.deployment.step("wait until their SSH servers answer"):
            nodes = self._nodes(
                containers, [row for row in self._rows() if row.name not in failures])
        self.deployment.record_servers([node.server for node in [*nodes, *lost]])
        self._bring_up(nodes, failures)
        if failures:
            raise _partly(failures, len(firsts) + len(clones), self._computes(failures)) \
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
        return [Node(row, server, self.config["containers_per_host"])
                for row, server in zip(rows, containers.servers(rows), strict=True)]

    def _child(self, first: Node) -> Deployment:
        """What the inner engine works on: a host's first container."""
        return self.deployment.child(
            f"first-{first.row.facts['place']}", self.deployment.raw_config["engine"],
            handed=self.deployment.handed, servers=[first.server],
        )

    def _deploy_firsts(
        self, nodes: Sequence[Node], children: Sequence[Deployment]
    ) -> dict[str, Exception]:
        """The errors of those that failed, if there is one that did not: else it raises."""
        failures: dict[str, Exception] = {}

        def deploy(first: Node) -> None:
            with self.deployment.step("deploy the first container", first.server):
                children[first.place].deploy()

        if len(nodes) == 1:
            deploy(nodes[0])
            return failures
        self.deployment.each(lambda first: self._try(
            lambda: deploy(first), first.row.name, first.server, failures), nodes)
        if len(failures) == len(nodes):
            raise EachFailed(len(nodes), {}, dict(enumerate(failures.items()))) \
                from next(iter(failures.values()))
        return failures

    def _clone(
        self, containers: Containers, firsts: Sequence[Spot], clones: Sequence[Spot],
        nodes: Sequence[Node], children: Sequence[Deployment], failures: dict[str, Exception],
    ) -> None:
        """Clones of the first containers ``nodes``; all run at its end, but for those that failed.
        """
        seeds = Seeds(self.deployment)
        places = {node.place for node in nodes}
        clones = [spot for spot in clones if spot.place.number in places]
        with self.deployment.step("make the first containers ready to be cloned"):
            sources = seeds.prepare([
                First(node, children[node.place].engine().clone_script(), frozenset(
                    spot.label for spot in clones if spot.place.number == node.place))
                for node in nodes
            ])
        with self.deployment.step(f"make {len(clones)} clones"):
            self.deployment.each(lambda spot: self._try(
                lambda: containers.make([spot], sources=sources),
                self.deployment.ledger.name(spot.label), spot.place.host, failures), clones)
            containers.make([spot for spot in firsts if spot.place.number in places
                             and not seeds.runs(sources[spot.place.number])])

    def _try(
        self, work: Callable[[], object], name: str, server: Server,
        failures: dict[str, Exception],
    ) -> None:
        """One of many that fails must not keep the others from being a part of the cloud."""
        try:
            work()
        except Cancelled:
            raise
        except Exception as error:
            self.deployment.note(f"{name} failed: {error}", server, warning=True)
            failures[name] = error

    def _bring_up(self, nodes: Sequence[Node], failures: dict[str, Exception]) -> None:
        path, each = self.config.get("start_script"), self.deployment.each

        def try_each(work: Callable[[Node], None]) -> None:
            each(lambda node: self._try(
                lambda: work(node), node.row.name, node.server, failures),
                [node for node in nodes if node.row.name not in failures])

        if path:
            with open(schema.script_path(path), encoding="utf-8") as file:
                text = file.read()
            with self.deployment.step("run the start script in each container"):
                try_each(lambda node: run_start_script(self.deployment, text, node))
        with self.deployment.step("wait until the services run in each container"):
            try_each(lambda node: wait_for_services(self.deployment.ssh(node.server)))

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
        return self._computes()

    def _computes(self, failed: Collection[str] = ()) -> list[str]:
        """The computes of all containers but the failed ones."""
        rows, found = self._rows(), []
        for child in self.deployment.children():
            if child.state is not State.READY:
                continue  # its first container failed, so it has no clones
            place = int(child.name.rpartition("-")[2])
            names = child.engine().compute_hosts()
            theirs = [row.name for row in rows if row.facts["place"] == place]
            found += [_renamed(name, theirs[0], own)
                      for own in theirs if own not in failed for name in names]
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
    failures: Mapping[str, Exception], count: int, hosts: Sequence[str]
) -> PartlyDeployed:
    return PartlyDeployed(
        f"{len(failures)} of {count} containers failed: {', '.join(sorted(failures))}",
        "\n".join(f"{name}: {error}" for name, error in sorted(failures.items())),
        "mend what is named, then 'rdeploy resume': it goes on with these alone", hosts,
    )
