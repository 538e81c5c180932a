"""A network of our own on a host: bridge, address, NAT, name service; and its removal.

One network is one unit: made by one script under the host's lock, removed by another, found by its
bridge's name and by the comment on its firewall rules. Works with and without systemd, and beside
the networks of LXC, libvirt and Docker.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from rally_deploy.errors import CommandFailed, HostError
from rally_deploy.hosts import foreign
from rally_deploy.hosts.addresses import gateway, mac_address
from rally_deploy.ssh.base import Shell

#: One change of a host's networks at a time, whoever makes it. The lock is on a folder that every
#: host has, so that it leaves no file.
HOST_LOCK = """exec 9</var/lib
flock -w 100 9 || {
    echo "another change of this host's networks has not ended within 100 s" >&2; exit 75
}"""

#: drop_rules TAG: every firewall rule with this comment. `iptables` may not be there yet.
DROP_RULES = """
rules_of() { iptables-save -t "$1" 2>/dev/null | grep -E -- "--comment \\"?$2\\"?( |$)" || :; }
drop_rules() {
    command -v iptables-save >/dev/null || return 0
    for table in nat filter; do
        rules_of $table "$1" | sed 's/^-A/-D/;s/"//g' | while read -r rule; do
            iptables -w 30 -t $table $rule
        done
        if [ -n "$(rules_of $table "$1")" ]; then
            echo "firewall rules of $1 are still there" >&2; return 1
        fi
    done
}
"""

#: remove_link DEVICE NAME: only if it carries the name that we gave it.
REMOVE_LINK = """
remove_link() {
    shown=$(ip link show dev "$1" 2>/dev/null || :)
    if [ -z "$shown" ]; then return 0; fi
    case $shown in
        *"alias $2"*) ip link del dev "$1" ;;
        *) echo "$shown" >&2; exit 65 ;;
    esac
}
"""

#: Forwarding is switched on for as long as somebody of ours needs it; then it is as it was. So is
#: the number of inotify instances: each container's systemd needs some, usually there are 128.
FORWARDING = """
forwarding=/run/rdeploy-ip_forward
instances=/proc/sys/fs/inotify/max_user_instances
use_forwarding() {
    mkdir -p $forwarding
    [ -e $forwarding/was ] || cat /proc/sys/net/ipv4/ip_forward >$forwarding/was
    : >"$forwarding/used-by-$1"
    echo 1 >/proc/sys/net/ipv4/ip_forward
    if [ -w $instances ] && [ "$(cat $instances)" -lt 65536 ]; then
        [ -e $forwarding/instances ] || cat $instances >$forwarding/instances
        echo 65536 >$instances
    fi
}
leave_forwarding() {
    rm -f "$forwarding/used-by-$1"
    [ -e $forwarding/was ] || return 0
    for user in $forwarding/used-by-*; do [ ! -e "$user" ] || return 0; done
    cat $forwarding/was >/proc/sys/net/ipv4/ip_forward
    if [ -e $forwarding/instances ]; then cat $forwarding/instances >$instances; fi
    rm -rf $forwarding
}
"""

_STOP_DNSMASQ = """
pid_file=/run/$name.dnsmasq.pid
stop_dnsmasq() {
    pid=$(cat "$pid_file" 2>/dev/null || :)
    if [ -n "$pid" ] && grep -qaF -- "$pid_file" "/proc/$pid/cmdline" 2>/dev/null; then
        kill "$pid" || :  # it may end by itself just now
        for _ in 1 2 3 4 5 6 7 8 9 10; do
            grep -qaF -- "$pid_file" "/proc/$pid/cmdline" 2>/dev/null || break
            sleep 0.1
        done
    fi
    rm -f "$pid_file"
}
"""

_MAKE = f"""
{HOST_LOCK}
name=$1 bridge=$2 mac=$3; shift 3
{FORWARDING}
{_STOP_DNSMASQ}
if ip link show dev "$bridge" >/dev/null 2>&1; then
    ip link show dev "$bridge" >&2; exit 65
fi
chosen=
for candidate in "$@"; do
    used=$(ip -4 route show table all root "$candidate"
        ip -4 route show table all match "$candidate" | grep -v -E '^(unreachable )?default' || :)
    if [ -z "$used" ]; then chosen=$candidate; break; fi
done
if [ -z "$chosen" ]; then echo "$used" >&2; exit 66; fi
base=${{chosen%/*}}
address=${{base%.*}}.$((${{base##*.}} + 1))
ip link add name "$bridge" address "$mac" type bridge forward_delay 0 stp_state 0
ip link set "$bridge" alias "$name"
ip addr add "$address/${{chosen#*/}}" brd + dev "$bridge"
ip link set "$bridge" up
use_forwarding "$name"
rule() {{ iptables -w 30 "$@"; }}
tag="-m comment --comment $name"
rule -t nat -A POSTROUTING -s "$chosen" ! -d "$chosen" $tag -j MASQUERADE
rule -I FORWARD -i "$bridge" $tag -j ACCEPT
rule -I FORWARD -o "$bridge" $tag -j ACCEPT
rule -I INPUT -i "$bridge" -p udp --dport 53 $tag -j ACCEPT
rule -I INPUT -i "$bridge" -p tcp --dport 53 $tag -j ACCEPT
user=nobody; if id dnsmasq >/dev/null 2>&1; then user=dnsmasq; fi
dnsmasq --conf-file=/dev/null --user=$user --pid-file="$pid_file" --bind-interfaces \\
    --interface="$bridge" --except-interface=lo --listen-address="$address" 9<&-
echo "network $chosen"
"""

_DELETE = f"""
{HOST_LOCK}
name=$1 bridge=$2
{FORWARDING}
{_STOP_DNSMASQ}
{DROP_RULES}
{REMOVE_LINK}
stop_dnsmasq
drop_rules "$name"
remove_link "$bridge" "$name"
leave_forwarding "$name"
"""


@dataclass(frozen=True)
class Network:
    """Where the containers of one host get their addresses."""

    bridge: str
    cidr: str

    @property
    def network(self) -> ipaddress.IPv4Network:
        return ipaddress.IPv4Network(self.cidr)

    @property
    def gateway(self) -> str:
        return gateway(self.network)


def make_network(
    shell: Shell, name: str, bridge: str, candidates: Sequence[ipaddress.IPv4Network]
) -> Network:
    """Make a network with the first of the candidates that is free on this host.

    Raises HostError if none of them is, saying what is in the way.
    """
    try:
        with foreign_device(shell, bridge):
            made = shell.script(
                _MAKE, name, bridge, mac_address(name), *(str(c) for c in candidates)
            )
    except CommandFailed as error:
        if error.status == 66:
            wanted = str(candidates[0]) if len(candidates) == 1 else "any network of the pool"
            raise HostError(
                shell.server, f"{wanted} is in use on this host", error.stderr,
                "give another 'start_lxc_network', or remove what is named",
            ) from error
        raise
    return Network(bridge, made.stdout.split()[-1])


def delete_network(shell: Shell, name: str, bridge: str) -> None:
    """Remove what :func:`make_network` made, or a part of it; absent is success."""
    with foreign_device(shell, bridge):
        shell.script(_DELETE, name, bridge)


def foreign_device(shell: Shell, device: str) -> AbstractContextManager[None]:
    """Say clearly that a device of our name is not ours."""
    return foreign.told(
        shell, f"an interface {device}", f"ip link show {device}", f"ip link del {device}")
