"""LxcProvider: containers on the hosts of another provider."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rally_deploy.errors import ConnectionLost, Unreachable
from rally_deploy.hosts import forward, lxc, lxc_base, network, tunnel
from rally_deploy.hosts.addresses import (
    free_candidates,
    free_range,
    gateway,
    host_network,
    interface_name,
    prefix_for,
)
from rally_deploy.hosts.lxc_place import (
    Attachment,
    Place,
    Spot,
    base36,
    host_bridge,
    own_network,
    problems_of,
)
from rally_deploy.model import Resource, Server
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.serverprovider.lxc_schema import SCHEMA
from rally_deploy.serverprovider.lxc_tunnels import connect
from rally_deploy.ssh import keys

_SSH_TIMEOUT_S = 300
_LOGIN_TIMEOUT_S = 60


class LxcProvider(ServerProvider):
    """LXC containers, cloned from a base that each host makes once and keeps."""

    CONFIG_SCHEMA = SCHEMA

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return problems_of(config)

    def create_servers(
        self, image_uuid: str | None = None, type_id: str | None = None, amount: int | None = None
    ) -> list[Server]:
        """Containers that answer over SSH; ``amount`` of them over all hosts, if it is given."""
        deployment = self.deployment
        hosts = deployment.provider(self.config["host_provider"], "host_provider").create_servers()
        places = deployment.each(
            lambda spot: self._prepare(spot, len(hosts)),
            [Place(number, host) for number, host in enumerate(hosts)],
        )
        connect(self, places)
        wanted = [
            Spot(place, number, self._name(place, number))
            for place in places for number in range(self._share(place.number, len(hosts), amount))
        ]
        with deployment.step(f"make {len(wanted)} containers"):
            rows = deployment.each(self._container, wanted)
        with deployment.step("wait until their SSH servers answer"):
            rows = self._addresses(rows)
            return deployment.each(self._server, rows)

    def _share(self, number: int, hosts: int, amount: int | None) -> int:
        per_host: int = self.config["containers_per_host"]
        if amount is None:
            return per_host
        return amount // hosts + (1 if number < amount % hosts else 0)

    # A host: packages, base container, network

    def _prepare(self, place: Place, hosts: int) -> Place:
        """Make a host fit for containers: what it lacks, the base container, the network."""
        base = self._base(place.number, place.host)
        return replace(place, base=base, attachment=self._attach(place.number, place.host, hosts))

    def _base(self, number: int, host: Server) -> str:
        shell = self.deployment.ssh(host)
        with self.deployment.step("prepare for containers", host):
            found = lxc.look_at(shell)
            if found.missing:
                lxc.install_packages(shell, found.missing)
                self.deployment.note(
                    f"installed {', '.join(found.missing)}: they stay after the end", host
                )
                found = lxc.look_at(shell)
            lxc.check_version(shell, found.lxc_version)
            image = lxc_base.resolve_image(self._image, found.distribution, found.release)
            made = lxc_base.has_image(shell, image.name)
        if not made:
            with self.deployment.step(f"make the base container ({image.label}), once", host):
                row = self.create(
                    "lxc_image", f"image-{number}", on=host, facts={"base": image.name},
                    make=lambda row: lxc_base.build(shell, row.name, image), adopt=True,
                )
                # It is the host's from now on, and not this deployment's.
                self.deployment.ledger.release(row, self.delete)
        return image.name

    @property
    def _image(self) -> lxc_base.BaseImage:
        """The base container that the config asks for."""
        config = self.config
        return lxc_base.BaseImage(
            config.get("distribution", ""), config.get("release", ""), config.get("arch", ""),
            tuple(config["packages"]), tuple(config["template_options"]),
        )

    def _attach(self, number: int, host: Server, hosts: int) -> Attachment:
        shell = self.deployment.ssh(host)
        bridge = self.config.get("network_bridge")
        if bridge:
            first, per_host = self.config.get("ipv4_start_address"), self._share(0, 1, None)
            if first:
                first = str(ipaddress.IPv4Address(first) + number * per_host)
            return host_bridge(shell, bridge, first or "", self.config.get("ipv4_prefixlen", 0))
        start = self.config.get("start_lxc_network")
        short = self.deployment.record.short
        if start:
            candidates = [host_network(start, number)]
        else:
            prefix = prefix_for(self.config["containers_per_host"])
            candidates = list(free_candidates(self.deployment.uuid, number, hosts, prefix))
        own = interface_name(short, "b" + base36(number))

        def make(row: Resource) -> Mapping[str, Any]:
            made = network.make_network(shell, row.name, own, candidates)
            return {"cidr": made.cidr}

        with self.deployment.step("make the containers' network", host):
            row = self.create(
                "lxc_network", f"net-{number}", make, on=host, facts={"bridge": own}
            )
        return own_network(own, row.facts["cidr"])

    # Containers

    def _name(self, place: Place, number: int) -> str:
        """The key of a container, which its name ends with."""
        prefix = re.sub(r"[^A-Za-z0-9]+", "-", self.config["container_name_prefix"]).strip("-")
        key = f"{place.number}-{number:03d}"
        return key if prefix in ("", "rd") else f"{prefix}-{key}"

    def _container(self, spot: Spot) -> Resource:
        place, key = spot.place, spot.label
        shell, record = self.deployment.ssh(place.host), self.deployment.record
        spec = place.container(
            spot.number, self.deployment.ledger.name(key), record.short,
            self.config["containers_per_host"], tuple(self.config["lxc_config"]),
        )
        address = spec.address.partition("/")[0]
        new = False

        def make(row: Resource) -> Mapping[str, Any]:
            nonlocal new
            new = True
            how = lxc.clone(shell, spec, keys.public_key(self._private_key(), row.name))
            lxc.start(shell, row.name)
            return {"clone": how, "base": spec.base}

        row = self.create(
            "lxc_container", key, make, on=place.host,
            facts={"bridge": spec.bridge, "address": address},
        )
        if not new:
            lxc.start(shell, row.name)
        return row

    def _private_key(self) -> str:
        return self.deployment.secret("ssh_private_key", keys.make_private_key)

    def _addresses(self, rows: Sequence[Resource]) -> list[Resource]:
        """The rows with their addresses, once an SSH server answers at each of these."""

        def known(row: Resource) -> Resource:
            if row.facts["address"]:
                return row
            shell = self.deployment.ssh(_host(row))
            found = self.deployment.wait(
                lambda: lxc.addresses(shell, row.name), _SSH_TIMEOUT_S,
                f"an address of {row.name} from the DHCP of {row.facts['bridge']}",
            )
            return self.deployment.ledger.update(row, {"address": found[0]})

        found = self.deployment.each(known, rows)
        by_host: dict[Server, list[str]] = {}
        for row in found:
            by_host.setdefault(_host(row), []).append(row.facts["address"])
        self.deployment.each(
            lambda host: lxc.wait_for_ssh(
                self.deployment.ssh(host), by_host[host], _SSH_TIMEOUT_S
            ),
            by_host,
        )
        return found

    def _server(self, row: Resource) -> Server:
        host, address = _host(row), row.facts["address"]
        facts = {"host": host.label, "bridge": row.facts["bridge"], "address": address,
                 **self._network_facts(row)}
        place: dict[str, Any] = {"host": address, "jump": host}
        if host.connection == "local":
            place["jump"] = None
        if self.config["forward_ssh"]:
            port = self._forward(row)
            facts["forwarded_port"] = str(port)
            if host.connection != "local":
                place = {"host": host.host, "port": port, "jump": host.jump}
        server = Server(
            user="root", name=row.name, private_key=self._private_key(), resource_id=row.id,
            facts=facts, **place,
        )
        self.deployment.wait(
            lambda: self.deployment.ssh(server).run(["true"]).ok, _LOGIN_TIMEOUT_S,
            f"a login on {row.name}", tolerate=(Unreachable, ConnectionLost),
        )
        return server

    def _network_facts(self, row: Resource) -> dict[str, str]:
        """What a cloud in the container may know of the network, if that is one of ours."""
        for net in self.deployment.ledger.alive("lxc_network"):
            if net.facts["bridge"] == row.facts["bridge"] and "cidr" in net.facts:
                cidr = ipaddress.IPv4Network(net.facts["cidr"])
                span = free_range(cidr, self.config["containers_per_host"])
                return {"network": str(cidr), "gateway": gateway(cidr), "free_range": span}
        return {}

    def _forward(self, row: Resource) -> int:
        shell = self.deployment.ssh(_host(row))

        def make(own: Resource) -> Mapping[str, Any]:
            return {"port": forward.make_forward(shell, own.name, row.facts["address"])}

        made = self.create("ssh_forward", f"ssh-{row.key}", make, on=row.host)
        return int(made.facts["port"])

    # The end

    def delete(self, resource: Resource) -> None:
        shell, facts = self.deployment.ssh(_host(resource)), resource.facts
        if resource.kind == "lxc_container":
            lxc.delete(shell, resource.name, facts["bridge"], facts["address"])
        elif resource.kind == "lxc_image":
            lxc_base.end_build(shell, resource.name, facts["base"])
        elif resource.kind == "lxc_network":
            network.delete_network(shell, resource.name, facts["bridge"])
        elif resource.kind == "tunnel":
            tunnel.delete_tunnel(shell, resource.name, facts["device"])
        else:
            forward.delete_forward(shell, resource.name)


def _host(row: Resource) -> Server:
    if row.host is None:
        raise ValueError(f"{row.name} was recorded without its host")
    return row.host
