"""DevStack's stand-in is run for real, in a folder of its own."""

import os
import re
import subprocess
import tempfile
from pathlib import Path

import pytest

from rally_deploy.engines.devstack import evidence
from rally_deploy.engines.devstack.diagnosis import diagnose
from rally_deploy.engines.devstack.node import Node
from rally_deploy.engines.devstack.progress import Completed, Phase, Progress
from rally_deploy.model import Server
from rally_deploy.ssh.base import NoObserver
from rally_deploy.ssh.local import LocalShell
from rally_deploy.testing.devstack import FAILURES, write_devstack

#: Where the diagnosis of a failure has another name than the stand-in's.
NAMES = {
    "host_ip": "host-ip", "apt": "mirror", "pip": "pip-conflict", "service": "compute",
}

#: Whom root's tests run it as, since it refuses to run as root.
NOBODY = 65534
LOCAL_CONF = """[[local|localrc]]
DEST={root}/opt/stack
STAND_IN_ROOT={root}
HOST_IP=192.0.2.7
ADMIN_PASSWORD=adminsecret
DATABASE_PASSWORD=databasesecret
RABBIT_PASSWORD=rabbitsecret
SERVICE_PASSWORD=servicesecret
LOGFILE=$DEST/logs/stack.sh.log
VIRT_DRIVER=fake
"""


class Place:
    """A checkout and a folder in place of /."""

    def __init__(self, folder):
        self.root = folder / "root"
        self.root.mkdir()
        self.checkout = write_devstack(folder / "devstack", bare=False)
        self.say()

    def say(self, more="", conf=LOCAL_CONF):
        (self.checkout / "local.conf").write_text(conf.format(root=self.root) + more)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", str(NOBODY), self.root.parent], check=True)

    def run(self, script="stack.sh", user=None):
        if user is None and os.geteuid() == 0:
            user = NOBODY
        environ = {**os.environ, "HOME": str(self.root.parent), "STAND_IN_ROOT": str(self.root)}
        done = subprocess.run(
            [str(self.checkout / script)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, user=user, env=environ, timeout=60,
        )
        return done.returncode, done.stdout

    def node(self):
        server = Server("", connection="local", become=False)
        return Node(server, LocalShell(server, NoObserver()), "ctl", "192.0.2.7",
                    home=str(self.checkout.parent))

    def left(self):
        return sorted(
            str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()
        )


@pytest.fixture
def place():
    # Not in pytest's own folder, which another user may not enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Place(Path(folder))


def test_stack_run_leaves_what_devstack_leaves(place):
    status, output = place.run()

    assert status == 0, output
    left = place.left()
    for name in ("openstack/clouds.yaml", "nova/nova.conf", "nova/nova-cpu.conf",
                 "nova/nova-fake.conf-1", "devstack-version",
                 "systemd/system/devstack@n-cpu-1.service"):
        assert f"etc/{name}" in left
    assert "opt/stack/logs/stack.sh.log.summary" in left
    assert (place.checkout / ".stackenv").exists()
    cpu = (place.root / "etc/nova/nova-cpu.conf").read_text()
    assert "transport_url = rabbit://stackrabbit:rabbitsecret@192.0.2.7:5672/nova_cell1" in cpu
    assert "[database]" not in cpu
    assert "http://192.0.2.7/identity" in (place.root / "etc/openstack/clouds.yaml").read_text()


def test_stack_run_prints_phases_stamps_and_timing_table(place):
    _, output = place.run()

    assert re.search(
        r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \| \+ \S*stack\.sh:main:\d+ +:   "
        r"echo_summary 'Starting Keystone'$", output, re.MULTILINE)
    assert "DevStack Component Timing" in output
    progress = Progress()
    told = [event for line in output.splitlines() if (event := progress.line(line))]
    assert [event.title for event in told if isinstance(event, Phase)][::6] == [
        "Installing package prerequisites", "Configuring Neutron", "Starting Nova"]
    assert {part.name for part in progress.components} > {"apt-get", "pip_install", "git_timed"}
    assert isinstance(told[-1], Completed)
    assert re.search(r"^Total runtime +\d+$", output, re.MULTILINE)
    summary = (place.root / "opt/stack/logs/stack.sh.log.summary").read_text().splitlines()
    phases = [line.split(" | ", 1)[1] for line in summary]
    assert phases[1:3] == ["Installing package prerequisites", "Starting RabbitMQ"]
    assert re.match(r"stack\.sh completed in \d+ seconds\.$", phases[-1])


def test_stack_run_as_root_is_refused(place):
    if os.geteuid() != 0:
        pytest.skip("needs to be root to see root refused")

    status, output = place.run(user=0)

    assert status == 1
    assert "DevStack should be run as a user with sudo permissions" in output


def test_stack_run_without_local_conf_asks_for_passwords_and_fails(place):
    (place.checkout / "local.conf").unlink()
    (place.checkout / "local.conf").write_text(f"[[local|localrc]]\nDEST={place.root}/opt\n")

    status, output = place.run()

    assert status != 0
    assert "ENTER A PASSWORD TO USE FOR THE DATABASE." in output


@pytest.mark.parametrize("failure", FAILURES)
def test_stack_run_told_to_fail_does_as_the_real_one(place, failure):
    place.say(f"STAND_IN_FAIL={failure}\n")

    status, output = place.run()

    assert status != 0
    assert "stack.sh completed" not in output
    assert not re.search(r"command not found|syntax error|unbound variable", output)
    assert diagnose(output).name == NAMES.get(failure, failure)


@pytest.mark.parametrize("failure", FAILURES)
def test_quiet_run_that_fails_is_told_by_its_log(place, failure):
    place.say(f"VERBOSE=False\nSTAND_IN_FAIL={failure}\n")

    status, output = place.run()

    assert status != 0
    lines = evidence.all_lines(place.node(), output.splitlines())
    assert diagnose(lines).name == NAMES.get(failure, failure)


def test_quiet_run_prints_its_phases_and_its_end(place):
    place.say("VERBOSE=False\n")

    status, output = place.run()

    assert status == 0, output
    assert "echo_summary" not in output
    progress = Progress()
    told = [event for line in output.splitlines() if (event := progress.line(line))]
    assert "Starting Keystone" in [event.title for event in told if isinstance(event, Phase)]
    assert "osc" in {part.name for part in progress.components}
    assert isinstance(told[-1], Completed)
    assert "echo_summary 'Starting Keystone'" in "\n".join(
        evidence.all_lines(place.node(), output.splitlines()))


def test_quiet_run_without_a_log_prints_its_phases_only(place):
    place.say("VERBOSE=False\nSTAND_IN_FAIL=port\n", LOCAL_CONF.replace("LOGFILE=", "NO_LOG="))

    status, output = place.run()

    assert status != 0
    assert output.rstrip().endswith(" | Starting Keystone")


def test_stack_failed_once_and_run_again_goes_through(place):
    place.say("STAND_IN_FAIL=pip\nSTAND_IN_FAIL_ONCE=True\n")

    first, _ = place.run()
    second, output = place.run()

    assert (first, second) == (1, 0), output


def test_stack_run_again_after_half_a_clone_fails_until_it_is_removed(place):
    place.say("STAND_IN_FAIL=git\n")
    place.run()
    place.say()

    status, output = place.run()
    (place.root / "opt/stack/nova/.git").rmdir()
    mended, _ = place.run()

    assert (status != 0, mended) == (True, 0)
    assert "already exists and is not an empty directory" in output


def test_stack_run_again_while_its_services_run_fails(place):
    first, _ = place.run()
    second, output = place.run()

    assert first == 0
    assert second == 124
    assert "Didn't find service registered by hostname" in output


def test_unstack_and_clean_remove_all_but_sources_and_logs(place):
    place.run()

    unstacked, output = place.run("unstack.sh")
    cleaned, _ = place.run("clean.sh")

    assert (unstacked, cleaned) == (0, 0), output
    left = [
        name for name in place.left()
        if not name.startswith(("opt/stack/logs/", "opt/stack/nova", "opt/stack/keystone"))
        and not name.endswith("setup.py")
    ]
    assert left == ["etc/devstack-version"]
    assert not (place.checkout / ".stackenv").exists()


def test_stack_run_after_unstack_goes_through(place):
    place.run()
    place.run("unstack.sh")

    status, output = place.run()

    assert status == 0, output


def test_unstack_told_to_fail_leaves_the_services(place):
    place.say("STAND_IN_UNSTACK_FAIL=True\n")
    place.run()

    status, output = place.run("unstack.sh")

    assert status != 0
    assert "Failed to stop devstack@n-" in output
    assert (place.root / "opt/stack/status/devstack@n-cpu-1").exists()


def test_sections_of_local_conf_are_merged_into_their_files(place):
    place.say("[[post-config|$NOVA_CONF]]\n[DEFAULT]\ndebug = False\n")

    status, _ = place.run()

    assert status == 0
    assert "debug = False" in (place.root / "etc/nova/nova.conf").read_text()


def test_compute_only_has_no_control_plane(place):
    place.say("ENABLED_SERVICES=n-cpu,placement-client\nSERVICE_HOST=ctl\n")

    status, output = place.run()

    assert status == 0, output
    units = [name for name in place.left() if "systemd" in name]
    assert units == ["etc/systemd/system/devstack@n-cpu-1.service"]
    assert "Starting Keystone" not in output
    assert "@ctl:5672" in (place.root / "etc/nova/nova-cpu.conf").read_text()


def test_bare_repository_can_be_cloned_at_each_branch(tmp_path):
    repository = write_devstack(tmp_path / "openstack" / "devstack.git", ["master", "stable/x"])

    for branch in ("master", "stable/x"):
        to = tmp_path / branch
        subprocess.run(["git", "clone", "-q", "-b", branch, repository, to], check=True)
        assert os.access(to / "stack.sh", os.X_OK)
