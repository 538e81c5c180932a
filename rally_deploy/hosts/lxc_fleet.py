"""The containers of one plugin on all of its hosts, from a bare host to logins, and back."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rally_deploy.deployment import Deployment
from rally_deploy.errors import ConnectionLost, HostError, Unreachable
from rally_deploy.hosts import forward, lxc, lxc_base, network
from rally_deploy.hosts.addresses import (
    free_candidates,
    free_range,
    gateway,
    host_network,
    interface_name,
    prefix_for,
)
from rally_deploy.hosts.beforehand import Beforehand
from rally_deploy.hosts.lxc_bases import IMAGE, Bases
from rally_deploy.hosts.lxc_place import (
    Attachment,
    Place,
    Spot,
    base36,
    host_bridge,
    own_network,
)
from rally_deploy.hosts.lxc_tunnels import Tunnels
from rally_deploy.ledger import ResourceOwner
from rally_deploy.model import Resource, Server
from rally_deploy.ssh import keys
from rally_deploy.ssh.base import Shell

_SSH_TIMEOUT_S = 300
_LOGIN_TIMEOUT_S = 60

#: Kinds in the ledger: clones lie over their source, so they go before it.
CONTAINER, CLONE = "lxc_container", "lxc_clone"


class Containers:
    """What a provider or an engine does with containers; all of it is in that one's ledger.

    :param config: the owner's block, normalized; its keys are those of ``lxc_schema.KEYS``.
    :param beforehand: what will be installed in them, if that was told.
    """

    def __init__(
        self, owner: ResourceOwner, config: Mapping[str, Any],
        beforehand: Beforehand | None = None,
    ) -> None:
        self._owner = owner
        self._config = config
        self._deployment: Deployment = owner.deployment
        self._bases = Bases(owner, config, beforehand)
        self._tunnels = Tunnels(owner, config)

    # Hosts: packages, base container, network

    def prepare(self, hosts: Sequence[Server]) -> list[Place]:
        """Make hosts fit for containers: what they lack, base container, network, tunnels."""
        places = self._deployment.each(
            lambda place: self._prepare(place, len(hosts)),
            [Place(number, host) for number, host in enumerate(hosts)],
        )
        self._tunnels.connect(places)
        return places

    def _prepare(self, place: Place, hosts: int) -> Place:
        begun = any(
            host_of(row).identity == place.host.identity
            for kind in (CONTAINER, CLONE) for row in self._deployment.ledger.alive(kind))
        base = self._bases.make_sure(place.number, place.host, begun)
        return replace(place, base=base, attachment=self._attach(place.number, place.host, hosts))

    def _attach(self, number: int, host: Server, hosts: int) -> Attachment:
        shell, per_host = self.shell(host), self._config["containers_per_host"]
        bridge = self._config.get("network_bridge")
        if bridge:
            first = self._config.get("ipv4_start_address")
            if first:
                first = str(ipaddress.IPv4Address(first) + number * per_host)
            return host_bridge(shell, bridge, first or "", self._config.get("ipv4_prefixlen", 0))
        start = self._config.get("start_lxc_network")
        if start:
            try:
                candidates = [host_network(start, number)]
            except ValueError as error:
                raise HostError(
                    host, f"no network is left for it from {start} on",
                    remedy="destroy, and begin with another 'start_lxc_network'",
                ) from error
        else:
            prefix = prefix_for(per_host)
            candidates = list(free_candidates(self._deployment.uuid, number, hosts, prefix))
        own = interface_name(self._deployment.record.short, "b" + base36(number))

        def make(row: Resource) -> Mapping[str, Any]:
            made = network.make_network(shell, row.name, own, candidates)
            return {"cidr": made.cidr}

        with self._deployment.step("make the containers' network", host):
            row = self._owner.create(
                "lxc_network", f"net-{number}", make, on=host, facts={"bridge": own}
            )
        return own_network(own, row.facts["cidr"])

    # Containers

    def make(
        self, spots: Sequence[Spot], *, sources: Mapping[int, Resource] | None = None,
        whole: bool = False,
    ) -> list[Resource]:
        """Containers that run, one per spot; those that are there already are started.

        :param sources: what they are clones of, by the number of the place, if not of the base.
        :param whole: with a root of their own, from which others can be cloned.
        """
        return self._deployment.each(
            lambda spot: self._make(spot, (sources or {}).get(spot.place.number), whole), spots
        )

    def _make(self, spot: Spot, source: Resource | None, whole: bool) -> Resource:
        place = spot.place
        shell, record = self.shell(place.host), self._deployment.record
        spec = place.container(
            spot.number, self._deployment.ledger.name(spot.label), record.short,
            self._config["containers_per_host"], tuple(self._config["lxc_config"]),
        )
        spec = replace(spec, base=source.name if source else spec.base, whole=whole)
        new = False

        def make(row: Resource) -> Mapping[str, Any]:
            nonlocal new
            new = True
            how = lxc.clone(shell, spec, keys.public_key(self.private_key(), row.name))
            lxc.start(shell, row.name)
            return {"clone": how, "base": spec.base}

        row = self._owner.create(
            CLONE if source else CONTAINER, spot.label, make, on=place.host,
            facts={"bridge": spec.bridge, "address": spec.address.partition("/")[0],
                   "place": place.number, "number": spot.number},
        )
        if not new:
            lxc.start(shell, row.name)
        return row

    def private_key(self) -> str:
        """The key that all containers of the whole tree let in."""
        return self._deployment.secret("ssh_private_key", keys.make_private_key)

    def servers(self, rows: Sequence[Resource]) -> list[Server]:
        """How to log in to each, once each has let us in."""
        return self._deployment.each(self._server, self._addresses(rows))

    def _addresses(self, rows: Sequence[Resource]) -> list[Resource]:
        """The rows with their addresses, once an SSH server answers at each of these."""

        def known(row: Resource) -> Resource:
            if row.facts["address"]:
                return row
            shell = self.shell(host_of(row))
            found = self._deployment.wait(
                lambda: lxc.addresses(shell, row.name), _SSH_TIMEOUT_S,
                f"an address of {row.name} from the DHCP of {row.facts['bridge']}",
            )
            return self._deployment.ledger.update(row, {"address": found[0]})

        found = self._deployment.each(known, rows)
        by_host: dict[Server, list[str]] = {}
        for row in found:
            by_host.setdefault(host_of(row), []).append(row.facts["address"])
        self._deployment.each(
            lambda host: lxc.wait_for_ssh(self.shell(host), by_host[host], _SSH_TIMEOUT_S),
            by_host,
        )
        return found

    def _server(self, row: Resource) -> Server:
        host, address = host_of(row), row.facts["address"]
        facts = {"host": host.label, "bridge": row.facts["bridge"], "address": address,
                 **self._network_facts(row)}
        place: dict[str, Any] = {"host": address, "jump": host}
        if host.connection == "local":
            place["jump"] = None
        if self._config["forward_ssh"]:
            port = self._forward(row)
            facts["forwarded_port"] = str(port)
            if host.connection != "local":
                place = {"host": host.host, "port": port, "jump": host.jump}
        server = Server(
            user="root", name=row.name, private_key=self.private_key(), resource_id=row.id,
            facts=facts, **place,
        )
        self._deployment.wait(
            lambda: self.shell(server).run(["true"]).ok, _LOGIN_TIMEOUT_S,
            f"a login on {row.name}", tolerate=(Unreachable, ConnectionLost),
        )
        return server

    def _network_facts(self, row: Resource) -> dict[str, str]:
        """What a cloud in the container may know of the network, if that is one of ours."""
        for net in self._deployment.ledger.alive("lxc_network"):
            if net.facts["bridge"] == row.facts["bridge"] and "cidr" in net.facts:
                cidr = ipaddress.IPv4Network(net.facts["cidr"])
                span = free_range(cidr, self._config["containers_per_host"])
                return {"network": str(cidr), "gateway": gateway(cidr), "free_range": span}
        return {}

    def _forward(self, row: Resource) -> int:
        shell = self.shell(host_of(row))

        def make(own: Resource) -> Mapping[str, Any]:
            return {"port": forward.make_forward(shell, own.name, row.facts["address"])}

        made = self._owner.create("ssh_forward", f"ssh-{row.key}", make, on=row.host)
        return int(made.facts["port"])

    # The end

    def delete(self, resource: Resource) -> None:
        """The owner's ``delete``, for everything that is made here."""
        shell, facts = self.shell(host_of(resource)), resource.facts
        if resource.kind in (CONTAINER, CLONE):
            lxc.delete(shell, resource.name, facts["bridge"], facts["address"])
        elif resource.kind == IMAGE:
            lxc_base.end_build(shell, resource.name, facts["base"])
        elif resource.kind == "lxc_network":
            network.delete_network(shell, resource.name, facts["bridge"])
        elif resource.kind == "ssh_forward":
            forward.delete_forward(shell, resource.name)
        else:
            self._tunnels.delete(resource)

    def shell(self, server: Server) -> Shell:
        return self._deployment.ssh(server)


def host_of(row: Resource) -> Server:
    """The host that a thing is on."""
    if row.host is None:
        raise ValueError(f"{row.name} was recorded without its host")
    return row.host
