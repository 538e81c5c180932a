"""stack.sh on one server: begun once, watched live, attached to again after anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rally_deploy.engines.devstack import evidence, faster
from rally_deploy.engines.devstack.evidence import HUNG
from rally_deploy.engines.devstack.node import Node
from rally_deploy.engines.devstack.watch import Watch
from rally_deploy.errors import CommandTimeout
from rally_deploy.hosts.packages import APT
from rally_deploy.ssh import detached
from rally_deploy.ssh.base import Result, Shell
from rally_deploy.ssh.detached import JobState

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

# Its services are systemd's, so they outlive it. What filters its output ends a moment later
# than itself, with the last lines.
_RUN = """#!/bin/bash
cd "$2" || exit 1
user=$1
shift 2
runuser -u "$user" -- "$@" RDEPLOY_JOB="$RDEPLOY_JOB" ./stack.sh </dev/null
status=$?
for _ in {1..50}; do pgrep -u "$user" -f outfilter >/dev/null || break; sleep 0.1; done
exit $status
"""

# stack.sh goes on with what it finds; these it would trip over. What was there before us, and what
# is another account's, is not ours to mend.
_MEND = APT + r"""
user=$1 dest=$2 before=$3
if command -v dpkg >/dev/null; then mend >/dev/null; fi
for dir in "$dest"/*/; do
    if [ ! -d "$dir.git" ] || [ "$(stat -c %U "${dir%/}")" != "$user" ]; then continue; fi
    name=$(basename "$dir" | tr '\n' /)
    case $before in */"${name%/}"/*) continue ;; esac
    find "$dir.git" -maxdepth 3 -name '*.lock' -delete
    if ! runuser -u "$user" -- git -C "$dir" rev-parse -q --verify 'HEAD^{tree}' >/dev/null 2>&1
    then rm -rf "$dir"; fi
done
"""


def run(
    deployment: Deployment, node: Node, job: str, timeout_s: float, before: str = ""
) -> None:
    """Run stack.sh to its end; CloudBroken with what went wrong and what to do about it.

    A run of before is attached to if it is still on its way. One that has failed is followed by
    a new one in the same place, one that has succeeded by none.

    :param before: the names that were in DEST before us, between slashes.
    """
    shell = node.shell
    found = detached.status(shell, job)
    if found.state is JobState.ENDED and found.status == 0:
        return
    again = found.state is JobState.RUNNING
    with deployment.step("stack.sh", node.server), Watch(deployment, node, again) as watch:
        if found.state in (JobState.ENDED, JobState.DIED):
            # Of one whose leader alone was killed, others may still be at work.
            detached.end(shell, job)
            shell.script(_MEND, node.user, node.folders.dest, before, timeout_s=1200)
            detached.forget(shell, job)
        if again:
            deployment.note("stack.sh runs already: attached to it", node.server)
        else:
            environment = [*node.environment, *([faster.PIP] if node.ours else [])]
            detached.start(shell, job, _RUN, node.user, node.checkout, *environment)
        ended = _ended(shell, job, timeout_s, watch)
        if not ended.ok:
            raise evidence.broken(deployment, node, ended, list(watch.lines))
        watch.tell_timing()


def _ended(shell: Shell, job: str, timeout_s: float, watch: Watch) -> Result:
    """How it ended. One that takes too long is ended, so that a resume begins it again."""
    begin = time.monotonic()
    try:
        return detached.attach(shell, job, timeout_s, watch.line)
    except CommandTimeout:
        if time.monotonic() - begin < timeout_s:
            raise
        detached.end(shell, job)
    where = f", in '{watch.phase}'" if watch.phase else ""
    why = f"it was not done within {timeout_s:g} s{where}, and has been ended"
    return Result(job, HUNG, "\n".join(watch.lines), why, time.monotonic() - begin)
