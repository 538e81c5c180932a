"""A look at the servers before anything is installed; every hindrance is named at once."""

from __future__ import annotations

from rally_deploy.engines.distro import releases
from rally_deploy.engines.distro.cloud import APIS, BROKER_PORT, Node
from rally_deploy.errors import HostError
from rally_deploy.hosts.own_names import known_address
from rally_deploy.model import Server
from rally_deploy.ssh.base import Shell

MEMORY_MIB = {"controller": 3000, "compute": 900}
DISK_MIB = {"controller": 6000, "compute": 3000}

_LOOK = r"""
say() { echo "$1=$2"; }
say uid "$(id -u)"
say hostname "$(cat /proc/sys/kernel/hostname)"
say systemd "$([ -d /run/systemd/system ] && echo yes)"
say arch "$(dpkg --print-architecture 2>/dev/null)"
say cores "$(getconf _NPROCESSORS_ONLN)"
if [ -e /etc/os-release ]; then
    . /etc/os-release
    say id "$ID"; say version "$VERSION_ID"; say title "$PRETTY_NAME"
fi
say memory "$(awk '/^MemTotal/{print int($2 / 1024)}' /proc/meminfo)"
limit=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null |
    grep -xE '[0-9]{1,15}' | head -n 1 || :)
if [ -n "$limit" ]; then say limit "$((limit / 1048576))"; fi
say disk "$(df -Pm /var | awk 'NR == 2 {print $4}')"
say installed "$(dpkg-query -W -f '${db:Status-Abbrev}' keystone 2>/dev/null || :)"
say addresses "$(hostname -I 2>/dev/null || ip -4 -o addr show scope global |
    awk '{sub("/.*", "", $4); printf "%s ", $4}')"
say source "$(ip -4 route get 192.0.2.1 2>/dev/null |
    awk '{for (i = 1; i < NF; i++) if ($i == "src") print $(i + 1)}')"
"""


# Prints the ports that do not answer. (A bash of sshd's would read ~/.bashrc first.)
_REACH = """
address=$1; shift
for port in "$@"; do
    timeout 10 bash --norc -c 'exec 3<>"/dev/tcp/$0/$1"' "$address" "$port" 2>/dev/null ||
        echo "$port"
done
"""


def look_at(server: Server, shell: Shell, roles: frozenset[str]) -> Node:
    """What the server is; HostError with all that keeps it from being what its roles need."""
    found = dict(
        line.split("=", 1)
        for line in shell.script(_LOOK, quiet=True).stdout.splitlines() if "=" in line
    )
    hindrances = []
    if found.get("uid") != "0":
        hindrances.append(
            f"its user {server.user} is not root: use root, or set \"become\": true (sudo)")
    release = releases.find(found.get("id", ""), found.get("version", ""))
    if release is None:
        hindrances.append(
            f"{found.get('title') or 'its system'} is not supported; supported are "
            + releases.supported_text())
    if found.get("systemd") != "yes":
        hindrances.append("systemd does not run there as the first process")
    hindrances += _too_small(found, roles)
    address = known_address(
        server, found.get("addresses", "").split(), found.get("source", ""))
    if not address:
        hindrances.append("it has no IPv4 address besides its loopback's")
    if hindrances or release is None:
        raise HostError(
            server, "OpenStack cannot be installed here", "\n".join(hindrances),
            "nothing was changed on it; mend what is named, then 'rdeploy resume'",
        )
    return Node(
        server, shell, found["hostname"], address, release, roles, int(found.get("cores") or 1)
    )


def _too_small(found: dict[str, str], roles: frozenset[str]) -> list[str]:
    role = "controller" if "controller" in roles else "compute"
    memory = min(int(found[k]) for k in ("memory", "limit") if found.get(k))
    problems = []
    if memory < MEMORY_MIB[role]:
        problems.append(
            f"it has {memory} MiB of memory, a {role} needs {MEMORY_MIB[role]}")
    # What is installed already has its space.
    if int(found["disk"]) < DISK_MIB[role] and not found.get("installed", "").startswith("ii"):
        problems.append(
            f"it has {found['disk']} MiB of free disk below /var, a {role} needs {DISK_MIB[role]}")
    return problems


def require_controller(node: Node, address: str) -> None:
    """HostError that says which services of the controller do not answer this node."""
    ports = {**{name: port for name, (_, port, _) in APIS.items() if name != "nova"},
             "the broker": BROKER_PORT}
    done = node.shell.script(_REACH, address, *(str(p) for p in ports.values()), quiet=True)
    silent = [f"{name} (port {port})" for name, port in ports.items()
              if str(port) in done.stdout.split()]
    if silent:
        raise HostError(
            node.server, f"its controller {address} does not answer",
            "\n".join(f"no answer of {name}" for name in silent),
            "the controller must be a DistroEngine's whose first role is \"controller\", and "
            "must be reached from here; then 'rdeploy resume'",
        )
