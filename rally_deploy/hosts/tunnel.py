"""Tunnels between hosts, so that the far end reaches the containers' network, and back."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from rally_deploy.errors import HostError
from rally_deploy.hosts.addresses import TunnelAddresses, tunnel_addresses
from rally_deploy.hosts.network import (
    DROP_RULES,
    FORWARDING,
    HOST_LOCK,
    REMOVE_LINK,
    foreign_device,
)
from rally_deploy.ssh.base import Shell

#: Every type that a config may ask for; whether a host's kernel has it is seen there.
TYPES = ("ipip", "vxlan", "gre", "wireguard")

_VXLAN_PORT = 4789
_WIREGUARD_PORT = 51820  # the first; each tunnel of a host needs one of its own

# In an empty network namespace nothing but a missing type can make these fail.
_PROBE = """
has() { if unshare -n ip link add rdprobe "$@" >/dev/null 2>&1; then echo "$2"; fi; }
unshare -n true
has type ipip local 192.0.2.1 remote 192.0.2.2
has type vxlan id 7 remote 192.0.2.2 dstport 4789
has type gre local 192.0.2.1 remote 192.0.2.2
if command -v wg >/dev/null; then has type wireguard; fi
"""

# An end between the same outer addresses that somebody else has made: there can be no second one.
_THERE_ALREADY = """
there_already() {
    if [ "$1" = wireguard ]; then wg show all listen-port | awk -v p="$4" '$2 == p {print $1}'
    else ip -d -o link show type "$1" | awk -v ends=" remote $3 local $2 " \\
        'index($0, ends) {sub("[:@].*", "", $2); print $2}'
    fi 2>/dev/null | head -n 1
}
add_route() { [ -n "$(ip -4 route show "$1" via "$2")" ] || ip route add "$1" via "$2" dev "$3"; }
"""

#: DELETE name device [network gateway]...
_DELETE = f"""
{HOST_LOCK}
{FORWARDING}
{DROP_RULES}
drop_rules "$1"
name=$1 device=$2; shift 2
while [ $# -gt 0 ]; do ip -4 route del "$1" via "$2" 2>/dev/null || :; shift 2; done
{REMOVE_LINK}
remove_link "$device" "$name"
rm -f "/run/$name.wireguard" "/run/$name.far.wireguard"
leave_forwarding "$name"
"""


@dataclass(frozen=True)
class Tunnel:
    """One end of a tunnel: its outer addresses, and the networks that lie behind the far end."""

    type: str
    device: str
    here: str
    there: str
    networks: Sequence[str] = ()
    key_file: str = ""  # of WireGuard: this end's private key
    peer: str = ""  # of WireGuard: the far end's public key

    @property
    def inner(self) -> TunnelAddresses:
        return tunnel_addresses(self.here, self.there)

    def far_end(
        self, networks: Sequence[str], device: str, key_file: str = "", peer: str = ""
    ) -> Tunnel:
        """The same tunnel as the other side has to make it."""
        return Tunnel(self.type, device, self.there, self.here, networks, key_file, peer)

    @property
    def port(self) -> int:
        """Of WireGuard, which needs one of its own for each tunnel of a host."""
        return _WIREGUARD_PORT + self.inner.identifier % 8192

    def routes(self) -> list[list[str]]:
        """What leads through it: network and gateway of each."""
        return [[network, self.inner.there] for network in self.networks]

    def commands(self) -> list[str]:
        """The commands that make this end."""
        inner, device, port = self.inner, self.device, str(self.port)
        lines = [
            ["ip", "link", "add", device, "type", self.type, *self._options()],
            ["ip", "addr", "add", f"{inner.here}/{inner.prefix}", "dev", device],
            ["ip", "link", "set", device, "up"],
        ]
        if self.type == "wireguard":
            lines.insert(1, [
                "wg", "set", device, "listen-port", port, "private-key", self.key_file,
                "peer", self.peer, "allowed-ips", "0.0.0.0/0", "endpoint", f"{self.there}:{port}",
            ])
        lines += [
            ["ip", "route", "add", network, "via", gateway, "dev", device]
            for network, gateway in self.routes()
        ]
        return [shlex.join(line) for line in lines]

    def _options(self) -> list[str]:
        if self.type == "wireguard":
            return []
        ends = ["local", self.here, "remote", self.there]
        if self.type == "vxlan":
            return ["id", str(self.inner.identifier), "dstport", str(_VXLAN_PORT), *ends]
        return ends


def key_file(name: str, far: bool = False) -> str:
    """Where an end's WireGuard key is on a host; a tunnel does not outlive a boot either."""
    return f"/run/{name}{'.far' if far else ''}.wireguard"


def types_here(shell: Shell) -> list[str]:
    """The tunnel types that this host can make."""
    return shell.script(_PROBE, quiet=True).stdout.split()


def require_type(shell: Shell, wanted: str) -> None:
    """Raise HostError, naming the types there are, if the host cannot make this one."""
    found = types_here(shell)
    if wanted not in found:
        raise HostError(
            shell.server, f"its kernel has no tunnels of type {wanted}",
            f"it has: {', '.join(found) or 'none'}",
            "set 'tunnel_type' to one of these"
            + (", and install wireguard-tools" if wanted == "wireguard" else ""),
        )


def address_towards(shell: Shell, there: str) -> str:
    """The address with which this host reaches another; empty if that is this host itself."""
    words = shell.run(["ip", "-4", "route", "get", there], quiet=True).stdout.split()
    if words[:1] == ["local"] or "src" not in words:
        return ""
    return words[words.index("src") + 1]


def make_tunnel(shell: Shell, name: str, tunnel: Tunnel, sources: Sequence[str]) -> str:
    """Make this end; packets from ``sources`` go through it with their own addresses.

    Returns the device: of an end that somebody has made before, only what lacks is added to it.
    """
    t = tunnel
    look = shlex.join(["there_already", t.type, t.here, t.there, str(t.port)])
    text = "\n".join([
        HOST_LOCK, FORWARDING, _THERE_ALREADY,
        f"if ip link show dev {t.device} 2>/dev/null >&2; then exit 65; fi",
        f"device=$({look})",
        'if [ -n "$device" ]; then',
        *(f'add_route {network} {way} "$device"' for network, way in t.routes()), ":",
        "else",
        f"device={t.device}",
        t.commands()[0], f'ip link set {t.device} alias "$1"', *t.commands()[1:],
        "fi",
        'use_forwarding "$1"',
        'tag="-o $device -m comment --comment $1"',
        *(f"iptables -w 30 -t nat -I POSTROUTING -s {source} $tag -j ACCEPT"
          for source in sources),
        'echo "through $device"',
    ])
    with foreign_device(shell, t.device):
        made = shell.script(text, name)
    return made.stdout.split()[-1]


def delete_tunnel(
    shell: Shell, name: str, device: str, routes: Sequence[Sequence[str]] = ()
) -> None:
    """Remove one end, its routes and firewall rules; absent is success."""
    with foreign_device(shell, device):
        shell.script(_DELETE, name, device, *(word for route in routes for word in route))
