"""Why stack.sh failed, with what the server itself can say about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rally_deploy.engines.devstack.diagnosis import LOOK, Diagnosis, diagnose
from rally_deploy.engines.devstack.node import Node
from rally_deploy.engines.devstack.progress import STAMP
from rally_deploy.engines.devstack.watch import LINES_KEPT
from rally_deploy.errors import CloudBroken
from rally_deploy.ssh.base import Result, Shell

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: The status of a stack.sh that we have ended because it took too long, as of timeout(1).
HUNG = 124

#: Lines of each unit's journal that are read, and that are shown.
_READ, _SHOWN = 200, 12

#: A line of the summary. With VERBOSE off that is all that is printed, the rest is in this file;
#: else the trace has this line, and all is printed.
_LOG = re.compile(r"stack\.sh log (\S.*)")

_TAIL = """
cd "$1" && tail -n "$2" "$3"
"""

_JOURNAL = """
lines=$1; shift
for unit in "$@"; do
    text=$(journalctl -q -o cat --no-pager -n "$lines" -u "$unit" 2>/dev/null || :)
    if [ -n "$text" ]; then printf '\\001%s\\n%s\\n' "$unit" "$text"; fi
done
"""


def broken(
    deployment: Deployment, node: Node, ended: Result, lines: Sequence[str]
) -> CloudBroken:
    """The error that tells it: what stack.sh said last, its likely cause, and what to do."""
    log, lines = _log(lines), all_lines(node, lines)
    host = node.shell.script(
        LOOK, node.folders.dest, node.folders.data, check=False, quiet=True).stdout
    first = diagnose(lines, host=host)
    journals = _journals(node.shell, first.units)
    found = diagnose(lines, "\n".join(journals.values()), host)
    more = {u: t for u, t in journals.items() if u in found.units} or journals
    mask = deployment.mask
    # Without an exit status: then the last line is no error.
    error = ended.stderr or found.error or "no error told"
    return CloudBroken(
        mask(f"{node.label}: stack.sh failed: {error}"),
        mask("\n".join([found.text(), *_shown(more)])),
        _longer(found, log) if ended.status == HUNG and ended.stderr
        else found.remedy or _look_yourself(found, log),
    )


def all_lines(node: Node, lines: Sequence[str]) -> list[str]:
    """What stack.sh has told: these lines of its output, or those of its log if it has more."""
    log = _log(lines)
    if not log:
        return list(lines)
    tail = node.shell.script(
        _TAIL, node.checkout, str(LINES_KEPT), log, check=False, quiet=True)
    return tail.stdout.splitlines() or list(lines)


def _log(lines: Sequence[str]) -> str:
    """The file with what was not printed, as DevStack itself has named it; "" if there is none."""
    found = (_LOG.match(STAMP.sub("", line, count=1).rstrip()) for line in lines)
    return next((match[1] for match in found if match), "")


def _journals(shell: Shell, units: Sequence[str]) -> dict[str, str]:
    if not units:
        return {}
    told = shell.script(_JOURNAL, str(_READ), *units, check=False, quiet=True).stdout
    parts = (part.partition("\n") for part in told.split("\1")[1:])
    return {unit: text.strip() for unit, _, text in parts}


def _shown(journals: dict[str, str]) -> list[str]:
    lines = []
    for unit, text in journals.items():
        lines += [f"journal of {unit}:"]
        lines += [f"  {line}" for line in text.splitlines()[-_SHOWN:]]
    return lines


def _look_yourself(found: Diagnosis, log: str) -> str:
    output = f"{log} on the server" if log else "'rdeploy logs'"
    where = f", and 'journalctl -u {found.units[0]}' on that server" if found.units else ""
    return f"the whole output is in {output}{where}; 'rdeploy resume' runs stack.sh again"


def _longer(found: Diagnosis, log: str) -> str:
    """Of one that took too long: slow, or hung in what its last command waits for."""
    otherwise = found.remedy or _look_yourself(found, log)
    return f"raise 'timeout_s' if it was only slow; else {otherwise}"
