"""Destroy takes away what DevStack and we brought, and nothing else: scripts run in a folder."""

import os
import uuid

import pytest

from rally_deploy.engines.devstack import (
    DevstackEngine,
    before,
    files,
    ownership,
    preflight,
    remains,
    removal,
    source,
    stack,
)
from rally_deploy.engines.devstack.node import Folders, Node
from rally_deploy.errors import HostError
from rally_deploy.model import Server
from rally_deploy.ssh.base import STATE_DIR
from rally_deploy.testing.contract import open_deployer, open_deployment
from rally_deploy.testing.devstack import write_devstack
from tests.unit.engines.devstack.fakes import FakeShells, look
from tests.unit.engines.devstack.rooted import USER, RootedShell
from tests.unit.engines.fake_shell import FakeShell

OWNER, JOB = "rd-11111111-devstack", "rd-11111111-stack"
CHECKOUT = "/opt/stack/devstack"


@pytest.fixture
def server(tmp_path):
    return RootedShell(tmp_path / "server")


def on(server, **fields):
    fields = {"user": USER, "home": str(server.path("/opt/stack")), **fields}
    return Node(server.server, server, "ctl", "192.0.2.10", **fields)


def checkout(server, mark=""):
    """A DevStack of somebody; its unstack.sh notes that it was run."""
    server.write(f"{CHECKOUT}/.stackenv")
    for script in ("unstack.sh", "clean.sh"):
        server.write(f"{CHECKOUT}/{script}", f"#!/bin/sh\necho {script} >>{server.root}/called\n")
        server.path(f"{CHECKOUT}/{script}").chmod(0o755)
    if mark:
        server.write(f"{CHECKOUT}/{ownership.MARK}", f"{mark} git://192.0.2.1/d master\n")


class TestOwnership:
    def others(self, server):
        return ownership.others(server, USER, "/opt/stack", OWNER, JOB)

    def test_bare_server_has_no_other(self, server):
        assert self.others(server) == []

    def test_own_checkout_and_its_units_are_ours(self, server):
        checkout(server, OWNER)
        server.unit("n-api")
        assert self.others(server) == []

    def test_checkout_without_mark_is_anothers(self, server):
        checkout(server)
        server.unit("n-api")
        assert self.others(server) == [str(server.path(CHECKOUT)), "devstack@n-api.service"]

    def test_checkout_of_another_deployment_is_named_with_it(self, server):
        checkout(server, "rd-22222222-devstack")
        assert self.others(server) == [f"{server.path(CHECKOUT)} (rd-22222222-devstack)"]

    def test_units_alone_are_anothers(self, server):
        server.unit("n-api")
        assert self.others(server) == ["devstack@n-api.service"]

    def test_units_of_our_stack_sh_are_ours_without_the_checkout(self, server):
        server.unit("n-api")
        server.write(f"{STATE_DIR}/jobs/{JOB}/log")
        assert self.others(server) == []

    def test_settings_of_units_are_no_units(self, server):
        server.write("/etc/systemd/system/devstack@.service.d/50-rdeploy.conf")
        assert self.others(server) == []

    def test_look_at_a_server_with_another_devstack_is_refused(self):
        shell = FakeShell({"say uid": look(
            others="/opt/stack/devstack (rd-22222222-devstack);devstack@n-api.service;")})
        with pytest.raises(HostError, match="cannot be run here") as caught:
            preflight.look_at(Server("192.0.2.10"), shell, "stack")
        told = caught.value.details
        assert ("another DevStack is there: /opt/stack/devstack (rd-22222222-devstack), "
                "devstack@n-api.service.") in told
        assert "unstack.sh" in told

    def test_look_asks_with_the_names_of_this_deployment(self):
        shell = FakeShell({"say uid": look()})
        preflight.look_at(Server("192.0.2.10"), shell, "stack", "all", OWNER, JOB)
        assert shell.asked == [f"sh -s -- stack {OWNER} {JOB}"]


class TestCheckout:
    @pytest.fixture
    def repo(self, tmp_path):
        return str(write_devstack(tmp_path / "devstack.git", ["master", "stable/x"]))

    def fetch(self, server, repo, owner=OWNER, branch="master"):
        source.fetch(on(server), owner, f"file://{repo}", branch)

    def mark(self, server):
        return server.path(f"{CHECKOUT}/{ownership.MARK}").read_text().split()

    def test_checkout_carries_its_owner(self, server, repo):
        self.fetch(server, repo)
        assert self.mark(server) == [OWNER, f"file://{repo}", "master"]

    def test_own_checkout_stays_on_resume(self, server, repo):
        self.fetch(server, repo)
        server.write(f"{CHECKOUT}/.stackenv")
        self.fetch(server, repo)
        assert server.path(f"{CHECKOUT}/.stackenv").exists()

    def test_other_branch_replaces_an_own_checkout(self, server, repo):
        self.fetch(server, repo)
        self.fetch(server, repo, branch="stable/x")
        assert self.mark(server)[2] == "stable/x"
        assert server.below("/opt/stack") == ["devstack"]

    @pytest.mark.parametrize("branch", ["master", "stable/x"])
    def test_checkout_of_another_deployment_is_refused_and_stays(self, server, repo, branch):
        self.fetch(server, repo, "rd-22222222-devstack")
        with pytest.raises(HostError, match="another DevStack is there"):
            self.fetch(server, repo, branch=branch)
        assert self.mark(server)[0] == "rd-22222222-devstack"

    def test_checkout_without_mark_is_refused_and_stays(self, server, repo):
        checkout(server)
        with pytest.raises(HostError, match="another DevStack is there"):
            self.fetch(server, repo)
        assert server.path(f"{CHECKOUT}/unstack.sh").exists()


@pytest.fixture
def remove(tmp_path, server, recorder):
    """Removes what these facts tell of; returns the warnings."""
    with open_deployer(
        tmp_path, DevstackEngine, watcher=recorder, shells=lambda: FakeShells(server)
    ) as deployer:
        entity = open_deployment(deployer, {"type": "DevstackEngine", "provider": {}})

        def run(facts=()):
            row = deployer.store.resources.intend(
                entity.uuid, "engine", removal.KIND, uuid.uuid4().hex, "rd-1-ctl",
                host=server.server, facts=dict(facts))
            removal.remove(entity, row, OWNER, ["rd-1-packages", JOB], USER)
            return [e.title for e in recorder.events if str(e.kind) == "warning"]

        yield run


def facts(server, **changed):
    """Of a server with an account and a home that were there before us."""
    return {
        "account": True, "home": str(server.path("/opt/stack")), "packages": [], "since": "",
        "home_mode": "", "dest": "/", "locale": True, "had": [], "named": [], "files": [],
        "accounts": [], "groups": [], **changed,
    }


class TestRemove:
    def test_own_devstack_is_unstacked_and_removed(self, server, remove):
        checkout(server, OWNER)
        server.unit("n-api")
        assert remove(facts(server)) == []
        assert [line for line in server.called if line in ("unstack.sh", "clean.sh")] == [
            "unstack.sh", "clean.sh"]
        assert server.below("/opt/stack") == []
        assert server.below("/etc/systemd/system") == []

    @pytest.mark.parametrize("mark", ["", "rd-22222222-devstack"])
    def test_other_devstack_stays_whole_and_is_told(self, server, remove, mark):
        checkout(server, mark)
        server.unit("n-api")
        server.write("/etc/nova/nova.conf")
        told = remove(facts(server, account=False, dest=None,
                            files=[str(server.path("/etc/nova"))], accounts=["mysql"]))
        assert len(told) == 1
        assert str(server.path(CHECKOUT)) in told[0]
        assert not any(line.startswith(("unstack", "userdel", "pkill")) for line in server.called)
        assert server.path(f"{CHECKOUT}/unstack.sh").exists()
        assert server.below("/etc/systemd/system") == ["devstack@n-api.service"]
        assert server.below("/etc/nova") == ["nova.conf"]

    def test_destroy_before_the_checkout_was_made_removes_the_account(self, server, remove):
        server.account()
        server.path("/opt/stack").mkdir()
        assert remove(facts(server, account=False, dest=None)) == []
        assert server.below("/opt/stack") is None
        assert f"userdel {USER}" in server.called

    def test_half_removed_checkout_is_removed_by_the_next_destroy(self, server, remove):
        checkout(server, OWNER)
        server.stub("rm", 'case $* in *rdeploy-old*.git) exit 1 ;; esac; exec /bin/rm "$@"')
        with pytest.raises(HostError):
            remove(facts(server))
        assert server.below("/opt/stack") == ["devstack.rdeploy-old"]
        server.stub("rm", 'exec /bin/rm "$@"')
        assert remove(facts(server)) == []
        assert server.below("/opt/stack") == []

    def test_row_without_facts_removes_no_account_and_no_folder(self, server, remove):
        server.account()
        server.write("/opt/stack/theirs")
        remove()
        assert server.below("/opt/stack") == ["theirs"]
        assert not any(line.startswith(("userdel", "pkill")) for line in server.called)


class TestFolders:
    """/opt/stack was there before, with something in it."""

    def test_what_was_there_before_stays_though_the_account_is_ours(self, server, remove):
        for name in ("theirs/a", "with space", ".hidden", "nova/b", "data/c"):
            server.write(f"/opt/stack/{name}")
        remove(facts(server, account=False, dest="/.hidden/theirs/with space/"))
        assert server.below("/opt/stack") == [".hidden", "theirs", "with space"]

    def test_what_came_after_stack_sh_stays_in_the_folder_of_an_account_of_before(
            self, server, remove):
        for name in ("theirs", "nova", "later"):
            server.write(f"/opt/stack/{name}")
        remove(facts(server, dest="/theirs/", after={"dest": "/nova/theirs/"}))
        assert server.below("/opt/stack") == ["later", "theirs"]

    def test_what_another_made_meanwhile_stays(self, server, remove):
        server.write("/opt/stack/nova")
        server.stub("stat", "echo somebody")
        remove(facts(server, account=False))
        assert server.below("/opt/stack") == ["nova"]

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
    def test_owner_and_mode_of_the_home_come_back(self, server, remove):
        server.path("/opt/stack").mkdir()
        os.chmod(server.path("/opt/stack"), 0o755)
        remove(facts(server, home_mode="700 65534:65534"))
        found = server.path("/opt/stack").stat()
        assert (found.st_mode & 0o777, found.st_uid) == (0o700, 65534)

    def test_mode_that_another_has_set_meanwhile_stays(self, server, remove):
        server.path("/opt/stack").mkdir(mode=0o711)
        remove(facts(server, home_mode=f"700 {os.geteuid()}:{os.getegid()}"))
        assert server.path("/opt/stack").stat().st_mode & 0o777 == 0o711


class TestFoldersElsewhere:
    """DEST and DATA_DIR of local_conf: what stack.sh puts there goes, what was there stays."""

    @pytest.fixture
    def stacked(self, server, remove):
        """What is left after a stack.sh that has ended well and its removal."""

        def run(dest, data, *made, later=()):
            dest, data = (str(server.path(path)) for path in (dest, data))
            here = on(server, has_user=True, folders=Folders(dest, data))
            known = before.facts_before(here)
            for path in made:
                server.write(path)
            known.update(before.facts_after(here, known))
            for path in later:
                server.write(path)
            remove({**known, "packages": []})
            return [
                str(path.relative_to(server.root)) for path in sorted(server.path("/").rglob("*"))
                if path.is_file() and path.relative_to(server.root).parts[0] in ("srv", "opt")]

        return run

    def test_new_folders_go_with_the_empty_ones_above_them(self, server, stacked):
        assert stacked("/srv/a/b", "/srv/a/data", "/srv/a/b/nova/x", "/srv/a/data/mysql/x") == []
        assert server.below("/srv") is None

    def test_what_was_in_them_and_what_came_later_stays(self, server, stacked):
        for path in ("/srv/b/theirs", "/srv/data/theirs"):
            server.write(path)
        assert stacked(
            "/srv/b", "/srv/data", "/srv/b/nova/x", "/srv/data/mysql/x", "/opt/stack/logs/x",
            later=["/srv/b/later"],
        ) == ["srv/b/later", "srv/b/theirs", "srv/data/theirs"]

    def test_data_in_a_folder_of_before_goes_out_of_it(self, server, stacked):
        server.write("/srv/b/data/theirs")
        assert stacked("/srv/b", "/srv/b/data", "/srv/b/data/mysql/x") == ["srv/b/data/theirs"]

    def test_broken_links_to_programs_there_go(self, server, remove):
        for name, to in (("nova-manage", "/srv/b/x"), ("mine", "/srv/mine/x")):
            server.path(f"/usr/local/bin/{name}").symlink_to(server.path(to))
        remove(facts(server, folders={str(server.path("/srv/b")): None}))
        assert server.below("/usr/local/bin") == ["mine"]

    def test_names_of_before_are_those_of_the_folder(self):
        known = {"dest": "/nova/", "folders": {"/srv/b": "/glance/"}}
        assert before.names(known, "/srv/b") == "/glance/"
        assert before.names(known, "/opt/stack") == "/nova/"
        assert before.names({}, "/srv/b") == ""


class TestBeforeAndAfter:
    def test_state_of_home_and_folder_is_recorded(self, server):
        server.write("/opt/stack/theirs")
        os.chmod(server.path("/opt/stack"), 0o750)
        found = before.facts_before(on(server, has_user=True))
        assert found["dest"] == "/theirs/"
        assert found["home_mode"].startswith("750 ")
        assert found["since"]
        assert "rabbitmq" in found["accounts"]

    def test_folder_that_is_not_there_is_recorded_as_that(self, server):
        found = before.facts_before(on(server))
        assert found["dest"] is None
        assert found["home_mode"] == ""

    def test_end_of_stack_sh_is_recorded_with_what_came(self, server):
        known = before.facts_before(on(server))
        server.account("rabbitmq")
        server.write("/opt/stack/nova/x")
        after = before.facts_after(on(server), known)["after"]
        assert (after["dest"], after["accounts"]) == ("/nova/", ["rabbitmq"])

    def test_account_that_came_after_the_end_stays(self, server, remove):
        server.account("mysql")
        server.account("postgres")
        remove(facts(server, accounts=["mysql", "postgres"],
                     after={"dest": "/", "accounts": ["mysql"], "groups": []}))
        assert "userdel mysql" in server.called
        assert "userdel postgres" not in server.called


class TestFiles:
    def test_file_of_a_package_that_stays_is_not_removed(self, server, remove):
        for path in ("/etc/apache2/a", "/etc/nova/a"):
            server.write(path)
        apache, nova = (str(server.path(f"/etc/{name}")) for name in ("apache2", "nova"))
        server.write("owned", f"{apache}\n")
        remove(facts(server, files=[apache, nova]))
        assert server.below("/etc/apache2") == ["a"]
        assert server.below("/etc/nova") is None

    def place(self, server, *targets, **fields):
        wanted = [{"to": str(server.path(t)) if t[0] == "/" else t, "content": "ours"}
                  for t in targets]
        files.place(on(server, **fields), wanted, removal.kept("rd-1-ctl"))

    @pytest.fixture(autouse=True)
    def owner(self, server):
        server.stub("chown", "")

    def test_placed_file_is_removed_with_the_folders_that_it_needed(self, server, remove):
        checkout(server, OWNER)
        server.write("/etc/there/a")
        self.place(server, "/etc/there/b", "/etc/new/deep/c", "image.img")
        assert server.below("/etc/new/deep") == ["c"]
        assert server.path(f"{CHECKOUT}/files/image.img").exists()
        remove(facts(server))
        assert server.below("/etc/there") == ["a"]
        assert server.below("/etc/new") is None

    def test_file_that_was_there_before_comes_back_with_its_mode(self, server, remove):
        server.write("/etc/there/a", "theirs")
        server.path("/etc/there/a").chmod(0o600)
        self.place(server, "/etc/there/a")
        self.place(server, "/etc/there/a", "/etc/there/b")  # a resume
        assert server.path("/etc/there/a").read_text() == "ours"
        remove(facts(server))
        assert server.path("/etc/there/a").read_text() == "theirs"
        assert server.path("/etc/there/a").stat().st_mode & 0o777 == 0o600
        assert server.below("/etc/there") == ["a"]
        assert server.below("/var/lib") == ["apt"]

    def test_nothing_is_recorded_on_a_server_that_we_made(self, server):
        shell = FakeShell({"": ""}, Server("192.0.2.10", resource_id=1))
        files.place(Node(shell.server, shell, "ctl", "192.0.2.10"),
                    [{"to": "/etc/a", "content": "ours"}], "kept")
        assert len(shell.asked) == 1


class TestMend:
    def mend(self, server, user=USER, known=""):
        server.script(stack._MEND, user, str(server.path("/opt/stack")), known)

    @pytest.fixture(autouse=True)
    def half(self, server):
        server.write("/opt/stack/nova/.git/index.lock")

    def test_half_clone_is_removed(self, server):
        self.mend(server)
        assert server.below("/opt/stack") == []

    def test_repository_of_before_stays_untouched(self, server):
        self.mend(server, known="/nova/")
        assert server.below("/opt/stack/nova/.git") == ["index.lock"]

    def test_repository_of_another_account_stays_untouched(self, server):
        self.mend(server, user="somebody")
        assert server.below("/opt/stack/nova/.git") == ["index.lock"]


class TestRemains:
    NETNS = "qrouter-6a39ed6c-3a24-43b3-9b6a-31a1a7c2a001"

    @pytest.fixture(autouse=True)
    def machine(self, server):
        """Two of each kind; what is deleted is not listed any more."""
        server.stub("ip", """
        case "$*" in
        "netns list") grep -qs "ip netns delete" $ROOT/called || echo "NETNS (id: 1)"; echo mine ;;
        "-o link") for link in 1:lo 2:br-int 3:tap0a1b2c3d-4e@if5 4:br-ex 5:virbr1; do
            name=${link#*:}; grep -qs "ip link delete ${name%@*}$" $ROOT/called ||
                echo "${link%%:*}: $name: <UP>"; done ;;
        esac""".replace("NETNS", self.NETNS))
        server.stub("virsh", """
        case "$*" in *list*) grep -qs "undefine.*instance-00000001" $ROOT/called ||
            echo instance-00000001; echo mine ;; esac""")
        server.stub("losetup", """
        case "$*" in *NAME*) grep -qs "losetup -d" $ROOT/called ||
            echo "/dev/loop3 /opt/stack/data/stack-volumes-lvmdriver-1-backing-file"
            echo "/dev/loop4 /srv/mine.img" ;; esac""")
        server.stub("pvs", "echo '  stack-volumes-lvmdriver-1'")

    def test_names_are_those_that_openstack_gives(self, server):
        assert sorted(remains.names(server)) == [
            "domain:instance-00000001", "link:br-ex", "link:br-int", "link:tap0a1b2c3d-4e",
            "loop:/dev/loop3", f"netns:{self.NETNS}"]

    def test_all_but_what_was_there_before_is_removed(self, server):
        assert remains.remove(server, ["link:br-ex"]) == []
        called = "\n".join(server.called)
        for removal_of in (f"ip netns delete {self.NETNS}", "ip link delete br-int",
                           "ip link delete tap0a1b2c3d-4e", "losetup -d /dev/loop3",
                           "vgremove -f -q stack-volumes-lvmdriver-1"):
            assert removal_of in called
        assert "ip link delete br-ex" not in called
        assert "mine" not in called
        assert "loop4" not in called

    def test_what_cannot_be_removed_is_told(self, server, remove):
        server.stub("losetup", 'case "$*" in *NAME*) '
                    'echo "/dev/loop3 /opt/stack/data/stack-volumes-x-backing-file" ;; esac')
        told = remove(facts(server, named=["link:br-ex"]))
        assert len(told) == 1
        assert "loop:/dev/loop3" in told[0]

    def test_bare_server_has_none(self, tmp_path):
        bare = RootedShell(tmp_path / "bare")
        assert remains.names(bare) == []
        assert remains.remove(bare, []) == []


class TestHistory:
    def test_packages_that_came_after_the_end_stay(self, server):
        known = {"since": "2026-11-21 09:00:00"}
        server.write("/var/log/apt/history.log", entry("10:00:00", "ours"))
        after = before.facts_after(on(server), known)
        # In the same second, too.
        server.write("/var/log/apt/history.log",
                     entry("10:00:00", "ours") + entry("10:00:00", "later"))
        assert removal._installed(server, USER, {**known, **after}) == ["ours"]
        assert removal._installed(server, USER, known) == ["ours", "later"]


def entry(time, package):
    """How apt notes what the account has asked for."""
    return (f"Start-Date: 2026-11-21  {time}\nRequested-By: {USER} (1000)\n"
            f"Install: {package}:amd64 (1)\n\n")
