"""DevstackEngine without a server: what it looks at, writes, reads and decides."""

import json
import os
import shutil
import subprocess
import uuid

import pytest

from rally_deploy.engines.devstack import (
    DevstackEngine,
    beforehand,
    clone_script,
    computes,
    evidence,
    preflight,
    prepare,
    proof,
    removal_scripts,
    source,
    watch,
    written,
)
from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import CloudBroken, HostError, UsageError
from rally_deploy.events import Kind
from rally_deploy.hosts import own_names
from rally_deploy.model import Server, State
from rally_deploy.ssh.base import Result
from rally_deploy.testing.contract import open_deployer, open_deployment
from rally_deploy.testing.devstack import write_devstack
from tests.unit.engines.devstack.fakes import FakeCloud, FakeShells, look
from tests.unit.engines.fake_shell import FakeShell

ADMIN = {
    "auth_url": "http://192.0.2.10/identity", "username": "admin", "password": "p4ss",
    "project_name": "admin",
}
WRITTEN = """
\1stackenv
# 2026-11-21-160212 1400
BASE_SQL_CONN=mysql+pymysql://root:p4ss@127.0.0.1
ENABLED_SERVICES=mysql,rabbit,key,n-cpu,n-api
HOST_IP=192.0.2.10
\1clouds
clouds:
  devstack-admin:
    auth: {auth_url: "http://192.0.2.10/identity", username: admin, password: p4ss,
           project_name: admin, user_domain_id: default}
    region_name: RegionOne
\1transport
rabbit://stackrabbit:p4ss@192.0.2.10:5672/
\1computes
ctl1
ctl2
\1ca
"""


def node(answers=(), **fields):
    shell = FakeShell(answers, fields.pop("server", None))
    return Node(shell.server, shell, "ctl", "192.0.2.10", **fields)


@pytest.fixture
def deployer(tmp_path):
    shell = FakeShell({"say uid": look(), "part stackenv": WRITTEN})
    with open_deployer(tmp_path, DevstackEngine, shells=lambda: FakeShells(shell)) as opened:
        opened.shell = shell
        yield opened


def deployment(deployer, **keys):
    made = open_deployment(deployer, {
        "type": "DevstackEngine",
        "provider": {"type": "ExistingServers", "credentials": ["root@192.0.2.10"]}, **keys,
    })
    made.move(State.PROVISIONING)
    made.record_servers([Server("192.0.2.10")])
    return made


class TestPreflight:
    def test_good_server_is_described(self):
        found = preflight.look_at(Server("192.0.2.10"), FakeShell({"say uid": look()}), "stack")
        assert (found.hostname, found.address, found.home) == ("ctl", "192.0.2.10", "/opt/stack")
        assert not found.has_user
        assert found.lacks == frozenset()

    def test_container_lacks_are_seen(self):
        shell = FakeShell({"say uid": look(no_ksm="yes", no_iscsi="yes", home="/home/ops")})
        found = preflight.look_at(Server("192.0.2.10"), shell, "ops")
        assert found.lacks == {"ksm", "iscsi"}
        assert found.checkout == "/home/ops/devstack"
        assert found.has_user

    def test_all_hindrances_are_named_at_once(self):
        shell = FakeShell({"say uid": look(
            uid="1000", systemd="", packages=None, memory="500", disk="100", addresses="",
            source="")})
        with pytest.raises(HostError) as caught:
            preflight.look_at(Server("192.0.2.10"), shell, "stack")
        assert len(caught.value.details.splitlines()) == 6

    def test_memory_limit_of_a_container_counts(self):
        shell = FakeShell({"say uid": look(limit="1000")})
        with pytest.raises(HostError, match="cannot be run") as caught:
            preflight.look_at(Server("192.0.2.10"), shell, "stack")
        assert "1000 MiB" in caught.value.details
        assert preflight.look_at(Server("192.0.2.10"), shell, "stack", "compute")

    def test_stacked_server_needs_no_more_disk(self):
        shell = FakeShell({"say uid": look(disk="100", stacked="yes")})
        assert preflight.look_at(Server("192.0.2.10"), shell, "stack")

    def test_equal_host_names_are_an_error(self):
        with pytest.raises(HostError, match="also that of"):
            own_names.require_own_names([node(), node()])


class TestPipSettings:
    def test_several_files_are_merged_without_their_machines_folders(self):
        texts = [
            "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n",
            "[global]\nfind-links = /opt/wheels\nindex-url = https://pip.example.org/simple\n"
            "extra-index-url = file:///opt/more\n[install]\nretries = 9\n",
        ]
        assert prepare.pip_settings(texts) == (
            "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n"
            "index-url = https://pip.example.org/simple\n[install]\nretries = 9\n")

    def test_nothing_useful_gives_no_file(self):
        assert prepare.pip_settings(["[global]\nfind-links = /opt/wheels\n", "broken"]) == ""


class TestSource:
    @pytest.mark.parametrize("repo", ["/srv/devstack.git", "~/devstack", "./devstack"])
    def test_path_is_local(self, repo):
        assert not source.is_address(repo)

    @pytest.mark.parametrize("repo", [
        "https://example.org/devstack", "git://192.0.2.1/openstack/devstack", "git@host:devstack",
    ])
    def test_address_is_not_local(self, repo):
        assert source.is_address(repo)

    def test_local_repository_is_sent_as_one_commit(self, tmp_path):
        repo = write_devstack(tmp_path / "devstack.git")
        target = node({"": ""}, server=Server("192.0.2.10", resource_id=1))
        source.fetch(target, "rd-1-devstack", str(repo), "stable/2026.1")
        sent = [text for text in target.shell.scripts if "tar -x" in text]
        assert len(sent) == 1
        assert "shallow" in sent[0]
        assert any("rm -rf /opt/stack/.rdeploy-devstack.git" in t for t in target.shell.scripts)

    def test_commit_of_a_local_repository_is_sent_with_all_before_it(self, tmp_path):
        repo = write_devstack(tmp_path / "devstack.git")
        commit = subprocess.run(["git", "-C", repo, "rev-parse", "HEAD"], capture_output=True,
                                text=True, check=True).stdout.strip()
        target = node({"": ""}, server=Server("192.0.2.10", resource_id=1))
        source.fetch(target, "rd-1-devstack", str(repo), commit)
        assert any("tar -x" in text for text in target.shell.scripts)

    def test_missing_branch_is_told_before_the_server_is_asked(self, tmp_path):
        repo = write_devstack(tmp_path / "devstack.git")
        with pytest.raises(UsageError, match="cannot be cloned at nowhere"):
            source.fetch(node(), "rd-1-devstack", str(repo), "nowhere")

    def test_refused_clone_names_the_address(self):
        target = node({"git clone": (66, "", "fatal: unable to connect to 192.0.2.9")})
        with pytest.raises(HostError, match="cannot be cloned") as caught:
            source.fetch(target, "rd-1-devstack", "git://192.0.2.9/devstack", "master")
        assert "unable to connect" in caught.value.details


class TestWritten:
    def test_what_devstack_wrote_is_read(self):
        found = written.read(node({"part stackenv": WRITTEN}))
        assert found.is_controller
        assert found.has_compute
        assert found.computes == ("ctl1", "ctl2")
        assert found.transport_url.endswith("@192.0.2.10:5672/")

    def test_login_is_that_of_clouds_yaml(self):
        here = node({"part stackenv": WRITTEN})
        login = written.login(here, written.read(here))
        assert login["auth_url"] == "http://192.0.2.10/identity"
        assert (login["username"], login["project_name"]) == ("admin", "admin")
        assert login["user_domain_name"] == "Default"

    def test_compute_alone_is_no_controller(self):
        text = WRITTEN.replace("mysql,rabbit,key,n-cpu,n-api", "n-cpu,placement-client")
        assert not written.read(node({"part stackenv": text})).is_controller

    def test_missing_login_is_an_error(self):
        here = node({"part stackenv": "\1stackenv\n\1clouds\n\1transport\n\1computes\n\1ca\n"})
        with pytest.raises(CloudBroken, match="no login of the admin"):
            written.login(here, written.read(here))


class TestForOuterEngines:
    def test_hand_on_gives_what_computes_need(self, deployer):
        deployer.shell.answers["source ./stackrc"] = (
            "ADMIN_PASSWORD=a\0SERVICE_PASSWORD=s\0DATABASE_PASSWORD=d\0RABBIT_PASSWORD=r\0")
        values = deployment(deployer).engine().hand_on()
        assert values["controller_ip"] == "192.0.2.10"
        assert values["controller_host"] == "ctl"
        assert values["controller_service_password"] == "s"
        assert values["controller_transport_url"].startswith("rabbit://")
        assert all(key.startswith("controller_") for key in values)

    def test_compute_hosts_are_novas_own_names(self, deployer):
        assert deployment(deployer).engine().compute_hosts() == ["ctl1", "ctl2"]

    def test_admit_without_keystone_is_an_error(self, deployer):
        deployer.shell.answers["part stackenv"] = WRITTEN.replace("key,", "")
        with pytest.raises(CloudBroken, match="Keystone"):
            deployment(deployer).engine().admit(["c1"])


class TestLocalConf:
    def test_own_values_go_over_defaults(self, deployer):
        engine = deployment(
            deployer, localrc={"ADMIN_PASSWORD": "mine"}, git_base="git://192.0.2.1").engine()
        text = engine._local_conf(node())
        assert "ADMIN_PASSWORD=mine\n" in text
        assert text.count("ADMIN_PASSWORD=") == 1
        assert "GIT_BASE=git://192.0.2.1\n" in text
        assert "HOST_IP=192.0.2.10\n" in text

    @pytest.mark.parametrize("localrc", [
        {"A": "1", "[[post-config|$NOVA_CONF]]": {"DEFAULT": {"debug": False}}},
        "[[local|localrc]]\nA=1\n\n[[post-config|$NOVA_CONF]]\n[DEFAULT]\ndebug = False\n",
        "A=1\n",
    ])
    def test_client_is_kept_running_for_stack_sh(self, deployer, localrc):
        text = deployment(deployer, localrc=localrc).engine()._local_conf(node())
        assert "\nA=1\nenable_service openstack-cli-server\n" in text
        assert text.count("[[post-config") == str(localrc).count("[[post-config")

    @pytest.mark.parametrize("localrc", [
        {"ENABLED_SERVICES+": ",-openstack-cli-server"},
        "[[local|localrc]]\ndisable_service openstack-cli-server\n",
        {"SERVICE_HOST": "192.0.2.9", "ENABLED_SERVICES": "n-cpu,placement-client"},
    ])
    def test_client_is_not_kept_for_computes_or_against_the_config(self, deployer, localrc):
        text = deployment(deployer, localrc=localrc).engine()._local_conf(node())
        assert "enable_service" not in text

    def test_passwords_are_the_same_on_every_node(self, deployer):
        engine = deployment(deployer).engine()
        assert engine._local_conf(node()) == engine._local_conf(node())


class TestAdmit:
    BEGIN = 1000.0

    def rig(self, deployer, services, hypervisors):
        shell = FakeShell({"date +%s": f"{self.BEGIN}\n", "discover_hosts": ""})
        here = Node(shell.server, shell, "ctl", "192.0.2.10")
        cloud = FakeCloud(services_up=services, hypervisors=hypervisors)
        return deployment(deployer), here, cloud

    @staticmethod
    def service(host, seen, up=True):
        return {"name": "nova-compute", "host": host, "up": up, "seen": seen}

    def test_fresh_and_mapped_computes_need_no_discovery(self, deployer):
        entity, here, cloud = self.rig(
            deployer, [self.service("c1", 1001.0)], [{"host": "c1", "up": True}])
        computes.admit(entity, here, cloud, ["c1"], timeout_s=5)
        assert not any("discover_hosts" in text for text in here.shell.scripts)

    def test_unmapped_ones_are_discovered(self, deployer):
        listed = iter([[], [{"host": "c1.example.org", "up": True}]])
        entity, here, cloud = self.rig(
            deployer, [self.service("c1", 1001.0)], lambda: next(listed))
        computes.admit(entity, here, cloud, ["c1"], timeout_s=5)
        assert sum("discover_hosts" in text for text in here.shell.scripts) == 1

    def test_missing_and_stale_ones_are_named(self, deployer):
        entity, here, cloud = self.rig(
            deployer, [self.service("c1", 999.0), self.service("c2", 1001.0)], [])
        with pytest.raises(CloudBroken, match="2 of 3 computes are not up") as caught:
            computes.admit(entity, here, cloud, ["c1", "c2", "c3"], timeout_s=0.1)
        assert "c1: has not reported" in caught.value.details
        assert "c3: has never reported" in caught.value.details
        assert "c2" not in caught.value.details

    def test_discovery_that_fails_once_is_tried_again(self, deployer):
        entity, here, cloud = self.rig(
            deployer, [self.service("c1", 1001.0)], lambda: next(listed))
        listed = iter([[], [], [{"host": "c1", "up": True}]])
        answers = iter([(1, "", "the database is busy"), (0, "", "")])
        here.shell.answers["discover_hosts"] = lambda: next(answers)
        computes.admit(entity, here, cloud, ["c1"], timeout_s=5)
        assert sum("discover_hosts" in text for text in here.shell.scripts) == 2

    def test_discovery_that_fails_to_the_end_is_told_with_what_it_said(
            self, deployer, monkeypatch):
        monkeypatch.setattr(computes, "MAP_TIMEOUT_S", 0.1)
        entity, here, cloud = self.rig(deployer, [self.service("c1", 1001.0)], [])
        here.shell.answers["discover_hosts"] = (1, "", "the database is busy")
        with pytest.raises(CloudBroken, match="1 of 1 computes are not up") as caught:
            computes.admit(entity, here, cloud, ["c1"], timeout_s=0.1)
        assert "the database is busy" in caught.value.details


class TestProof:
    CATALOG = dict.fromkeys(("compute", "image", "network", "identity"), "http://192.0.2.10")
    UP = [{"name": "nova-compute", "host": "c1", "up": True, "seen": 1.0}]
    GUESTS = {
        "images": [{"name": "small", "ram": 0, "disk": 1}, {"name": "big", "ram": 512, "disk": 9}],
        "flavors": [{"name": "m1.tiny", "ram": 512, "disk": 1}], "networks": ["x", "private"],
    }

    def cloud(self, **answers):
        return FakeCloud(**{
            "catalog": self.CATALOG, "services_up": self.UP, "guests": self.GUESTS,
            "token": {"services": []}, "boot": {"id": "s1"}, "remove_server": None,
            "wait_active": {"status": "ACTIVE", "addresses": ["10.0.0.9"], "fault": ""},
            **answers,
        })

    def booted(self, deployer, cloud):
        proof.prove_cloud(deployment(deployer), cloud)
        return [arguments for name, arguments in cloud.asked if name == "boot"]

    def test_smallest_image_is_booted_on_the_private_network(self, deployer):
        boots = self.booted(deployer, self.cloud())
        assert [(b["image"], b["flavor"], b["network"]) for b in boots] == [
            ("small", "m1.tiny", "private")]

    def test_without_networks_it_is_booted_without(self, deployer):
        cloud = self.cloud(guests={**self.GUESTS, "networks": []},
                           wait_active={"status": "ACTIVE", "addresses": [], "fault": ""})
        assert self.booted(deployer, cloud)[0]["network"] == ""

    @pytest.mark.parametrize(("image", "flavor"), [
        ({"ram": 0, "disk": 1}, "nano"), ({"ram": 600, "disk": 1}, "large"),
        ({"ram": 0, "disk": 2}, "open"), ({"ram": 300, "disk": 30}, "open"),
    ])
    def test_smallest_flavor_that_fits_the_image_is_taken(self, deployer, image, flavor):
        flavors = [{"name": "nano", "ram": 64, "disk": 1}, {"name": "open", "ram": 512, "disk": 0},
                   {"name": "large", "ram": 1024, "disk": 20}]
        cloud = self.cloud(guests={
            "images": [{"name": "i", **image}], "flavors": flavors, "networks": ["private"]})
        assert self.booted(deployer, cloud)[0]["flavor"] == flavor

    def test_larger_image_is_taken_if_none_fits_the_smallest(self, deployer):
        greedy = {"name": "greedy", "ram": 4096, "disk": 1}
        cloud = self.cloud(guests={**self.GUESTS, "images": [greedy, *self.GUESTS["images"]]})
        assert self.booted(deployer, cloud)[0]["image"] == "small"

    @pytest.mark.parametrize("answers", [
        {"guests": {**GUESTS, "images": [{"name": "huge", "ram": 9999, "disk": 1}]}},
        {"services_up": []}, {"catalog": {"identity": "http://192.0.2.10"}},
        {"guests": {"images": [], "flavors": [], "networks": []}},
    ])
    def test_controller_alone_is_proved_by_a_token(self, deployer, answers):
        cloud = self.cloud(**answers)
        assert self.booted(deployer, cloud) == []
        assert ("token", {}) in cloud.asked


class TestHistory:
    HISTORY = """
Start-Date: 2026-11-20  10:00:00
Commandline: apt-get install old
Requested-By: stack (1000)
Install: old:amd64 (1.0)
End-Date: 2026-11-20  10:00:10

Start-Date: 2026-11-21  16:01:50
Commandline: apt-get install a
Requested-By: stack (1000)
Install: a:amd64 (1.0-1), liba1:amd64 (2:3.4, automatic), python3-b:all (1, automatic)
Upgrade: c:amd64 (1, 2)
End-Date: 2026-11-21  16:02:09

Start-Date: 2026-11-21  17:00:00
Commandline: apt-get install theirs
Requested-By: ops (1001)
Install: theirs:amd64 (1.0)
End-Date: 2026-11-21  17:00:10
"""

    @pytest.mark.skipif(not shutil.which("apt-get"), reason="needs apt-get")
    def test_only_what_the_account_installed_since_then_is_named(self, tmp_path):
        (tmp_path / "history.log").write_text(self.HISTORY)
        script = removal_scripts.HISTORY.replace("/var/log/apt", str(tmp_path))
        done = subprocess.run(
            ["sh", "-e", "-c", script, "history", "stack", "2026-11-21 16:00:00"],
            capture_output=True, text=True, check=True,
        )
        assert done.stdout.split() == ["a", "liba1", "python3-b"]


@pytest.mark.skipif(not shutil.which("bash"), reason="needs a shell")
class TestCloneScript:
    """The script is run for real, on folders in place of /etc and /opt/stack."""

    @pytest.fixture
    def root(self, tmp_path):
        nova, state = tmp_path / "etc/nova", tmp_path / "opt/stack/data/nova/first1"
        for folder in (nova, state, tmp_path / "etc/openstack", tmp_path / "opt/stack/devstack"):
            folder.mkdir(parents=True)
        (nova / "nova-cpu.conf").write_text(
            "[DEFAULT]\nmy_ip = 10.0.0.2\ntransport_url = rabbit://a:b@10.0.0.21:5672/\n"
            "host = first\nlisten = 10.0.0.2,10.0.0.2\nname = first-other\n")
        (nova / "nova-fake.conf-1").write_text(
            f"[DEFAULT]\nstate_path = {state}\nhost = first1\n")
        (state / "compute_id").write_text("11111111-1111-1111-1111-111111111111\n")
        return tmp_path

    def run(self, root, *arguments):
        text = clone_script.clone_script(node(home=str(root / "opt/stack")))
        text = text.replace("/etc/", f"{root}/etc/").replace("/opt/stack/", f"{root}/opt/stack/")
        text = text.replace(f"{root}{root}", str(root))
        subprocess.run(["sh", "-e", "-c", text, "clone", *arguments], check=True)

    def test_clone_has_its_own_name_address_and_identity(self, root):
        self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")
        conf = (root / "etc/nova/nova-cpu.conf").read_text()
        assert "my_ip = 10.0.0.3\n" in conf
        assert "@10.0.0.21:5672" in conf
        assert "host = second\n" in conf
        assert "listen = 10.0.0.3,10.0.0.3\n" in conf
        assert "name = first-other\n" in conf
        fake = (root / "etc/nova/nova-fake.conf-1").read_text()
        state = root / "opt/stack/data/nova/second1"
        assert f"state_path = {state}\n" in fake
        assert "host = second1\n" in fake
        assert uuid.UUID((state / "compute_id").read_text())
        assert "1111" not in (state / "compute_id").read_text()

    def test_second_run_changes_nothing(self, root):
        self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")
        before = contents(root)
        self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")
        assert contents(root) == before

    def test_first_server_itself_stays_as_it_is(self, root):
        before = contents(root)
        self.run(root, "first", "first", "10.0.0.2", "10.0.0.2")
        assert contents(root) == before

    def test_data_elsewhere_is_found_by_what_devstack_wrote(self, root):
        (root / "etc/nova/nova-fake.conf-1").unlink()
        state = root / "srv/data/nova"
        state.mkdir(parents=True)
        (root / "opt/stack/devstack/.stackenv").write_text(f"DATA_DIR={root}/srv/data\n")
        (state / "compute_id").write_text("11111111-1111-1111-1111-111111111111\n")
        self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")
        assert "1111-1111" not in (state / "compute_id").read_text()

    def test_real_driver_gets_a_new_identity_once(self, root):
        (root / "etc/nova/nova-fake.conf-1").unlink()
        state = root / "opt/stack/data/nova"
        (state / "compute_id").write_text("11111111-1111-1111-1111-111111111111\n")
        self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")
        made = (state / "compute_id").read_text()
        assert "1111-1111" not in made
        self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")
        assert (state / "compute_id").read_text() == made

    @pytest.fixture
    def chassis(self, root, monkeypatch):
        """Open vSwitch's folder, with an ovsdb-tool that keeps what it is told in ``asked``."""
        folder, tool = root / "etc/openvswitch", root / "bin/ovsdb-tool"
        for made in (folder, tool.parent):
            made.mkdir()
        (folder / "conf.db").write_text('["map",[["ovn-encap-ip","10.0.0.2"]]]')
        (folder / "system-id.conf").write_text("11111111-1111-1111-1111-111111111111")
        tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{root}/asked\n'
                        f'cat {root}/answer 2>/dev/null || echo "[{{}}]"\n')
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
        return folder

    def test_ovn_chassis_gets_its_own_tunnel_address_name_and_id(self, root, chassis):
        self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")
        what, database, *rest = (root / "asked").read_text().splitlines()
        assert (what, database) == ("transact", str(chassis / "conf.db"))
        _, operation = json.loads("".join(rest))
        assert (operation["op"], operation["where"]) == ("mutate", [])
        delete, insert = operation["mutations"]
        assert set(delete[2][1]) == {"ovn-encap-ip", "hostname", "system-id"}
        own = dict(insert[2][1])
        assert own == {"ovn-encap-ip": "10.0.0.3", "hostname": "second",
                       "system-id": (chassis / "system-id.conf").read_text().strip()}
        assert "1111-1111" not in own["system-id"]

    def test_ovn_chassis_that_cannot_be_changed_keeps_the_clone_from_starting(
            self, root, chassis):
        (root / "answer").write_text('[{"error":"constraint violation"}]')
        with pytest.raises(subprocess.CalledProcessError):
            self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")

    def test_open_vswitch_without_ovn_is_left_as_it_is(self, root, chassis):
        (chassis / "conf.db").write_text("{}")
        self.run(root, "first", "second", "10.0.0.2", "10.0.0.3")
        assert not (root / "asked").exists()


def contents(root):
    return {
        os.path.join(top, name): open(os.path.join(top, name)).read()
        for top, _, names in os.walk(root) for name in names
    }


class Recorder:
    """A watcher that keeps the titles of steps and notes."""

    def __init__(self):
        self.seen = []

    def event(self, event):
        self.seen.append((str(event.kind), event.title))

    def line(self, *arguments):
        pass

    def titles(self, kind):
        return [title for found, title in self.seen if found == kind]


def phase(title):
    return f"+ ./stack.sh:main:779                      :   echo_summary '{title}'"


class TestWatch:
    TABLE = (
        "=========================", "DevStack Component Timing", " (times are in seconds)",
        "=========================", "wait_for_service      9", "osc                  60",
        "-------------------------", "Unaccounted time     21", "=========================",
        "Total runtime        90",
    )

    @pytest.fixture
    def recorder(self):
        return Recorder()

    @pytest.fixture
    def entity(self, tmp_path, recorder):
        with open_deployer(tmp_path, DevstackEngine, watcher=recorder) as opened:
            yield deployment(opened)

    def test_each_phase_is_a_step_that_ends_with_the_next(self, entity, recorder):
        with watch.Watch(entity, node()) as seen:
            seen.line(phase("Installing package prerequisites"))
            seen.line("Setting up git")
            seen.line(phase("Starting RabbitMQ"))
        steps = [(kind, title) for kind, title in recorder.seen if kind.startswith("step")]
        assert steps == [
            ("step-begin", "Installing package prerequisites"),
            ("step-done", "Installing package prerequisites"),
            ("step-begin", "Starting RabbitMQ"), ("step-done", "Starting RabbitMQ"),
        ]

    def test_failure_fails_the_last_phase_only(self, entity, recorder):
        def fail():
            with watch.Watch(entity, node()) as seen:
                seen.line(phase("Starting RabbitMQ"))
                seen.line(phase("Starting Keystone"))
                raise CloudBroken("stack.sh failed")

        with pytest.raises(CloudBroken):
            fail()
        assert recorder.titles("step-failed") == ["Starting Keystone"]

    def test_phases_of_before_are_not_told_again(self, entity, recorder):
        now = [100.0]
        with watch.Watch(entity, node(), again=True, clock=lambda: now[0]) as seen:
            seen.line(phase("Installing package prerequisites"))
            seen.line(phase("Starting RabbitMQ"))
            now[0] += 3
            seen.line("a line that is new")
        assert recorder.titles("step-begin") == ["Starting RabbitMQ"]

    def test_timing_is_told_longest_first(self, entity, recorder):
        seen = watch.Watch(entity, node())
        for line in self.TABLE:
            seen.line(line)
        seen.tell_timing()
        assert recorder.titles("note") == [
            "stack.sh took 90 s in all, osc 60 s, wait_for_service 9 s"]

    def test_each_component_is_an_event_for_programs(self, tmp_path):
        with open_deployer(tmp_path, DevstackEngine) as opened:
            entity = deployment(opened)
            with entity.step("stack.sh"), watch.Watch(entity, node()) as seen:
                for line in (phase("Starting Keystone"), *self.TABLE):
                    seen.line(line)
                seen.tell_timing()
            events = opened.store.events.list(entity.uuid)
        stack = next(event.step for event in events if event.title == "stack.sh")
        timings = [event for event in events if event.kind is Kind.TIMING]
        assert [(event.title, event.elapsed_s) for event in timings] == [
            ("osc", 60), ("wait_for_service", 9)]
        assert {(event.server, event.step) for event in timings} == {("ctl", stack)}


class TestFailure:
    def test_error_cause_and_journal_are_told_without_secrets(self, deployer):
        entity = deployment(deployer)
        password = entity.secret("service_password")
        here = node({
            "df -Pm": "rdeploy: failed unit: devstack@n-api.service\n",
            "journalctl -q": f"\1devstack@n-api\nERROR login with {password} refused\n",
        })
        lines = [
            "+ lib/nova:start_nova_api:985          :   run_process n-api x",
            "[ERROR] /opt/stack/devstack/lib/nova:985 nova-api did not start",
            "Error on exit",
        ]
        ended = Result("stack.sh", 1, "\n".join(lines), "", 1.0)
        told = str(evidence.broken(entity, here, ended, lines))
        assert "nova-api did not start" in told
        assert "likely cause: " in told
        assert "journal of devstack@n-api" in told
        assert password not in told

    SUMMARY = (
        "2026-11-21 16:02:10.101 | stack.sh log /opt/stack/logs/stack.sh.log.2026-11-21-160210",
        "2026-11-21 16:02:13.669 | Starting Keystone",
    )

    def quiet(self, deployer, log):
        """What is told of a stack.sh with VERBOSE off, and what its server was asked."""
        here = node({"df -Pm": "", "tail -n": log})
        ended = Result("stack.sh", 1, "\n".join(self.SUMMARY), "", 1.0)
        told = evidence.broken(deployment(deployer), here, ended, self.SUMMARY)
        return told, here.shell.asked

    def test_cause_of_a_quiet_run_is_found_in_its_log(self, deployer):
        told, asked = self.quiet(deployer, "\n".join([
            "2026-11-21 16:02:14.003 | + lib/keystone:start:520 :   restart_service apache2",
            "2026-11-21 16:02:15.200 | Error: No space left on device",
            "2026-11-21 16:02:15.300 | stack.sh failed: full log in /opt/stack/logs/stack.sh.log",
        ]))
        assert told.brief.endswith("stack.sh failed: Error: No space left on device")
        assert "likely cause: the disk is full" in told.details
        assert "while running: restart_service apache2" in told.details
        assert asked[0].endswith("/opt/stack/logs/stack.sh.log.2026-11-21-160210")

    def test_output_of_a_quiet_run_is_said_to_be_in_its_log(self, deployer):
        told, _ = self.quiet(deployer, "AttributeError: no such thing")
        assert "is in /opt/stack/logs/stack.sh.log.2026-11-21-160210 on the server" in told.remedy

    def test_log_that_cannot_be_read_leaves_what_was_printed(self, deployer):
        told, _ = self.quiet(deployer, (1, "", "no such file"))
        assert "Starting Keystone" in told.details

    def test_ended_from_outside_is_not_taken_for_an_error_of_its_own(self, deployer):
        ended = Result("stack.sh", 255, "all well\n", "the server was restarted", 1.0)
        told = evidence.broken(
            deployment(deployer), node({"df -Pm": ""}), ended, ["all well"])
        assert "the server was restarted" in told.brief


def test_packages_told_beforehand_have_what_stack_needs_to_begin_and_no_daemon():
    told = DevstackEngine.packages_beforehand({})
    names = {name for names in told.values() for name in names}
    assert told == beforehand.PACKAGES
    assert set(prepare.PACKAGES) <= names
    assert names.isdisjoint({
        "apache2", "conntrackd", "haproxy", "keepalived", "libvirt-daemon-system",
        "mariadb-server", "memcached", "mysql-server", "open-iscsi", "openssh-server",
        "openvswitch-switch", "postgresql-server-dev-all", "rabbitmq-server", "radvd",
        "sysfsutils", "tgt", "uuid-runtime",
    })
