"""Hosts that refuse, hang, drop, fill up or are somebody else: a clear error, and resumable."""

import signal
import time

import pytest

from rally_deploy.testing.fakes import plugin_path
from rally_deploy.testing.world import World
from tests.functional.sshd_hosts import SshdHosts

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def hosts(sshd):
    with SshdHosts(2, number=3) as hosts:
        yield hosts


class Cloud:
    """A FakeEngine on real hosts: its command is run over real SSH."""

    def __init__(self, rdeploy, folder, hosts):
        rdeploy.env["PYTHONPATH"] = plugin_path(folder / "plugins")
        self.rdeploy, self.folder, self.hosts = rdeploy, folder, hosts
        self.world = World(folder / "world")

    def file(self, *command, credentials=None):
        world = str(self.folder / "world")
        return self.rdeploy.config("cloud", {
            "type": "FakeEngine", "world": world, "command": list(command),
            "provider": {
                "type": "ExistingServers",
                "credentials": credentials or [
                    {"host": h.address, "user": "root", "key": str(h.key)} for h in self.hosts
                ],
            },
        })

    def create(self, *command, **options):
        return self.rdeploy(
            "create", "--name", "it", "--file", self.file(*command, **options), check=False
        )

    def state(self):
        return self.rdeploy.json("list", "--all")[0]["state"]

    def must_fail(self, done, *texts):
        """Exit code 1, all texts on the screen, no traceback, and a failed deployment."""
        screen = done.stdout + done.stderr
        assert done.returncode == 1, screen
        assert "Traceback" not in screen
        for text in texts:
            assert text in screen
        assert self.state() == "failed"

    def destroy(self):
        self.rdeploy("destroy", "it", "--yes")
        assert self.world.names() == []


@pytest.fixture
def cloud(rdeploy, tmp_path, hosts):
    return Cloud(rdeploy, tmp_path, hosts)


def test_good_hosts_run_the_command_and_their_logs_have_its_output(cloud):
    assert cloud.create("echo", "hello from a host").returncode == 0
    assert "hello from a host" in cloud.rdeploy("logs", "it", cloud.hosts[1].address).stdout
    cloud.destroy()


def test_refusing_host_is_named_and_create_resumes_once_it_listens(cloud):
    bad = cloud.hosts[1]
    bad.stop()
    try:
        cloud.must_fail(cloud.create("true"), bad.address, "refused", "rdeploy resume")
    finally:
        bad.start()
    cloud.rdeploy("resume", "it")
    assert cloud.state() == "ready"
    cloud.destroy()


def test_command_that_fails_is_named_with_its_status_and_output(cloud):
    done = cloud.create("sh", "-c", "echo no such flavour >&2; exit 7")
    cloud.must_fail(done, cloud.hosts[0].address, "status 7", "no such flavour")
    cloud.destroy()


def test_link_that_drops_in_mid_command_is_named_and_resumable(cloud):
    create = cloud.rdeploy.start("create", "--name", "it", "--file", cloud.file("sleep", "60"))
    try:
        wait_for(lambda: "sleep" in processes_of(cloud.hosts[0]))
        cloud.hosts[0].drop_logins()
        screen = create.communicate(timeout=90)[0]
    finally:
        create.kill()
    assert create.returncode == 1, screen
    assert cloud.hosts[0].address in screen
    assert "rdeploy resume" in screen
    assert "Traceback" not in screen
    assert cloud.state() == "failed"
    cloud.destroy()


def test_another_host_key_than_the_pinned_one_is_refused(cloud):
    assert cloud.create("false").returncode == 1
    cloud.hosts[0].new_host_key()
    done = cloud.rdeploy("resume", "it", check=False)
    cloud.must_fail(done, cloud.hosts[0].address, "SHA256:")
    cloud.destroy()


def test_full_disk_of_a_host_is_told_with_the_remedy(cloud):
    done = cloud.create("dd", "if=/dev/zero", "of=/dev/full", "bs=1k", "count=1")
    cloud.must_fail(done, "No space left on device", "free some space")
    cloud.destroy()


def test_sigterm_ends_within_ten_seconds_as_cancelled_and_the_remote_command_too(cloud):
    create = cloud.rdeploy.start("create", "--name", "it", "--file", cloud.file("sleep", "61"))
    try:
        wait_for(lambda: all("sleep" in processes_of(host) for host in cloud.hosts))
        start = time.monotonic()
        create.send_signal(signal.SIGTERM)
        screen = create.communicate(timeout=30)[0]
        assert time.monotonic() - start < 10
    finally:
        create.kill()
    assert create.returncode == 3, screen
    assert cloud.state() == "cancelled"
    wait_for(lambda: not any("sleep" in processes_of(host) for host in cloud.hosts))
    cloud.destroy()


def test_cancel_from_another_process_ends_a_create(cloud):
    create = cloud.rdeploy.start("create", "--name", "it", "--file", cloud.file("sleep", "62"))
    try:
        wait_for(lambda: "sleep" in processes_of(cloud.hosts[0]))
        held = cloud.rdeploy("destroy", "it", "--yes", check=False)
        assert held.returncode == 5
        assert "rdeploy cancel" in held.stderr
        cloud.rdeploy("cancel", "it")
        assert create.wait(timeout=20) == 3
    finally:
        create.kill()
    assert cloud.state() == "cancelled"
    cloud.destroy()


def test_password_is_nowhere_on_screen_in_events_or_logs(cloud):
    password = "pa55-word's \"own\" $HOME"
    server = {
        "host": cloud.hosts[0].address, "user": "root", "key": str(cloud.hosts[0].key),
        "password": password,
    }
    done = cloud.create("echo", password, credentials=[server])
    screens = [done.stdout, done.stderr] + [
        cloud.rdeploy(*words).stdout
        for words in (["events", "it"], ["show", "it"], ["config", "it"], ["logs", "it"],
                      ["show", "it", "--json"], ["list", "--json"])
    ]
    assert done.returncode == 0
    assert not any("pa55-word" in screen for screen in screens)
    assert "pa55-word" not in (cloud.rdeploy.home / "data" / "rdeploy.sqlite").read_text(
        errors="ignore"
    )
    cloud.destroy()


def processes_of(host):
    """The names of the processes in a host's network namespace."""
    names = []
    for pid in host.pids():
        try:
            with open(f"/proc/{pid}/comm") as file:
                names.append(file.read().strip())
        except OSError:
            continue
    return names


def wait_for(probe, timeout_s=30):
    end = time.monotonic() + timeout_s
    while not probe():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.1)


