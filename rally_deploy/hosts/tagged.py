"""What on a host carries the tag of a deployment: containers, interfaces, firewall rules ...

What is in a cloud or on a hypervisor is told by its provider (``tagged``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rally_deploy.ssh.base import STATE_DIR, Shell

# Behind the tag of an interface, which has little room, its suffix follows at once.
_TAG = re.compile(r"\brd-([0-9a-f]{8})(?![0-9a-z])|^rd([0-9a-f]{8})")

_NAME = re.compile(r"rd-([0-9a-f]{8})-")

# Every part may fail: a host without LXC has no containers. Nothing is changed.
_LIST = """
set +e
lxc-ls -1 2>/dev/null | sed 's/^/container\\t/'
ip -o link show 2>/dev/null | sed -n 's/^[0-9]*: \\([^:@]*\\).*/interface\\t\\1/p'
for table in nat filter mangle; do
    iptables-save -t $table 2>/dev/null |
        sed -n "s/.*--comment \\"\\{0,1\\}\\([^\\" ]*\\).*/firewall rules\\t\\1/p"
done
ls -1 /run 2>/dev/null | sed -n 's/^\\(.*\\)\\.dnsmasq\\.pid$/name service\\t\\1/p'
find "$1" -mindepth 1 -maxdepth 2 -name 'rd-*' ! -name '*.lock' -printf 'files\\t%f\\n' 2>/dev/null
:
"""


@dataclass(frozen=True, order=True)
class Tagged:
    """A thing on a host whose name has the tag of a deployment in it."""

    kind: str
    name: str
    tag: str  # the first 8 characters of a deployment's uuid


def named(kind: str, name: str) -> Iterator[Tagged]:
    """The thing of this name, if that is one that a deployment gives to what it makes."""
    found = _NAME.match(name)
    if found:
        yield Tagged(kind, name, found.group(1))


def list_tagged(shell: Shell) -> list[Tagged]:
    """Everything on this host that rdeploy made, for whichever deployment and database."""
    return parse_tagged(shell.script(_LIST, STATE_DIR, quiet=True).stdout.splitlines())


def parse_tagged(lines: Iterable[str]) -> list[Tagged]:
    """Those of the lines ``kind TAB name`` whose name has a tag, each once."""
    found = set()
    for line in lines:
        kind, _, name = line.partition("\t")
        # Our own names begin with the tag; DistroEngine and others may put theirs before it.
        tag = _TAG.search(name)
        if tag:
            found.add(Tagged(kind, name, tag.group(1) or tag.group(2)))
    return sorted(found)
