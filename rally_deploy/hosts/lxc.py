"""LXC containers on a host: its preparation, and clones of a base from making to end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from rally_deploy.errors import CommandFailed, HostError, WaitTimeout
from rally_deploy.hosts import foreign
from rally_deploy.hosts import lxc_scripts as scripts
from rally_deploy.hosts.packages import APT
from rally_deploy.ssh.base import Shell

#: What is asked for on a host, and the Debian or Ubuntu package that brings it.
_NEEDS = {
    "lxc-copy": "lxc", "/usr/share/lxc/templates/lxc-debian": "lxc-templates",
    "debootstrap": "debootstrap", "rsync": "rsync", "brctl": "bridge-utils",
    "iptables-save": "iptables", "dnsmasq": "dnsmasq-base", "newuidmap": "uidmap",
    "ip": "iproute2", "wget": "wget", "ssh-keygen": "openssh-client", "openssl": "openssl",
}

#: Ubuntu's releases with long support, the newest first. The template's own default is of 2016.
_UBUNTU = ("resolute", "noble", "jammy")

# Words go in, facts come out: one command for all that is to be known beforehand.
_LOOK = f"""
(. /etc/os-release; echo "os ${{ID:-unknown}} ${{VERSION_CODENAME:-}}")
echo "uid $(id -u)"
echo "lxc $(lxc-copy --version 2>/dev/null || :)"
for suite in {' '.join(_UBUNTU)}; do
    [ ! -e /usr/share/debootstrap/scripts/$suite ] || echo "ubuntu $suite"
done
while [ $# -gt 0 ]; do
    case $1 in
        /*) [ -e "$1" ] || echo "missing $2" ;;
        *) command -v "$1" >/dev/null || echo "missing $2" ;;
    esac
    shift 2
done
"""

# lxc-net is not wanted: networks are our own, and it would take one more of the host's.
_INSTALL = APT + """
command -v apt-get >/dev/null || { echo "no apt-get on this host" >&2; exit 70; }
mend
apt_get update
apt_get install "$@"
"""

_OLDEST_LXC = (5, 0)


@dataclass(frozen=True)
class Container:
    """A container to be cloned from a base. No ``address``: the network's DHCP gives one."""

    name: str
    base: str
    hostname: str
    bridge: str
    mac: str
    veth: str
    address: str = ""  # with its prefix length
    gateway: str = ""
    nameservers: str = "host"  # separated by spaces; "host": those of the host
    lines: Sequence[str] = ()  # for its LXC configuration, as they are
    whole: bool = False  # a root of its own, even where it could be an overlay over the base's


@dataclass(frozen=True)
class HostFacts:
    """What a host is, and what it lacks to run containers."""

    distribution: str
    release: str
    lxc_version: str
    missing: tuple[str, ...]  # packages
    ubuntu: str = ""  # the newest release with long support that its debootstrap knows


def look_at(shell: Shell) -> HostFacts:
    """Look what a host is and lacks, without changing anything. HostError if we are not root."""
    words = [word for need in _NEEDS.items() for word in need]
    facts: dict[str, list[str]] = {"os": [], "uid": [], "lxc": [], "missing": [], "ubuntu": []}
    for line in shell.script(_LOOK, *words, quiet=True).stdout.splitlines():
        kind, _, rest = line.partition(" ")
        facts[kind].append(rest)
    if facts["uid"] != ["0"]:
        raise HostError(
            shell.server, f"containers need root, and {shell.server.user} is not root there",
            remedy="log in as root, or set 'become' to true for a user who may use sudo",
        )
    distribution, _, release = facts["os"][0].partition(" ")
    return HostFacts(
        distribution, release, facts["lxc"][0], tuple(dict.fromkeys(facts["missing"])),
        "".join(facts["ubuntu"][:1]),
    )


def install_packages(shell: Shell, packages: Sequence[str]) -> None:
    """Install packages that stay on the host after the deployment's end."""
    try:
        shell.script(_INSTALL, *packages, timeout_s=900, lock="packages")
    except CommandFailed as error:
        raise HostError(
            shell.server, f"the packages {', '.join(packages)} could not be installed",
            error.stderr[-1500:], "install them by hand, then 'rdeploy resume'",
        ) from error


def check_version(shell: Shell, version: str) -> None:
    """Raise HostError if the host's LXC is too old to be driven by us."""
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:2])
    if numbers < _OLDEST_LXC:
        raise HostError(shell.server, f"its LXC is {version}; 5.0 or later is needed",
                        remedy="take a host with a newer distribution")


def clone(shell: Shell, container: Container, authorized_key: str) -> str:
    """Make a container, not started yet; returns how: overlay, snapshot or copy."""
    c = container
    with _foreign(shell, c.name):
        made = shell.script(
            scripts.MAKE, c.name, c.base, c.hostname, c.bridge, c.mac, c.veth, c.address,
            c.gateway, c.nameservers, authorized_key, "\n".join(c.lines),
            "whole" if c.whole else "", timeout_s=900,
        )
    return made.stdout.split()[-1]


def _foreign(shell: Shell, name: str) -> AbstractContextManager[None]:
    return foreign.told(
        shell, f"a container {name}", f"lxc-info -n {name}", f"lxc-destroy -f -n {name}")


def start(shell: Shell, name: str) -> None:
    """Start a container; one that runs already is left as it is."""
    try:
        # What makes a clone a node of its own is a part of its start.
        shell.script(scripts.START, name, timeout_s=600)
    except CommandFailed as error:
        if error.status == 69:
            raise HostError(
                shell.server, f"{name} could not be made a node of its own, and was not started",
                error.stderr, "mend what is named in the config, destroy and create it again",
            ) from error
        raise HostError(
            shell.server, f"container {name} does not start", error.stderr,
            f"try 'lxc-start -F -n {name}' on the host",
        ) from error


def stop(shell: Shell, name: str, timeout_s: int = 60) -> None:
    """Shut a container down, and kill it if that takes longer than ``timeout_s``."""
    shell.script(scripts.STOP, name, str(timeout_s), timeout_s=timeout_s + 60)


def delete(shell: Shell, name: str, bridge: str = "", address: str = "") -> None:
    """Remove a container, running or half-made; returns when it was seen gone."""
    with _foreign(shell, name):
        shell.script(scripts.DELETE, name, bridge, address, timeout_s=300)


def addresses(shell: Shell, name: str) -> list[str]:
    """The IPv4 addresses that a running container has by now."""
    said = shell.run(["lxc-info", "-n", name, "-iH"], check=False, quiet=True).stdout.split()
    return [word for word in said if re.fullmatch(r"\d+(\.\d+){3}", word)]


def wait_for_ssh(shell: Shell, wanted: Sequence[str], timeout_s: int = 300) -> None:
    """Return when an SSH server answers at each of the addresses, as seen from the host."""
    try:
        shell.script(scripts.WAIT, str(timeout_s), *wanted, timeout_s=timeout_s + 60, quiet=True)
    except CommandFailed as error:
        if error.status != 69:
            raise
        raise WaitTimeout(
            f"{shell.server.label}: no SSH server answers at {error.stderr.strip()} "
            f"within {timeout_s} s",
            remedy="look into the container from the host: 'lxc-attach -n NAME'; then resume",
        ) from error
