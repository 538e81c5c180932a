"""The bridges below Neutron, made anew at every start of the node by a unit of its own.

``br-ex`` carries the external network. Where the provider left addresses free beside the server's
own (``facts["free_range"]``), it takes over the server's interface with its address, so that
floating addresses are neighbours of the server and reached by whoever reaches it. Elsewhere it is
a network inside the controller: nothing of a machine that is not ours is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from rally_deploy.engines.distro.cloud import Cloud, Node
from rally_deploy.hosts.files import File, put_all
from rally_deploy.hosts.systemd import Unit, start
from rally_deploy.ssh.base import STATE_DIR

EXTERNAL_BRIDGE = "br-ex"
TUNNEL_BRIDGE = "br-rd-tun"
#: An all-in-one's end of its tunnels: it stays when the server's own address changes.
TUNNEL_ADDRESS = "198.18.255.1"
UNIT = "rdeploy-bridges"
SCRIPT = "/usr/local/lib/rdeploy/bridges"
UNIT_FILE = f"/etc/systemd/system/{UNIT}.service"


@dataclass(frozen=True)
class External:
    """The external network. ``shared``: on the server's own network, with addresses of that."""

    cidr: str
    gateway: str
    first: str
    last: str
    shared: bool


#: Inside the controller, where the server's own network has no addresses for us.
INSIDE = External("172.24.4.0/24", "172.24.4.1", "172.24.4.2", "172.24.4.254", shared=False)


def external_of(node: Node) -> External:
    """What the provider says of the controller's network, or one inside the controller."""
    facts = node.server.facts
    if not (facts.get("network") and facts.get("gateway") and facts.get("free_range")):
        return INSIDE
    first, _, last = str(facts["free_range"]).partition("-")
    return External(
        str(facts["network"]), str(facts["gateway"]), first.strip(), last.strip(), shared=True
    )


_TUNNEL = f"""
if ! ip link show {TUNNEL_BRIDGE} >/dev/null 2>&1; then
    ip link add {TUNNEL_BRIDGE} type bridge
fi
ip addr replace {TUNNEL_ADDRESS}/32 dev {TUNNEL_BRIDGE}
ip link set {TUNNEL_BRIDGE} up
"""

_SHARED = f"""
nic=$(ip -4 route show default | sed -n '1s/.* dev \\([^ ]*\\).*/\\1/p')
if [ -n "$nic" ] && [ "$nic" != {EXTERNAL_BRIDGE} ]; then
    ip link show {EXTERNAL_BRIDGE} >/dev/null 2>&1 ||
        ip link add {EXTERNAL_BRIDGE} type bridge forward_delay 0 stp_state 0
    ip link set {EXTERNAL_BRIDGE} address "$(cat "/sys/class/net/$nic/address")" up
    addresses=$(ip -4 -o addr show dev "$nic" scope global | awk '{{print $4}}')
    gateway=$(ip -4 route show default dev "$nic" | awk '{{print $3; exit}}')
    # All at once: our own connection comes in by this interface.
    ip addr flush dev "$nic"
    ip link set "$nic" master {EXTERNAL_BRIDGE}
    for address in $addresses; do ip addr replace "$address" brd + dev {EXTERNAL_BRIDGE}; done
    ip route replace default via "$gateway" dev {EXTERNAL_BRIDGE}
fi
"""

# Traffic between a router and its tenants comes through here too, bridged: not to be touched.
MASQUERADE = (
    f"-s {INSIDE.cidr} ! -d {INSIDE.cidr} -m physdev ! --physdev-is-bridged "
    f"-m comment --comment {UNIT} -j MASQUERADE"
)

_INSIDE = f"""
if ! ip link show {EXTERNAL_BRIDGE} >/dev/null 2>&1; then
    ip link add {EXTERNAL_BRIDGE} type bridge forward_delay 0 stp_state 0
fi
ip addr replace {INSIDE.gateway}/24 dev {EXTERNAL_BRIDGE}
ip link set {EXTERNAL_BRIDGE} up
was={STATE_DIR}/ip_forward.distro
[ -e $was ] || cat /proc/sys/net/ipv4/ip_forward >$was
echo 1 >/proc/sys/net/ipv4/ip_forward
rule="{MASQUERADE}"
iptables -w 30 -t nat -C POSTROUTING $rule 2>/dev/null ||
    iptables -w 30 -t nat -A POSTROUTING $rule
"""

_TUN_DEVICE = """
if [ ! -e /dev/net/tun ]; then mkdir -p /dev/net; mknod /dev/net/tun c 10 200; fi
chmod 666 /dev/net/tun
"""

_UNIT_TEXT = f"""# Written by rdeploy
[Unit]
Description=Bridges of the OpenStack of rdeploy
After=network.target networking.service systemd-networkd.service
Before=neutron-linuxbridge-agent.service nova-compute.service libvirtd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={SCRIPT}

[Install]
WantedBy=multi-user.target
"""


def make_bridges(cloud: Cloud, node: Node) -> None:
    """Make what a node needs of them, now and at its every start."""
    parts = ["#!/bin/sh", "# Written by rdeploy", "set -e", _TUN_DEVICE]
    if cloud.alone:
        parts.append(_TUNNEL)
    if node.has("controller"):
        parts.append(_SHARED if external_of(node).shared else _INSIDE)
    put_all(node.shell, [
        File(SCRIPT, "\n".join(parts), 0o755), File(UNIT_FILE, _UNIT_TEXT),
    ])
    node.shell.run(["systemctl", "daemon-reload"])
    start(node.shell, [Unit(UNIT, [SCRIPT])], block=True)
