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

_DELETE = f"""
{HOST_LOCK}
{FORWARDING}
{DROP_RULES}
drop_rules "$1"
{REMOVE_LINK}
remove_link "$2" "$1"
rm -f "/run/$1.wireguard" "/run/$1.far.wireguard"
leave_forwarding "$1"
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

    def commands(self) -> list[str]:
        """The commands that make this end."""
        inner, device = self.inner, self.device
        lines = [
            ["ip", "link", "add", device, "type", self.type, *self._options()],
            ["ip", "addr", "add", f"{inner.here}/{inner.prefix}", "dev", device],
            ["ip", "link", "set", device, "up"],
        ]
        if self.type == "wireguard":
            port = str(_WIREGUARD_PORT + inner.identifier % 8192)
            lines.insert(1, [
                "wg", "set", device, "listen-port", port, "private-key", self.key_file,
                "peer", self.peer, "allowed-ips", "0.0.0.0/0", "endpoint", f"{self.there}:{port}",
            ])
        lines += [
            ["ip", "route", "add", network, "via", inner.there, "dev", device]
            for network in self.networks
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


def make_tunnel(shell: Shell, name: str, tunnel: Tunnel, source: str) -> None:
    """Make this end; packets from ``source`` go through it with their own addresses."""
    text = "\n".join([
        HOST_LOCK, FORWARDING,
        f"if ip link show dev {tunnel.device} 2>/dev/null >&2; then exit 65; fi",
        tunnel.commands()[0], f'ip link set {tunnel.device} alias "$1"',
        *tunnel.commands()[1:], 'use_forwarding "$1"',
        f'tag="-o {tunnel.device} -m comment --comment $1"',
        f"iptables -w 30 -t nat -I POSTROUTING -s {source} $tag -j ACCEPT",
    ])
    with foreign_device(shell, tunnel.device):
        shell.script(text, name)


def delete_tunnel(shell: Shell, name: str, device: str) -> None:
    """Remove one end and its firewall rules; absent is success."""
    with foreign_device(shell, device):
        shell.script(_DELETE, name, device)
