"""The real rdeploy on the real machine; what was made is looked for on the machine itself."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples" / "deployments"

#: A provider's block: one container on this machine.
ONE_CONTAINER = {
    "type": "LxcProvider", "containers_per_host": 1, "distribution": "debian",
    "release": "bookworm",
    "host_provider": {
        "type": "ExistingServers",
        "credentials": [{"host": "localhost", "user": "root", "connection": "local"}],
    },
}


def need(reason, *commands):
    """Skip on a machine that cannot run this; in CI a missing part is a failure, not a skip."""
    missing = [command for command in commands if not shutil.which(command)]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        text = f"{reason}: needs {', '.join(missing)}"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)


@pytest.fixture(scope="session")
def lxc():
    """LXC on this machine, or a skip that says what is missing."""
    need("real containers", "lxc-create", "lxc-copy", "debootstrap", "dnsmasq", "iptables", "ip")


@pytest.fixture(scope="session")
def sshd():
    need("real sshd in network namespaces", "sshd", "ip", "ssh-keygen")


@pytest.fixture(scope="session")
def guest(tmp_path_factory):
    """The parts of a guest for libvirt_rig. They may be kept between runs."""
    from tests.functional import small_guest

    need("real virtual machines", "libvirtd", "virtlogd", "qemu-system-x86_64", "qemu-img",
         "dnsmasq", "cpio", "openssl", "sshd", "nsenter", "unshare")
    kept = os.environ.get("RDEPLOY_TEST_GUEST")
    return small_guest.build(Path(kept) if kept else tmp_path_factory.mktemp("guest"))


class Rdeploy:
    """``rdeploy`` in processes of its own, with a home of its own."""

    def __init__(self, home):
        self.home = Path(home)
        self.env = {**os.environ, "RDEPLOY_HOME": str(home)}

    def __call__(self, *arguments, timeout=900, check=True, module="rally_deploy", **env):
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            env={**self.env, **env}, capture_output=True, text=True, timeout=timeout, check=False,
        )
        if check:
            assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    def killed(self, point, *arguments, timeout=900, calls=""):
        """Run it with SIGKILL at its n-th outside call; True if that point was reached.

        ``calls``: only requests are counted in whose "METHOD URL" this expression is found.
        """
        done = self(
            *arguments, timeout=timeout, check=False, module="rally_deploy.testing.killing",
            RDEPLOY_TEST_KILL_AT=str(point), RDEPLOY_TEST_KILL_CALLS=calls,
        )
        return done.returncode == -signal.SIGKILL

    def points_of(self, config):
        """How many points a create has at which it could be killed; what it made is gone."""
        counted = self.home.parent / "count"
        self("create", "--name", "counted", "--file", config,
             module="rally_deploy.testing.killing", RDEPLOY_TEST_COUNT=str(counted))
        self("destroy", "counted", "--yes")
        return int(counted.read_text())

    def start(self, *arguments):
        """Run it in the background; the caller waits for it or ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "rally_deploy", *map(str, arguments)],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )

    def wait_for_event(self, name, title, running, timeout=3000):
        """Until a deployment that is on its way has told this; its process may not end before."""
        end = time.monotonic() + timeout
        while title not in self("events", name, check=False).stdout:
            assert running.poll() is None, running.stdout.read()
            assert time.monotonic() < end, f"'{title}' was not reached"
            time.sleep(1)

    def json(self, *arguments):
        return json.loads(self(*arguments, "--json").stdout)

    def left_over(self):
        """What this machine still has of any deployment of this home."""
        return [text for d in self.json("list", "--all") for text in left_of(d["uuid"])]

    def config(self, name, tree):
        """A config file beside the home."""
        path = self.home.parent / f"{name}.json"
        path.write_text(json.dumps(tree))
        return path


def spread(points, count):
    """That many of them; not the last ones, as a create that waits less has fewer.

    All of those with RDEPLOY_TEST_EVERY_POINT, which takes long.
    """
    last = points * 17 // 20
    if os.environ.get("RDEPLOY_TEST_EVERY_POINT"):
        count = last
    return sorted({1 + n * (last - 1) // (count - 1) for n in range(count)})


@pytest.fixture
def rdeploy(tmp_path):
    return Rdeploy(tmp_path / "home")


def on_machine():
    """What this machine has that rdeploy could have made, apart from base images."""
    def lines(*command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.split("\n")

    containers = [n for n in lines("lxc-ls", "-1") if n.startswith("rd-")]
    links = [w[0] for line in lines("ip", "-o", "link") if (w := line.split(": ")[1:2])]
    return {
        "containers": sorted(n.strip() for n in containers if not n.startswith("rd-base-")),
        "links": sorted(name for name in links if re.match("rd[0-9a-f]{8}", name)),
        "iptables": sorted(line for line in lines("iptables-save") if "rd-" in line),
        "routes": sorted(line for line in lines("ip", "route") if " dev rd" in line),
        "processes": sorted(
            line for line in lines("pgrep", "-af", "dnsmasq.*rd|lxc-.*rd-[0-9a-f]{8}")
            if line and "pgrep" not in line
        ),
        "files": sorted(
            str(path)
            for top in ("/var/lib/rdeploy", "/run/rdeploy", "/run/lxc/lock", "/var/lib/misc")
            for path in Path(top).rglob("*rd-*") if "base" not in str(path)
        ),
    }


def left_of(uuid):
    """What this machine has that carries a deployment's tag."""
    return [text for made in on_machine().values() for text in made if uuid[:8] in text]


class QuickCloud:
    """The quick start's cloud, made once for all tests that use a whole OpenStack from outside."""

    NAME = "quick"

    def __init__(self, home, name=NAME):
        self.rdeploy, self.name = Rdeploy(home), name

    def create(self):
        self.rdeploy("create", "--name", self.name, "--file", SAMPLES / "quickstart.json",
                     timeout=2000)

    def destroy(self):
        """Harmless if it is destroyed already."""
        self.rdeploy("destroy", self.name, "--yes", timeout=600, check=False)


#: "HOME NAME" of a cloud that is there already, for work on the tests: it is used and stays.
STANDING = os.environ.get("RDEPLOY_TEST_CLOUD", "")


@pytest.fixture(scope="session")
def quick(tmp_path_factory, lxc):
    if STANDING:
        yield QuickCloud(*STANDING.split())
        return
    quick = QuickCloud(tmp_path_factory.mktemp("quick") / "home")
    try:
        quick.create()
        yield quick
    finally:
        quick.destroy()


# The quick start's cloud, unless a file of tests has a ``cloud`` of its own. The rig of OpenStack
# is imported when it is needed: it takes our Rdeploy from here.

@pytest.fixture(scope="module")
def cloud(quick):
    """The administrator's project of a cloud, as a provider's tests see it."""
    from tests.functional.openstack_rig import RealCloud

    return RealCloud(quick.rdeploy, quick.name)


@pytest.fixture
def clean(cloud):
    """The test must leave the project as it found it."""
    with cloud.left_as_it_was() as before:
        yield before


@pytest.fixture
def made(tmp_path, monkeypatch, cloud, clean):
    """Makes deployments of OpenStackProvider, and destroys all of them at the end."""
    from tests.functional.openstack_rig import deployments

    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))
    with deployments(tmp_path / "rig", cloud) as make:
        yield make


@pytest.fixture(scope="class")
def stranger(tmp_path_factory, lxc):
    """A machine that an engine finds and did not make."""
    from tests.functional import stranger

    with stranger.made(tmp_path_factory.mktemp("stranger")) as machine:
        yield machine
