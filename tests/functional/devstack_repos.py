"""The real DevStack's repositories, served by git on an address of this machine.

``RDEPLOY_DEVSTACK_REPOS`` is a folder that holds them as ``openstack+NAME/repo``, ``NAME.git`` or
``openstack/NAME.git``. What is served are shallow bare clones of one branch: the full ones may
lack old objects, and a shallow one is enough for DevStack. They are kept for the next run in
``RDEPLOY_DEVSTACK_CACHE``, or in a folder beside those of the tests. ``RDEPLOY_DEVSTACK_BRANCH``
names another branch than the newest stable one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

NAMES = ("devstack", "requirements", "keystone", "glance", "placement", "nova", "neutron")

#: What only some tests need: served where it is there.
OPTIONAL = ("cinder",)

#: The branch of all of them; master, say.
BRANCH = os.environ.get("RDEPLOY_DEVSTACK_BRANCH", "stable/2026.1")

#: Commits that are kept: pbr looks for the last tag among them.
DEPTH = 60

#: Two runs at the same time have addresses of their own.
_NUMBER = os.getpid() % 250
LINK = f"rdtgit{_NUMBER}"
ADDRESS = f"198.18.{_NUMBER}.1"


def found():
    """The repositories by name; empty if one is missing."""
    top = os.environ.get("RDEPLOY_DEVSTACK_REPOS")
    if not top:
        return {}
    forms = ("openstack+{}/repo", "{}.git", "openstack/{}.git")
    paths = {
        name: next((p for form in forms if (p := Path(top, form.format(name))).is_dir()), None)
        for name in NAMES + OPTIONAL
    }
    return {name: path for name, path in paths.items() if path} if all(
        paths[name] for name in NAMES) else {}


def need(*optional):
    if not set(NAMES + optional) <= set(found()):
        pytest.skip(
            "real DevStack: RDEPLOY_DEVSTACK_REPOS names no folder with bare repositories of "
            + ", ".join(NAMES + optional))


def mirror(branch=BRANCH):
    """A folder with openstack/NAME.git of every repository, made on first use."""
    cache = os.environ.get("RDEPLOY_DEVSTACK_CACHE")
    top = Path(cache or Path(tempfile.gettempdir(), "rdeploy-devstack-repos"))
    folder = top / branch.replace("/", "-") / "openstack"
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in found().items():
        target = folder / f"{name}.git"
        if target.is_dir():
            continue
        new = folder / f".{name}.{os.getpid()}"
        shutil.rmtree(new, ignore_errors=True)
        subprocess.run(
            ["git", "clone", "-q", "--bare", "--single-branch", "--branch", branch,
             "--depth", str(DEPTH), f"file://{source}", str(new)],
            check=True, timeout=600,
        )
        new.rename(target)
    return folder.parent


def commit(branch=BRANCH):
    """DevStack's own, as a test's report names it."""
    done = subprocess.run(
        ["git", "-C", str(mirror(branch) / "openstack" / "devstack.git"), "log", "-1",
         "--format=%h of %cs"], capture_output=True, text=True, check=True,
    )
    return done.stdout.strip()


class Served:
    """``with Served(folder):`` git answers at this address to every container of this machine."""

    def __init__(self, folder, link=LINK, address=ADDRESS):
        self.folder, self.link, self.address = folder, link, address

    def __enter__(self):
        self._link_down()
        _run("ip", "link", "add", self.link, "type", "bridge", "forward_delay", "0")
        _run("ip", "addr", "add", f"{self.address}/32", "dev", self.link)
        _run("ip", "link", "set", self.link, "up")
        self.process = subprocess.Popen(
            ["git", "daemon", "--export-all", "--reuseaddr", f"--listen={self.address}",
             f"--base-path={self.folder}", str(self.folder)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return f"git://{self.address}"

    def __exit__(self, *error):
        # git starts a git-daemon, which is what listens.
        try:
            os.killpg(self.process.pid, 15)
        except ProcessLookupError:
            pass
        self.process.wait()
        self._link_down()

    def _wait(self):
        name = next(path.name for path in (self.folder / "openstack").glob("*.git"))
        end = time.monotonic() + 20
        url = f"git://{self.address}/openstack/{name}"
        while subprocess.run(["git", "ls-remote", "-h", url], capture_output=True).returncode:
            assert time.monotonic() < end, f"{url} does not answer"
            time.sleep(0.1)

    def _link_down(self):
        subprocess.run(["ip", "link", "del", self.link], capture_output=True, check=False)


def _run(*words):
    subprocess.run(words, check=True)
