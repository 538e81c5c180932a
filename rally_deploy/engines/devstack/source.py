"""DevStack itself on a server: from a repository of this machine, or of any address."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rally_deploy.engines.devstack.node import Node
from rally_deploy.engines.devstack.ownership import MARK
from rally_deploy.errors import HostError, UsageError

# Moved to its place once it is whole, and away from it before it is removed: a half of it is never
# taken for it, nor for another's.
_CLONE = """
owner=$1 repo=$2 branch=$3 dir=$4 from=${5:-$2} mark=MARK
new=$dir.rdeploy-new old=$dir.rdeploy-old
if [ -e "$dir" ]; then
    made=$(cat "$dir/$mark" 2>/dev/null || :)
    if [ "$made" = "$owner $repo $branch" ]; then exit 0; fi
    case $made in "$owner "*) ;; *)
        echo "$dir is there already, and it is not of this deployment" >&2; exit 65 ;; esac
fi
rm -rf "$new" "$old"
# A commit is no branch that could be cloned.
if ! git clone -q --branch "$branch" "$from" "$new" 2>"$new.log"; then
    git clone -q "$from" "$new" && git -C "$new" checkout -q "$branch" || {
        cat "$new.log" >&2; rm -rf "$new" "$new.log"; exit 66
    }
fi
rm -f "$new.log"
git -C "$new" remote set-url origin "$repo"
echo "$owner $repo $branch" >"$new/$mark"
if [ -e "$dir" ]; then mv -T "$dir" "$old"; fi
mv -T "$new" "$dir"
rm -rf "$old"
""".replace("MARK", MARK)

_NOT_OURS = 65
_COMMIT = re.compile("[0-9a-f]{7,40}")
#: As git tells them from paths: a colon before the first slash.
_HOST_AND_PATH = re.compile(r"(?:[^\s/:@]+@)?(?:\[[0-9A-Fa-f:]+\]|[^\s/:]+):")


def fetch(node: Node, owner: str, repo: str, branch: str) -> None:
    """Make the checkout unless an earlier run has.

    :param owner: what it is marked with: nobody else takes it for theirs.
    """
    sent = ""
    if not is_address(repo):
        sent = f"{node.home}/.rdeploy-devstack.git"
        _send(node, repo, branch, sent)
    try:
        done = node.shell.run(
            [*node.environment, "sh", "-ec", _CLONE, "clone", owner, repo, branch, node.checkout,
             sent],
            user=node.user, timeout_s=900, lock=f"devstack-source-{node.user}", check=False,
        )
    finally:
        if sent:
            node.shell.run(["rm", "-rf", sent])
    if done.status == _NOT_OURS:
        raise HostError(
            node.server, "another DevStack is there", done.stderr.strip(),
            "destroy the deployment that it is of, or remove it, then 'rdeploy resume'",
        )
    if not done.ok:
        raise HostError(
            node.server, f"DevStack cannot be cloned from {repo} at {branch}",
            "\n".join((done.stdout + done.stderr).splitlines()[-12:]),
            "see that this server reaches that address, and that 'devstack_branch' is a branch "
            "there, then 'rdeploy resume'",
        )


def commit(node: Node) -> str:
    """The checkout's commit and that one's date."""
    shown = node.shell.run(
        [*node.environment, "git", "-C", node.checkout, "log", "-1", "--format=%h of %cs"],
        user=node.user, check=False, quiet=True,
    )
    return shown.stdout.strip()


def is_address(repo: str) -> bool:
    """Whether it is a URL or HOST:PATH, which a server finds as we do, and no path of ours."""
    return "://" in repo or bool(_HOST_AND_PATH.match(repo))


def is_there(repo: str) -> bool:
    """Whether this machine has it; git finds NAME.git as NAME, too."""
    path = os.path.expanduser(repo)
    return os.path.exists(path) or os.path.exists(f"{path}.git")


def lacks(repo: str, branch: str) -> bool:
    """Whether a repository of this machine can be seen to have no such branch, tag or commit."""
    path = Path(repo).expanduser()
    if not repo or is_address(repo) or not path.exists():
        return False
    refs = [f"refs/heads/{branch}", f"refs/tags/{branch}"]
    try:
        if _COMMIT.fullmatch(branch) and _git(
                ["-C", str(path), "cat-file", "-e", f"{branch}^{{commit}}"]).returncode == 0:
            return False
        seen = _git(["ls-remote", str(path.absolute()), *refs])
    except UsageError:
        return False  # without git nothing is seen
    return seen.returncode == 0 and not seen.stdout.strip()


def _send(node: Node, repo: str, branch: str, to: str) -> None:
    """Put a copy of our repository there: only the branch's last commit, if it is a branch."""
    path = os.path.abspath(os.path.expanduser(repo))
    # A commit cannot be cloned alone.
    part = [] if _COMMIT.fullmatch(branch) else [
        "--depth", "1", "--single-branch", "--branch", branch]
    with tempfile.TemporaryDirectory() as folder:
        # A bundle of a shallow repository could not be cloned; this can.
        made = _git([
            "clone", "-q", "--bare", *part, f"file://{path}", f"{folder}/copy",
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
