"""DevStack itself on a server: from a repository of this machine, or of any address."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import HostError, UsageError

# Moved to its place once it is whole, so that a half of it is never taken for it.
_CLONE = """
repo=$1 branch=$2 dir=$3 from=${4:-$1} mark=.git/rdeploy-source new=$3.rdeploy-new
if [ -e "$dir" ] && [ ! -e "$dir/$mark" ]; then
    echo "$dir is there already, and it is not ours" >&2; exit 65
fi
if [ -e "$dir" ] && [ "$(cat "$dir/$mark")" = "$repo $branch" ]; then exit 0; fi
rm -rf "$new"
# A commit is no branch that could be cloned.
if ! git clone -q --branch "$branch" "$from" "$new" 2>"$new.log"; then
    git clone -q "$from" "$new" && git -C "$new" checkout -q "$branch" || {
        cat "$new.log" >&2; rm -rf "$new" "$new.log"; exit 66
    }
fi
rm -f "$new.log"
git -C "$new" remote set-url origin "$repo"
echo "$repo $branch" >"$new/$mark"
rm -rf "$dir"
mv "$new" "$dir"
"""


def fetch(node: Node, repo: str, branch: str) -> str:
    """Make the checkout unless an earlier run has; returns its commit and that one's date."""
    sent = ""
    if is_local(repo):
        sent = f"{node.home}/.rdeploy-devstack.git"
        _send(node, repo, branch, sent)
    try:
        done = node.shell.run(
            [*node.environment, "sh", "-ec", _CLONE, "clone", repo, branch, node.checkout, sent],
            user=node.user, timeout_s=900, lock=f"devstack-source-{node.user}", check=False,
        )
    finally:
        if sent:
            node.shell.run(["rm", "-rf", sent])
    if not done.ok:
        raise HostError(
            node.server, f"DevStack cannot be cloned from {repo} at {branch}",
            "\n".join((done.stdout + done.stderr).splitlines()[-12:]),
            "see that this server reaches that address, and that 'devstack_branch' is a branch "
            "there, then 'rdeploy resume'",
        )
    shown = node.shell.run(
        [*node.environment, "git", "-C", node.checkout, "log", "-1", "--format=%h of %cs"],
        user=node.user, check=False, quiet=True,
    )
    return shown.stdout.strip()


def is_local(repo: str) -> bool:
    """Whether it is a path of our machine, and no address."""
    return repo.startswith(("/", "./", "../", "~")) or Path(repo).exists()


def _send(node: Node, repo: str, branch: str, to: str) -> None:
    """Put a small copy of our repository there: one commit, whatever ours is made of."""
    path = os.path.abspath(os.path.expanduser(repo))
    with tempfile.TemporaryDirectory() as folder:
        # A bundle of a shallow repository could not be cloned; this can.
        made = _git([
            "clone", "-q", "--bare", "--depth", "1", "--single-branch", "--branch", branch,
            f"file://{path}", f"{folder}/copy",
        ])
        if made.returncode:
            raise UsageError(
                f"{repo} cannot be cloned at {branch}", made.stderr,
                "mend 'devstack_repo' and 'devstack_branch' in the config",
            )
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(f"{folder}/copy", arcname=".", filter=_nobody)
    node.shell.run(["rm", "-rf", to])
    node.shell.run(["mkdir", "-p", to], user=node.user)
    node.shell.run(
        ["tar", "-x", "-C", to, "-f", "-"], stdin=buffer.getvalue(), user=node.user,
        timeout_s=300, quiet=True,
    )


def _nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uname = entry.gname = ""
    entry.uid = entry.gid = 0
    return entry


def _git(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=600, check=False,
            stdin=subprocess.DEVNULL,
        )
    except OSError as error:
        raise UsageError(
            "git is not on this machine", str(error),
            "install git, or give 'devstack_repo' as an address that the servers reach",
        ) from error
