"""The tunnels that an LxcProvider's ``tunnel_to`` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rally_deploy.hosts import tunnel
from rally_deploy.hosts.addresses import interface_name
from rally_deploy.hosts.lxc_place import Place, base36
from rally_deploy.model import Resource
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.ssh import keys


@dataclass(frozen=True)
class _End:
    """One end of a tunnel: at which host, towards whom."""

    order: int  # among all ends of the deployment
    place: Place
    here: str  # outer addresses
    there: str
    other: Place | None  # the far end, if it is a host of ours

    @property
    def label(self) -> str:
        return f"{self.place.label} to {self.there}"


def connect(provider: ServerProvider, places: Sequence[Place]) -> None:
    """Make the tunnels; both ends of those between our own hosts."""
    if not provider.config["tunnel_to"]:
        return
    deployment, kind = provider.deployment, provider.config["tunnel_type"]
    deployment.each(lambda p: tunnel.require_type(deployment.ssh(p.host), kind), places)
    deployment.each(lambda end: _make(provider, end), _ends(provider, places))


def _ends(provider: ServerProvider, places: Sequence[Place]) -> list[_End]:
    found: dict[tuple[int, str], tuple[str, Place | None]] = {}
    for place in places:
        for there in provider.config["tunnel_to"]:
            here = tunnel.address_towards(provider.deployment.ssh(place.host), there)
            if not here:  # one list serves all hosts, and names this one too
                continue
            other = next((p for p in places if p.host.host == there), None)
            found[place.number, there] = here, other
            if other:
                found.setdefault((other.number, here), (there, place))
    return [
        _End(order, places[number], found[number, there][0], there, found[number, there][1])
        for order, (number, there) in enumerate(sorted(found))
    ]


def _make(provider: ServerProvider, end: _End) -> None:
    deployment, place = provider.deployment, end.place
    source, short = place.attachment.cidr, deployment.record.short
    key = f"tunnel-{place.number}-{end.there.replace('.', '-')}"
    name = deployment.ledger.name(key)
    behind = [end.other.attachment.cidr] if end.other and end.other.attachment.cidr else []
    made = tunnel.Tunnel(
        provider.config["tunnel_type"], interface_name(short, "t" + base36(end.order)),
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
        made = replace(made, key_file=tunnel.key_file(name), peer=keys.wireguard_public_key(far))
    shell = deployment.ssh(place.host)

    def make(row: Resource) -> None:
        for path, secret in files.items():
            shell.put(path, secret + "\n", 0o600)
        tunnel.make_tunnel(shell, row.name, made, source)

    with deployment.step(f"make a tunnel to {end.there}", place.host):
        provider.create("tunnel", key, make, on=place.host, facts={"device": made.device})
    if end.other is None:
        far_end = made.far_end(
            [source], interface_name(short, "f" + base36(end.order)),
            tunnel.key_file(name, far=True), public,
        )
        copied = f" (with the file {far_end.key_file} from here)" if files else ""
        deployment.note(
            f"on {end.there}, to reach {source}{copied}:\n" + "\n".join(far_end.commands()),
            place.host,
        )
