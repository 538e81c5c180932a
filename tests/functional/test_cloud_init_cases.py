"""How the real cloud-init ends, in a container that is told by a file what a server is told."""

import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from rally_deploy.errors import CommandTimeout, ConnectionLost
from rally_deploy.model import Server
from rally_deploy.serverprovider.openstack.cloud_init import wait_for_cloud_init
from rally_deploy.serverprovider.openstack.refusal import Patience, ServerFailed
from rally_deploy.ssh.base import NoObserver, Result, Shell
from tests.functional import lxc_rig
from tests.functional.sshd_hosts import sh

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(1200), pytest.mark.usefixtures("lxc"),
    pytest.mark.xdist_group("machine"),
]

NAME = "rdt-cloud-init"

# Of the machine's own network it knows nothing, and it needs none.
CONFIG = """network: {config: disabled}
datasource_list: [NoCloud]
"""

# From outside: the container has no network. The mounts are in a namespace of their own.
INSTALL = r"""
cp --remove-destination /etc/resolv.conf "$1/etc/"
printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root
chroot "$1" apt-get -q update
chroot "$1" apt-get -q -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
    install cloud-init
rm "$1/usr/sbin/policy-rc.d"
"""


class Attached(Shell):
    """A shell in the container, without sshd; what commands print is kept line by line."""

    def __init__(self):
        super().__init__(Server("nowhere", "root", name=NAME), NoObserver())
        self.lines = []

    def execute(self, command, stdin, timeout_s, quiet):
        try:
            done = subprocess.run(
                ["lxc-attach", "-n", NAME, "--clear-env", "--", "sh", "-c", command],
                input=stdin, capture_output=True, timeout=timeout_s, check=False)
        except subprocess.TimeoutExpired as error:
            raise CommandTimeout(self.server, f"'{command}' took too long") from error
        if done.returncode not in range(128):  # killed, or there is nothing to attach to
            raise ConnectionLost(self.server, "it restarts")
        out = done.stdout.decode()
        if not quiet:
            self.lines += out.splitlines()
        return Result(command, done.returncode, out, done.stderr.decode(), 0.0)


class Guest:
    """The container. ``warnings`` are what was noted of its cloud-init."""

    def __init__(self):
        self.root = Path("/var/lib/lxc", NAME, "rootfs")
        self.shell, self.warnings = Attached(), []

    def boot(self, userdata):
        """As a new instance."""
        sh("lxc-stop", "-k", "-n", NAME, check=False)
        sh("sh", "-c", f"rm -rf {self.root}/var/lib/cloud {self.root}/var/log/cloud-init*")
        seed = self.root / "var/lib/cloud/seed/nocloud"
        seed.mkdir(parents=True)
        (seed / "meta-data").write_text(f"instance-id: {NAME}\n")
        (seed / "user-data").write_text(userdata)
        sh("lxc-start", "-n", NAME)
        sh("lxc-wait", "-n", NAME, "-s", "RUNNING", "-t", "30")

    def wait(self, timeout_s=240.0):
        def note(text, server, warning):
            assert warning
            assert server.name == NAME
            self.warnings.append(text)

        def wait(probe, timeout_s, what, interval_s, tolerate):
            end = time.monotonic() + timeout_s
            while time.monotonic() < end:
                try:
                    if probe():
                        return
                except tolerate:
                    time.sleep(interval_s)
            pytest.fail(what)

        deployment = SimpleNamespace(ssh=lambda server: self.shell, note=note, wait=wait)
        patience = Patience(time.sleep, lambda: None)
        patience.begin(timeout_s)
        wait_for_cloud_init(deployment, self.shell.server, patience, lambda: "")

    def failure(self, **options):
        with pytest.raises(ServerFailed) as caught:
            self.wait(**options)
        return str(caught.value)


@pytest.fixture(scope="module")
def container():
    base = lxc_rig.make_base()
    sh("lxc-destroy", "-f", "-n", NAME, check=False)
    sh("lxc-copy", "-n", base, "-N", NAME)
    try:
        sh("unshare", "-m", "sh", "-ec", INSTALL, "install", f"/var/lib/lxc/{NAME}/rootfs")
        config = Path("/var/lib/lxc", NAME, "config")
        kept = [line for line in config.read_text().splitlines() if "lxc.net." not in line]
        config.write_text("\n".join([*kept, "lxc.net.0.type = empty", ""]))
        guest = Guest()
        (guest.root / "etc/cloud/cloud.cfg.d/90-rdt.cfg").write_text(CONFIG)
        yield guest
    finally:
        sh("lxc-stop", "-k", "-n", NAME, check=False)
        sh("lxc-destroy", "-n", NAME)


@pytest.fixture
def guest(container):
    container.shell, container.warnings = Attached(), []
    return container


def test_error_of_an_early_stage_does_not_end_the_wait_for_the_last_one(guest):
    guest.boot("#cloud-config\nbootcmd: [exit 3]\n"
               "runcmd: [sleep 8, echo rdt was here, exit 7]\n")
    said = guest.failure()
    assert "has ended with errors" in said
    assert "'bootcmd'" in said
    assert "'scripts-user'" in said
    assert "rdt was here" in said
    assert "rdt was here" in guest.shell.lines


@pytest.mark.parametrize(("userdata", "complaint"), [
    ("#cloud-config\nruncmd: [[[\n", "Failed loading yaml"),
    ("#cloud-config\nfinal_message: 5\n", "Invalid cloud-config"),
    ("runcmd: [exit 7]\n", "Unhandled non-multipart"),
])
def test_what_it_only_logs_is_a_warning(guest, userdata, complaint):
    guest.boot(userdata)
    guest.wait()
    assert [w for w in guest.warnings if w.startswith(f"cloud-init: warning: {complaint}")]


def test_good_one_ends_without_a_word(guest):
    guest.boot("#cloud-config\nruncmd: [sleep 3, echo done >/root/effect]\n")
    guest.wait()
    assert (guest.root / "root/effect").read_text() == "done\n"
    assert guest.warnings == []


def test_one_that_does_not_end_is_told_with_what_it_wrote_last(guest):
    guest.boot("#cloud-config\nruncmd: [echo rdt waits for ever, sleep 1000]\n")
    guest.shell.run(["sh", "-c", "until grep -q rdt.waits /var/log/cloud-init-output.log; do "
                                 "sleep 1; done"])
    said = guest.failure(timeout_s=3.0)
    assert f"cloud-init of {NAME} does not end" in said
    assert "rdt waits for ever" in said
    assert "rdeploy resume" in said


def test_last_stage_that_dies_ends_the_wait(guest):
    guest.boot("#cloud-config\nruncmd: [pkill -9 -f cloud-init.modules.--mode=final]\n")
    assert "cloud-final.service has failed" in guest.failure()


def test_server_that_it_restarts_is_waited_for(guest):
    guest.boot("#cloud-config\nbootcmd: [echo boot >>/root/boots]\n"
               "power_state: {mode: reboot}\n")
    guest.wait()
    assert (guest.root / "root/boots").read_text().count("boot\n") == 2
    assert guest.shell.run(["cloud-init", "status"]).stdout.strip() == "status: done"


def test_one_that_is_switched_off_is_not_waited_for(guest):
    mark = guest.root / "etc/cloud/cloud-init.disabled"
    mark.touch()
    try:
        guest.boot("#cloud-config\nruncmd: [exit 7]\n")
        guest.wait()
    finally:
        mark.unlink()
    assert not (guest.root / "var/lib/cloud/instance").exists()
