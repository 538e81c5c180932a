"""Tunnels between the hosts of containers, as ``tunnel_to`` asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rally_deploy.hosts import tunnel
from rally_deploy.hosts.addresses import interface_name
from rally_deploy.hosts.lxc_place import Place, base36
from rally_deploy.ledger import ResourceOwner
from rally_deploy.model import Resource, Server
from rally_deploy.ssh import keys


@dataclass(frozen=True)
class _Site:
    """A host at an end of a tunnel, and the container networks there."""

    number: int  # of its place, or behind those of our own places
    host: Server
    networks: tuple[str, ...]


@dataclass(frozen=True)
class _End:
    """One end of a tunnel: at which host, towards whom."""

    order: int  # among all ends of the deployment
    site: _Site
    here: str  # outer addresses
    there: str
    other: _Site | None  # the far end, if its containers belong to the same tree

    @property
    def label(self) -> str:
        return f"{self.site.host.label} to {self.there}"


class Tunnels:
    """The tunnels of one plugin's containers, in that one's ledger.

    Both ends are made where the far one carries containers too, of this plugin or of any other
    part of the same tree of deployments; else a note tells the commands for the far end.
    """

    def __init__(self, owner: ResourceOwner, config: Mapping[str, Any]) -> None:
        self._owner = owner
        self._deployment = owner.deployment
        self._wanted: Sequence[str] = config["tunnel_to"]
        self._type: str = config["tunnel_type"]

    def connect(self, places: Sequence[Place]) -> None:
        """Make the tunnels that the config asks for; those that are there already stay."""
        if not self._wanted:
            return
        ends = self._ends([
            _Site(p.number, p.host, (p.attachment.cidr,) if p.attachment.cidr else ())
            for p in places
        ])
        hosts = {end.site.host: None for end in ends}
        self._deployment.each(
            lambda host: tunnel.require_type(self._deployment.ssh(host), self._type), hosts
        )
        self._deployment.each(self._make, ends)

    def _ends(self, sites: Sequence[_Site]) -> list[_End]:
        relatives = self._relatives(sites)
        found: dict[tuple[int, str], tuple[_Site, str, _Site | None]] = {}
        for site in sites:
            for there in self._wanted:
                here = tunnel.address_towards(self._deployment.ssh(site.host), there)
                if not here:  # one list serves all hosts, and names this one too
                    continue
                other = next((s for s in sites if s.host.host == there), relatives.get(there))
                found[site.number, there] = site, here, other
                if other:
                    found.setdefault((other.number, here), (other, there, site))
        return [
            _End(order, site, here, key[1], other)
            for order, (key, (site, here, other)) in enumerate(sorted(
                found.items(), key=lambda item: item[0]))
        ]

    def _relatives(self, sites: Sequence[_Site]) -> dict[str, _Site]:
        """Hosts of other containers of the same tree, by the wanted address that is theirs."""
        networks: dict[Server, list[str]] = {}
        own = {site.host for site in sites}
        for row in self._deployment.family_resources("lxc_network"):
            if row.host and row.host not in own and "cidr" in row.facts:
                networks.setdefault(row.host, []).append(row.facts["cidr"])

        def addresses(host: Server) -> list[str]:
            shell = self._deployment.ssh(host)
            return [a for a in self._wanted if not tunnel.address_towards(shell, a)]

        hosts = list(networks)
        return {
            address: _Site(len(sites) + number, host, tuple(sorted(networks[host])))
            for number, (host, theirs) in enumerate(
                zip(hosts, self._deployment.each(addresses, hosts), strict=True))
            for address in theirs
        }

    def _make(self, end: _End) -> None:
        deployment, site = self._deployment, end.site
        short = deployment.record.short
        key = f"tunnel-{site.number}-{end.there.replace('.', '-')}"
        name = deployment.ledger.name(key)
        behind = end.other.networks if end.other else ()
        made = tunnel.Tunnel(
            self._type, interface_name(short, "t" + base36(end.order)),
            end.here, end.there, tuple(behind),
        )
        files: dict[str, str] = {}
        public = ""
        if made.type == "wireguard":
            own, far = (
                deployment.secret(f"wireguard {a} {b}", keys.make_wireguard_key)
                for a, b in ((end.here, end.there), (end.there, end.here))
            )
            files = {tunnel.key_file(name): own, tunnel.key_file(name, far=True): far}
            public = keys.wireguard_public_key(own)
            made = replace(
                made, key_file=tunnel.key_file(name), peer=keys.wireguard_public_key(far))
        shell = deployment.ssh(site.host)

        def make(row: Resource) -> Mapping[str, Any]:
            for path, secret in files.items():
                shell.put(path, secret + "\n", 0o600)
            return {"through": tunnel.make_tunnel(shell, row.name, made, site.networks)}

        with deployment.step(f"make a tunnel to {end.there}", site.host):
            self._owner.create(
                "tunnel", key, make, on=site.host,
                facts={"device": made.device, "routes": made.routes()},
            )
        if end.other is None:
            far_end = made.far_end(
                site.networks, interface_name(short, "f" + base36(end.order)),
                tunnel.key_file(name, far=True), public,
            )
            copied = f" (with the file {far_end.key_file} from here)" if files else ""
            deployment.note(
                f"on {end.there}, to reach {', '.join(site.networks)}{copied}:\n"
                + "\n".join(far_end.commands()), site.host,
            )

    def delete(self, resource: Resource) -> None:
        """Remove one end and what belongs to it."""
        assert resource.host is not None
        facts = resource.facts
        tunnel.delete_tunnel(
            self._deployment.ssh(resource.host), resource.name, facts["device"],
            facts.get("routes", ()),
        )
