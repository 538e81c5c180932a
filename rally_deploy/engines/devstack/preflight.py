"""A look at the servers before anything is changed; every hindrance is named at once."""

from __future__ import annotations

from rally_deploy.engines.devstack import ownership
from rally_deploy.engines.devstack.node import DEST, Node
from rally_deploy.errors import HostError
from rally_deploy.hosts.own_names import known_address
from rally_deploy.model import Server
from rally_deploy.ssh.base import Shell

#: What the smallest useful choice of services needs.
MEMORY_MIB = {"all": 1900, "compute": 700}
DISK_MIB = {"all": 4000, "compute": 2500}

_LOOK = ownership.OTHERS + r"""
user=$1
say() { echo "$1=$2"; }
say uid "$(id -u)"
say hostname "$(cat /proc/sys/kernel/hostname)"
say systemd "$([ -d /run/systemd/system ] && echo yes)"
for tool in apt-get dnf; do
    if command -v $tool >/dev/null; then say packages $tool; break; fi
done
if [ -e /etc/os-release ]; then . /etc/os-release; say title "$PRETTY_NAME"; fi
say memory "$(awk '/^MemTotal/{print int($2 / 1024)}' /proc/meminfo)"
limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null |
    grep -xE '[0-9]{1,15}' | head -n 1 || :)
if [ -n "$limit" ]; then say limit "$((limit / 1048576))"; fi
home=$(getent passwd "$user" | cut -d: -f6 || :)
say home "$home"
place=${home:-/opt}
while [ ! -d "$place" ]; do place=$(dirname "$place"); done
say disk "$(df -Pm "$place" | awk 'NR == 2 {print $4}')"
say stacked "$([ -e "${home:-/opt/stack}/devstack/.stackenv" ] && echo yes)"
say others "$(others "$user" /opt/stack "$2" "$3" | tr '\n' ';')"
say addresses "$(hostname -I 2>/dev/null || ip -4 -o addr show scope global |
    awk '{sub("/.*", "", $4); printf "%s ", $4}')"
say source "$(ip -4 route get 192.0.2.1 2>/dev/null |
    awk '{for (i = 1; i < NF; i++) if ($i == "src") print $(i + 1)}')"
# DevStack writes there whatever its settings are.
if [ -e /sys/kernel/mm/ksm/run ] && ! (: >>/sys/kernel/mm/ksm/run) 2>/dev/null; then
    say no_ksm yes
fi
if command -v python3 >/dev/null && ! python3 -c 'import socket
socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 8)' 2>/dev/null; then say no_iscsi yes; fi
"""


def look_at(
    server: Server, shell: Shell, user: str, role: str = "all", owner: str = "", job: str = ""
) -> Node:
    """What the server is; HostError with all that keeps DevStack from it.

    :param role: ``compute`` for a node of another's cloud, which needs less.
    :param owner: what a checkout of ours is marked with; ``job``: the name of its stack.sh.
    """
    told = shell.script(_LOOK, user, owner, job, quiet=True).stdout
    found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    hindrances = []
    if found.get("uid") != "0":
        hindrances.append(
            f"its user {server.user} is not root: use root, or set \"become\": true (sudo)")
    if user == "root":
        hindrances.append("DevStack refuses to run as root: give another 'user'")
    if "packages" not in found:
        hindrances.append(
            f"{found.get('title') or 'its system'} has neither apt-get nor dnf: DevStack runs on "
            "Debian, Ubuntu and relatives of RHEL")
    if found.get("systemd") != "yes":
        hindrances.append("systemd does not run there as the first process")
    others = ownership.told(found.get("others", "").strip(";").split(";"))
    if others:
        hindrances.append(
            f"another DevStack is there: {others}. Destroy the deployment that it is of, or run "
            "its unstack.sh and clean.sh and remove it; or take another server")
    hindrances += _too_small(found, role)
    address = known_address(
        server, found.get("addresses", "").split(), found.get("source", ""))
    if not address:
        hindrances.append("it has no IPv4 address besides its loopback's")
    if hindrances:
        raise HostError(
            server, "DevStack cannot be run here", "\n".join(hindrances),
            "nothing was changed on it; mend what is named, then 'rdeploy resume'",
        )
    lacks = frozenset(name[3:] for name in found if name.startswith("no_"))
    return Node(
        server, shell, found["hostname"], address, user, found.get("home") or DEST,
        bool(found.get("home")), lacks, found,
    )


def _too_small(found: dict[str, str], role: str) -> list[str]:
    problems = []
    memory = min(int(found[k]) for k in ("memory", "limit") if found.get(k))
    if memory < MEMORY_MIB[role]:
        problems.append(f"it has {memory} MiB of memory, DevStack needs {MEMORY_MIB[role]}")
    # What is there already has its space.
    if int(found["disk"]) < DISK_MIB[role] and found.get("stacked") != "yes":
        problems.append(
            f"it has {found['disk']} MiB of free disk, DevStack needs {DISK_MIB[role]}")
    return problems
