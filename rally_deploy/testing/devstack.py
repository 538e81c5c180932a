"""A stand-in for DevStack's git repository: its stack.sh behaves like the real one, in seconds.

It refuses to run as root, reads local.conf, prints the real one's phases, time stamps, timing
table and errors, keeps LOGFILE and its summary, prints no more than the summary where VERBOSE is
off, and leaves what the real one leaves: its folders
below DEST, the configuration of Nova, clouds.yaml, .stackenv, accrc, and units ``devstack@...``
that sleep, if systemd runs. Nothing answers there. It needs git, sudo, bash and no network.

Variables in local.conf choose how it goes; FAILURES names the ways to fail:

======================  =========================================================================
STAND_IN_FAIL           the failure's name
STAND_IN_FAIL_ONCE      True: fails the first time only, so that a second run goes through
STAND_IN_DELAY          seconds that each of its longer phases takes (default 0)
STAND_IN_UNSTACK_FAIL   True: unstack.sh fails
STAND_IN_ROOT           a folder in place of ``/``, for a run without sudo and systemd
======================  =========================================================================

A second stack.sh while the services of a finished one run fails, as the real one does: it waits in
vain for a compute that it did not start. After a failed one it can be run again in place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

#: What STAND_IN_FAIL may be, in the order in which a run comes by.
FAILURES = (
    "host_ip", "unsupported", "apt", "disk", "locale", "rabbit", "git", "pip", "memory",
    "database", "port", "service",
)

_SOURCE = Path(__file__).parent / "devstack_files"
_PLACES = {
    "stack.sh": "stack.sh", "unstack.sh": "unstack.sh", "clean.sh": "clean.sh",
    "stackrc": "stackrc.sh", "openrc": "openrc.sh", "functions": "functions.sh",
    "functions-fail": "functions-fail.sh",
    # The real one is Python. Its name is what others look for among the processes.
    "tools/outfilter.py": "outfilter.sh",
    "tools/create-stack-user.sh": "create-stack-user.sh",
}
_FOLDERS = ("files", "inc", "lib")


def write_devstack(
    folder: Path, branches: Sequence[str] = ("master", "stable/2026.1"), bare: bool = True
) -> Path:
    """Make the repository at ``folder``, with the same commit on every branch; returns its path.

    :param bare: one to clone from; else a checkout that can be run.
    """
    work = folder.with_name(folder.name + ".work") if bare else folder
    work.mkdir(parents=True)
    for place, source in _PLACES.items():
        target = work / place
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(_SOURCE / source, target)
        target.chmod(0o755 if target.suffix else 0o644)
    for name in _FOLDERS:
        (work / name).mkdir()
        (work / name / ".gitkeep").touch()
    _git(work, "init", "-q", "-b", branches[0])
    _git(work, "add", ".")
    _git(work, "commit", "-q", "-m", "DevStack's stand-in")
    for branch in branches[1:]:
        _git(work, "branch", branch)
    if bare:
        _git(folder.parent, "clone", "-q", "--bare", str(work), str(folder))
        shutil.rmtree(work)
    return folder


def _git(folder: Path, *words: str) -> None:
    nobody = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "rdeploy"), ("EMAIL", "rdeploy@example.org"))
    }
    subprocess.run(
        ["git", "-c", "commit.gpgsign=false", *words], cwd=folder, check=True,
        capture_output=True, env={**os.environ, **nobody},
    )
