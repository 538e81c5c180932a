"""DevstackEngine on a stand-in for DevStack, in real containers: kills, failures, removal.

The stand-in (rally_deploy.testing.devstack) takes seconds where the real one takes minutes, and
nothing answers on its endpoints, so these clouds are not proved ("prove": false).
"""

import json
import os
import signal

import pytest

from rally_deploy.engines.devstack import DevstackEngine
from rally_deploy.engines.devstack.prepare import PACKAGES
from rally_deploy.testing.contract import EngineContract, open_deployer
from rally_deploy.testing.devstack import write_devstack
from tests.functional.conftest import ONE_CONTAINER, left_of, on_machine
from tests.functional.sshd_hosts import until

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(1500),
    pytest.mark.xdist_group("machine"),
]

#: The stand-in installs nothing.
BARE = {**ONE_CONTAINER, "engine_packages": False}
#: From a base that has what DevStack begins with: not each of these tests installs it anew.
LXC = {**BARE, "packages": list(PACKAGES)}


def cloud(repo, provider=LXC, **localrc):
    return {
        "type": "DevstackEngine", "devstack_repo": str(repo), "prove": False,
        "local_conf": {"VIRT_DRIVER": "fake", **localrc}, "provider": provider,
    }


@pytest.fixture(scope="module")
def repo(tmp_path_factory):
    return write_devstack(tmp_path_factory.mktemp("devstack") / "devstack.git")


@pytest.mark.usefixtures("lxc")
class TestContract(EngineContract):
    plugin = DevstackEngine

    @pytest.fixture
    def block(self, repo):
        name = f"contract{os.getpid()}"
        return cloud(repo, {**LXC, "container_name_prefix": name})

    @pytest.fixture
    def deployer(self, tmp_path):
        with open_deployer(tmp_path, DevstackEngine) as opened:
            yield opened

    def leftovers(self, block):
        name = block["provider"]["container_name_prefix"]
        return [c for c in on_machine()["containers"] if name in c]


@pytest.fixture
def node(rdeploy, lxc):
    """``rdeploy``, whose deployment "node" is destroyed at the end and leaves nothing behind."""
    yield rdeploy
    rdeploy("destroy", "node", "--yes", check=False, timeout=600)
    # The marks of jobs that were ended go by themselves.
    until(lambda: rdeploy.left_over() == [], "nothing left", timeout_s=60)


def inside(rdeploy, command, name="node"):
    """What a command prints in the deployment's server."""
    return rdeploy("ssh", name, "--", command, check=False).stdout


def runs(rdeploy, name="node"):
    """How often stack.sh was begun: each has a log of its own."""
    return int(inside(rdeploy, "ls -d /opt/stack/logs/stack.sh.log.2* | grep -vc summary", name))


def titles(rdeploy, kind):
    lines = rdeploy("events", "node", "--json").stdout.splitlines()
    return [event["title"] for event in map(json.loads, lines) if event["kind"] == kind]


class TestOneNode:
    def test_create_tells_phases_endpoints_and_timing(self, node, repo):
        file = node.config("c", cloud(repo, BARE, STAND_IN_DELAY=1))
        node("create", "--name", "node", "--file", file)
        begun = titles(node, "step-begin")
        for phase in ("Installing package prerequisites", "Starting Keystone", "Starting Nova"):
            assert phase in begun
        assert any(note.startswith("stack.sh took") for note in titles(node, "note"))
        shown = node.json("show", "node")
        address = shown["servers"][0]["host"]
        openrc = node("openrc", "node").stdout
        assert f"http://{address}/identity" in openrc
        assert inside(node, "stat -c '%a %U' /opt/stack/devstack/local.conf").split() == [
            "600", "stack"]
        assert "stack:*" not in inside(node, "cat /etc/shadow")

    def test_password_stands_in_no_log_and_no_event(self, node, repo):
        node("create", "--name", "node", "--file", node.config("c", cloud(repo)))
        conf = inside(node, "cat /opt/stack/devstack/local.conf")
        passwords = [ln.split("=")[1] for ln in conf.splitlines() if "_PASSWORD=" in ln]
        assert len(set(passwords)) == 4
        shown = node("events", "node").stdout + node("show", "node").stdout
        files = [p.read_bytes() for p in node.home.rglob("*") if p.is_file()]
        for password in passwords:
            assert password not in shown
            assert not any(password.encode() in content for content in files)


@pytest.mark.parametrize("title", ["prepare the host", "fetch DevStack", "Starting RabbitMQ",
                                   "Starting Nova"])
class TestKilled:
    def test_resume_runs_stack_sh_once(self, node, repo, title):
        self._killed_at(node, repo, title)
        node("resume", "node")
        assert runs(node) == 1
        assert node.json("show", "node")["state"] == "ready"

    def test_destroy_leaves_nothing(self, node, repo, title):
        self._killed_at(node, repo, title)
        uuid = node.json("show", "node")["uuid"]
        node("destroy", "node", "--yes")
        assert left_of(uuid) == []

    @staticmethod
    def _killed_at(node, repo, title):
        running = node.start(
            "create", "--name", "node", "--file", node.config("c", cloud(repo, STAND_IN_DELAY=2)))
        node.wait_for_event("node", title, running)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()


class TestEnded:
    def test_second_resume_of_a_finished_one_is_quick(self, node, repo):
        file = node.config("c", cloud(repo))
        counted = node.home.parent / "count"
        node("create", "--name", "node", "--file", file, module="rally_deploy.testing.killing",
             RDEPLOY_TEST_COUNT=str(counted))
        last = int(counted.read_text())
        node("destroy", "node", "--yes")
        # Killed behind its last outside call: stack.sh has ended, its row may not say so.
        assert node.killed(last - 4, "create", "--name", "again", "--file", file)
        try:
            node("resume", "again")
            assert runs(node, "again") == 1
        finally:
            node("destroy", "again", "--yes")


class TestFailing:
    @pytest.mark.parametrize(("fail", "cause"), [
        ("git", "git"), ("pip", "pip"), ("apt", "package"), ("disk", "disk"), ("port", "port"),
        ("unsupported", "FORCE"),
    ])
    def test_failure_names_its_cause(self, node, repo, fail, cause):
        done = node("create", "--name", "node", "--file",
                    node.config("c", cloud(repo, STAND_IN_FAIL=fail)), check=False)
        assert done.returncode == 1
        told = done.stderr[done.stderr.index("stack.sh failed"):]
        assert cause in told.partition("likely cause:")[2]
        assert "Try: " in told
        assert "Traceback" not in done.stdout + done.stderr

    def test_failed_one_is_run_again_in_place_by_resume(self, node, repo):
        file = node.config("c", cloud(repo, STAND_IN_FAIL="git", STAND_IN_FAIL_ONCE=True))
        assert node("create", "--name", "node", "--file", file, check=False).returncode == 1
        address = node.json("show", "node")["servers"][0]["host"]
        node("resume", "node")
        assert node.json("show", "node")["servers"][0]["host"] == address
        assert runs(node) == 2


    def test_one_that_takes_too_long_is_ended_and_told_with_its_phase(self, node, repo):
        file = node.config("c", {**cloud(repo, STAND_IN_DELAY=300), "timeout_s": 60})
        done = node("create", "--name", "node", "--file", file, check=False)
        assert done.returncode == 1
        assert "it was not done within 60 s, in '" in done.stderr
        assert "raise 'timeout_s'" in done.stderr
        assert inside(node, "pgrep -f '[.]/stack[.]sh'") == ""


#: A router's, as Neutron calls it.
NETNS = "qrouter-6a39ed6c-3a24-43b3-9b6a-31a1a7c2a001"


class TestOnAForeignServer:
    @pytest.fixture(autouse=True)
    def destroyed(self, rdeploy):
        yield
        rdeploy("destroy", "node", "--yes", check=False, timeout=600)

    def test_destroy_leaves_it_as_it_was(self, rdeploy, repo, stranger):
        before = stranger.look()
        file = rdeploy.config("c", cloud(repo, stranger.provider))
        rdeploy("create", "--name", "node", "--file", file)
        assert "devstack@n-cpu-1.service" in stranger.run("systemctl list-units 'devstack@*'")
        rdeploy("destroy", "node", "--yes", timeout=600)
        assert stranger.changes(before) == ""

    def test_failing_unstack_does_not_keep_it(self, rdeploy, repo, stranger):
        before = stranger.look()
        # What services of a whole cloud make beside files.
        made = {"to": "~/devstack/local.sh", "mode": "0755", "content": f"""#!/bin/sh -e
            sudo ip netns add {NETNS}
            sudo ip netns exec {NETNS} sleep 1000 >/dev/null 2>&1 &
            sudo ip link add tap0a1b2c3d-4e type veth peer name qvb0a1b2c3d-4e
            sudo ip link add br-ex type bridge
            """}
        file = rdeploy.config("c", {
            **cloud(repo, stranger.provider, STAND_IN_UNSTACK_FAIL=True), "files": [made]})
        rdeploy("create", "--name", "node", "--file", file)
        assert NETNS in stranger.run("ip netns list")
        done = rdeploy("destroy", "node", "--yes", timeout=600)
        assert "unstack.sh" in done.stdout + done.stderr
        assert stranger.changes(before) == ""

    def test_killed_in_the_middle_destroy_leaves_it_as_it_was(self, rdeploy, repo, stranger):
        before = stranger.look()
        file = rdeploy.config("c", cloud(repo, stranger.provider, STAND_IN_DELAY=2))
        running = rdeploy.start("create", "--name", "node", "--file", file)
        rdeploy.wait_for_event("node", "Starting RabbitMQ", running)
        os.kill(running.pid, signal.SIGKILL)
        running.wait()
        rdeploy("destroy", "node", "--yes", timeout=600)
        assert stranger.changes(before) == ""

    def test_account_and_edits_of_others_stay(self, rdeploy, repo, stranger):
        stranger.run("useradd -m -s /bin/bash ops; chmod 700 /home/ops; "
                     "echo '192.0.2.77 friend' >>/etc/hosts")
        file = rdeploy.config("c", {**cloud(repo, stranger.provider), "user": "ops"})
        rdeploy("create", "--name", "node", "--file", file)
        stranger.run("echo '192.0.2.78 later' >>/etc/hosts; "
                     "runuser -u ops -- sudo apt-get -y -q install tree >/dev/null")
        assert "Requested-By: ops" in stranger.run("cat /var/log/apt/history.log")
        rdeploy("destroy", "node", "--yes", timeout=600)
        hosts = stranger.run("cat /etc/hosts")
        assert "192.0.2.77 friend" in hosts
        assert "192.0.2.78 later" in hosts
        assert stranger.run("id -un ops; ls /home/ops").split() == ["ops"]
        assert stranger.run("stat -c %a /home/ops").strip() == "700"
        assert "ii" in stranger.run("dpkg-query -W -f '${db:Status-Abbrev}' tree")

    def test_folder_of_before_keeps_what_was_in_it(self, rdeploy, repo, stranger):
        # No account, but its home: a repository without a commit, and files that are replaced.
        stranger.run("mkdir -m 750 -p /opt/stack/theirs; git init -q /opt/stack/theirs || "
                     "mkdir -p /opt/stack/theirs/.git; touch /opt/stack/theirs/.git/a.lock; "
                     "chown -R games: /opt/stack; echo welcome >/etc/motd")
        before = stranger.look()
        placed = [{"to": to, "content": "ours"} for to in
                  ("/etc/motd", "/srv/new/deep/image", "/opt/stack/image", "image")]
        fail = {"STAND_IN_FAIL": "git", "STAND_IN_FAIL_ONCE": True}
        file = rdeploy.config("c", {**cloud(repo, stranger.provider, **fail), "files": placed})
        try:
            assert rdeploy("create", "--name", "node", "--file", file, check=False).returncode == 1
            rdeploy("resume", "node")
            assert stranger.run("cat /etc/motd /srv/new/deep/image /opt/stack/image") == "ours" * 3
            rdeploy("destroy", "node", "--yes", timeout=600)
            assert stranger.changes(before) == ""
        finally:
            stranger.run("rm -rf /opt/stack; : >/etc/motd")

    def test_second_deployment_is_refused_and_leaves_the_first_one_alone(
            self, rdeploy, repo, stranger):
        before = stranger.look()
        file = rdeploy.config("c", cloud(repo, stranger.provider))
        rdeploy("create", "--name", "node", "--file", file)
        done = rdeploy("create", "--name", "second", "--file", file, check=False)
        assert "another DevStack is there: /opt/stack/devstack (rd-" in done.stderr
        assert rdeploy.json("show", "second")["resources"] == []
        rdeploy("destroy", "second", "--yes", timeout=600)
        assert "active" in stranger.run("systemctl is-active devstack@n-cpu-1.service")
        rdeploy("destroy", "node", "--yes", timeout=600)
        assert stranger.changes(before) == ""

    def test_devstack_made_by_hand_is_refused_and_stays(self, rdeploy, repo, stranger):
        stranger.run("mkdir -p /opt/stack/devstack; touch /opt/stack/devstack/local.conf")
        before = stranger.look()
        file = rdeploy.config("c", cloud(repo, stranger.provider))
        try:
            done = rdeploy("create", "--name", "node", "--file", file, check=False)
            assert "another DevStack is there: /opt/stack/devstack." in done.stderr
            rdeploy("destroy", "node", "--yes", timeout=600)
            assert stranger.changes(before) == ""
        finally:
            stranger.run("rm -rf /opt/stack")

    def test_destroy_that_was_cancelled_then_resumed_leaves_nothing(self, rdeploy, repo, stranger):
        before = stranger.look()
        rdeploy("create", "--name", "node", "--file",
                rdeploy.config("c", cloud(repo, stranger.provider)))
        running = rdeploy.start("destroy", "node", "--yes")
        rdeploy.wait_for_event("node", "remove devstack", running)
        running.terminate()
        assert running.wait(120) == 3
        rdeploy("resume", "node")
        assert "active" in stranger.run("systemctl is-active devstack@n-cpu-1.service")
        rdeploy("destroy", "node", "--yes", timeout=600)
        assert stranger.changes(before) == ""

    def test_closed_firewall_is_opened_for_its_ports_and_closed_again(
            self, rdeploy, repo, stranger):
        stranger.run("apt-get -y -q install iptables >/dev/null; iptables -P INPUT DROP; "
                     "iptables -A INPUT -i lo -j ACCEPT; iptables -A INPUT -p tcp --dport 22 "
                     "-j ACCEPT; iptables -A INPUT -m state --state ESTABLISHED -j ACCEPT")
        before = stranger.run("iptables-save | grep -v '^[#:]'")
        assert "--dport 22" in before
        try:
            rdeploy("create", "--name", "node", "--file",
                    rdeploy.config("c", cloud(repo, stranger.provider)))
            rules = stranger.run("iptables -S INPUT")
            assert "80,443" in rules
            assert "-P INPUT DROP" in rules
            rdeploy("destroy", "node", "--yes", timeout=600)
            assert stranger.run("iptables-save | grep -v '^[#:]'") == before
        finally:
            stranger.run("iptables -P INPUT ACCEPT; iptables -F INPUT")
