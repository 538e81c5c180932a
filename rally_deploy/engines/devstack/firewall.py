"""The firewall of a server: what DevStack's services need let in, and nothing flushed."""

from __future__ import annotations

from rally_deploy.hosts.network import DROP_RULES, HOST_LOCK
from rally_deploy.ssh.base import Shell

#: APIs behind the web server, consoles, image service, Neutron; database and broker for computes.
TCP_PORTS = "80,443,3306,5672,6080,6641,6642,8774,8775,9292,9696"
#: Tunnels between nodes: VXLAN, Geneve.
UDP_PORTS = "4789,6081"

# A chain that lets everything in needs no rule of ours.
_OPEN = f"""
{HOST_LOCK}
command -v iptables >/dev/null || exit 0
rules=$(iptables -w 30 -S INPUT 2>/dev/null || :)
case $rules in *"-P INPUT DROP"*|*"-j DROP"*|*"-j REJECT"*|*"-j ufw-"*|*"-j INPUT_"*) ;;
    *) exit 0 ;; esac
for kind in "tcp {TCP_PORTS}" "udp {UDP_PORTS}"; do
    set -- "$1" $kind
    rule="-p $2 -m multiport --dports $3 -m comment --comment $1 -j ACCEPT"
    iptables -w 30 -C INPUT $rule 2>/dev/null || iptables -w 30 -I INPUT 1 $rule
done
"""

_CLOSE = f"""
{HOST_LOCK}
{DROP_RULES}
drop_rules "$1"
"""


def open_ports(shell: Shell, name: str) -> None:
    """Let others reach the services, by rules that carry the name, if the firewall is closed."""
    shell.script(_OPEN, name)


def close_ports(shell: Shell, name: str) -> None:
    shell.script(_CLOSE, name)
