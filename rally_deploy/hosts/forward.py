"""SSH from outside into a container: a port of the host that leads to it."""

from __future__ import annotations

from rally_deploy.hosts.network import DROP_RULES, FORWARDING, HOST_LOCK
from rally_deploy.ssh.base import Shell

#: Ports are given out from here on upwards, as Rally did.
FIRST_PORT = 1222

_MAKE = f"""
{HOST_LOCK}
name=$1 to=$2 port=$3
{FORWARDING}
taken=$(iptables-save -t nat; ss -Hltn | awk '{{sub(".*:", "", $4); print "--dport " $4 " "}}')
while echo "$taken" | grep -qF -- "--dport $port "; do port=$((port + 1)); done
use_forwarding "$name"
tag="-m comment --comment $name"
for chain in PREROUTING OUTPUT; do
    iptables -w 30 -t nat -A $chain ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -p tcp \\
        --dport "$port" $tag -j DNAT --to-destination "$to:22"
done
iptables -w 30 -I FORWARD -d "$to" -p tcp --dport 22 $tag -j ACCEPT
iptables -w 30 -I FORWARD -s "$to" -p tcp --sport 22 $tag -j ACCEPT
echo "port $port"
"""

_DELETE = f"""
{HOST_LOCK}
{FORWARDING}
{DROP_RULES}
drop_rules "$1"
leave_forwarding "$1"
"""


def make_forward(shell: Shell, name: str, address: str, first_port: int = FIRST_PORT) -> int:
    """Lead a port of the host to port 22 of an address; return the first port that was free."""
    return int(shell.script(_MAKE, name, address, str(first_port)).stdout.split()[-1])


def delete_forward(shell: Shell, name: str) -> None:
    shell.script(_DELETE, name)
