"""stack.sh as a job: one that hangs, one that runs while it is resumed, a destroy that failed."""

import time

import pytest

from rally_deploy.engines.devstack import DevstackEngine, preflight, removal, stack
from rally_deploy.engines.devstack.node import Node
from rally_deploy.engines.devstack.prepare import PACKAGES
from rally_deploy.errors import CloudBroken, CommandTimeout, LeftOver
from rally_deploy.model import ResourceState, Server, State
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.unit.engines.devstack.fakes import FakeShells, look
from tests.unit.engines.fake_shell import FakeShell

PHASE = "+ ./stack.sh:main:779                      :   echo_summary 'Starting RabbitMQ'"
STATUS = "state=absent"  # in the script that asks for a job's state
FOLLOW = " follow "
END = "processes$left do not end"
RUN = "./stack.sh </dev/null"
SERVER = "192.0.2.10"


class Machine(FakeShell):
    """A server whose stack.sh is in ``state``. ``installed``: whether our account is there."""

    def __init__(self, state="absent"):
        self.state, self.installed, self.fails = state, False, ""
        self.views = []  # the shells that it was asked by, which differ in who observes
        super().__init__({
            "say uid": self.look, "echo \"time=": self.now, STATUS: lambda: self.state,
            RUN: self.start, "userdel": self.remove, "mysql-server": "", "--simulate": "",
            "dpkg-query": "".join(f"ii {name}\n" for name in PACKAGES),
            "": "",
        })

    def execute(self, command, stdin, timeout_s, quiet):
        self.views.append(self)
        return super().execute(command, stdin, timeout_s, quiet)

    def look(self):
        return look(home="/opt/stack" if self.installed else None)

    def now(self):
        dest = "dest=/nova/\n" if self.installed else ""
        return f"time=2026-11-21 10:00:0{int(self.installed)}\n{dest}files=/etc/nova\n"

    def start(self):
        self.state, self.installed = "ended 0", True
        return ""

    def remove(self):
        if self.fails:
            return (1, "", self.fails)
        self.state, self.installed = "absent", False
        return ""


@pytest.fixture
def rig(tmp_path, recorder):
    """A deployment on a machine: its entity and its engine."""
    machine = Machine()
    with open_deployer(
        tmp_path, DevstackEngine, watcher=recorder, shells=lambda: FakeShells(machine)
    ) as deployer:
        entity = open_deployment(deployer, {
            "type": "DevstackEngine", "timeout_s": 60,
            "provider": {"type": "ExistingServers", "credentials": [f"root@{SERVER}"]}})
        entity.move(State.PROVISIONING)
        yield machine, entity, entity.engine()


def stacked(engine, entity):
    """The node as ``deploy`` makes it, and its row."""
    engine._node(engine._look(Server(SERVER)))
    row, = entity.ledger.alive(removal.KIND)
    return row


class TestTimeout:
    @pytest.fixture
    def hung(self, rig):
        """Why stack.sh that never ends was given up."""
        machine, entity, _ = rig

        def follow():
            machine.views[-1].observer.line(Server(SERVER), PHASE)
            time.sleep(0.2)
            raise CommandTimeout(Server(SERVER), "follow was ended")

        machine.answers = {FOLLOW: follow, **machine.answers, RUN: "", STATUS: "running"}
        node = Node(machine.server, machine, "ctl", SERVER)

        with pytest.raises(CloudBroken) as caught:
            stack.run(entity, node, "rd-1-stack", 0.2)
        return machine, caught.value

    def test_hung_one_is_told_with_its_phase_and_the_key_to_raise(self, hung):
        _, error = hung
        assert error.brief.endswith(
            "it was not done within 0.2 s, in 'Starting RabbitMQ', and has been ended")
        assert "raise 'timeout_s'" in error.remedy

    def test_hung_one_is_ended_so_that_resume_begins_it_again(self, hung):
        machine, _ = hung
        assert any(END in text for text in machine.scripts)

    def test_timeout_of_another_command_ends_nothing(self, rig):
        machine, entity, _ = rig

        def slow():
            raise CommandTimeout(Server(SERVER), "the server is slow")

        states = iter(["running"])
        machine.answers[STATUS] = lambda: next(states, None) or slow()
        with pytest.raises(CommandTimeout, match="within 120 s"):
            stack.run(entity, Node(machine.server, machine, "ctl", SERVER), "rd-1-stack", 60)
        assert not any(END in text for text in machine.scripts)


class TestAttached:
    def test_nothing_is_prepared_again_while_stack_sh_runs(self, rig):
        machine, entity, engine = rig
        states = iter(["running", "running"])
        machine.answers[STATUS] = lambda: next(states, "ended 0")
        stacked(engine, entity)
        done = "\n".join(machine.scripts)
        for touched in ("sudoers.d/50_stack_sh ALL", "useradd", "git clone", "local.conf"):
            assert touched not in done

    def test_right_to_become_root_is_replaced_as_a_whole(self, rig):
        machine, entity, engine = rig
        stacked(engine, entity)
        wrote = [text for text in machine.scripts if "NOPASSWD" in text]
        assert len(wrote) == 1
        assert "mv -fT" in wrote[0]
        assert "440" in wrote[0].splitlines()[0]

    def test_end_of_stack_sh_is_recorded(self, rig):
        _, entity, engine = rig
        row = stacked(engine, entity)
        assert row.facts["since"] == "2026-11-21 10:00:00"
        assert row.facts["after"]["packages"] == []
        assert row.facts["after"]["dest"] == "/nova/"


class TestFolders:
    """DEST and DATA_DIR elsewhere, as local_conf has them."""

    @pytest.fixture
    def folders(self, rig):
        machine, _, engine = rig
        engine.config = {
            **engine.config, "local_conf": {"DEST": "/srv/x", "DATA_DIR": "$DEST/data"}}
        machine.answers['echo "time='] = (
            "time=2026-11-21 10:00:00\nfolder /srv/x=/nova/mine/\nabove=/srv/y \n")
        return {"/srv/x": "/nova/mine/", "/srv/x/data": None}

    def test_what_is_in_them_is_recorded_before_and_after(self, rig, folders):
        _, entity, engine = rig
        row = stacked(engine, entity)
        assert row.facts["folders"] == folders
        assert row.facts["above"] == ["/srv/y"]
        assert row.facts["after"]["folders"] == folders

    def test_half_clones_are_mended_there_but_not_those_of_before(self, rig, folders):
        machine, entity, engine = rig
        states = iter(["ended 1", "ended 1"])
        machine.answers[STATUS] = lambda: next(states, "ended 0")
        stacked(engine, entity)
        mended, = (text.splitlines()[0] for text in machine.scripts if "user=$1 dest=$2" in text)
        assert mended.split()[-3:] == ["stack", "/srv/x", "/nova/mine/"]


class TestPip:
    @pytest.mark.parametrize(("resource_id", "fast"), [("r1", True), (None, False)])
    def test_only_servers_made_for_it_compile_no_package_beforehand(self, rig, resource_id, fast):
        machine, entity, _ = rig
        node = Node(Server(SERVER, resource_id=resource_id), machine, "ctl", SERVER)
        stack.run(entity, node, "rd-1-stack", 60)
        start, = (text.splitlines()[0] for text in machine.scripts if RUN in text)
        assert ("PIP_COMPILE=0" in start) is fast


class TestClientServer:
    STOP = "disable -q --now devstack@$1.service"

    def stopped(self, rig, **keys):
        machine, entity, engine = rig
        engine.config = {**engine.config, **keys}
        stacked(engine, entity)
        return [i for i, text in enumerate(machine.scripts) if self.STOP in text], [
            i for i, text in enumerate(machine.scripts) if RUN in text]

    def test_it_ends_with_stack_sh(self, rig):
        (stop,), (run,) = self.stopped(rig)
        assert stop > run

    def test_one_that_the_config_wants_stays(self, rig):
        wanted = {"ENABLED_SERVICES+": ",openstack-cli-server"}
        assert self.stopped(rig, local_conf=wanted)[0] == []


class TestDestroyThatFailed:
    def before(self, row):
        return {k: v for k, v in row.facts.items() if k not in ("after", "commit")}

    @pytest.fixture
    def first(self, rig):
        _, entity, engine = rig
        return stacked(engine, entity)

    def failed(self, rig):
        machine, _, engine = rig
        machine.fails = "the disk is read-only"
        with pytest.raises(LeftOver):
            engine.release_all()
        machine.fails = ""

    def test_resumed_one_knows_what_was_there_before(self, rig, first):
        _, entity, engine = rig
        self.failed(rig)
        again = stacked(engine, entity)
        assert again.id != first.id
        assert again.state is ResourceState.LIVE
        assert self.before(again) == self.before(first)
        assert again.facts["account"] is False

    def test_killed_one_is_like_a_failed_one(self, rig, first):
        machine, entity, engine = rig

        def die():
            raise KeyboardInterrupt

        machine.answers["userdel"] = die
        with pytest.raises(KeyboardInterrupt):
            entity.ledger.release(first, engine.delete)
        machine.answers["userdel"] = machine.remove
        again = stacked(engine, entity)
        assert self.before(again) == self.before(first)

    def test_destroy_after_the_resume_removes_all(self, rig, first):
        machine, entity, engine = rig
        self.failed(rig)
        stacked(engine, entity)
        machine.scripts.clear()
        engine.release_all()
        assert entity.ledger.alive() == []
        account = next(text for text in machine.scripts if "userdel" in text and "chmod" in text)
        assert account.splitlines()[0] == "sh -s -- stack /opt/stack account ''"
        assert not machine.installed


def test_checkout_is_looked_for_and_marked_with_the_name_of_the_deployment(rig):
    machine, entity, engine = rig
    stacked(engine, entity)
    name = f"rd-{entity.uuid[:8]}"
    looked = next(line for line in machine.asked if line.startswith("sh -s -- stack rd-"))
    assert looked == f"sh -s -- stack {name}-devstack {name}-stack"
    assert any(f" clone {name}-devstack https://" in line for line in machine.asked)


def test_refused_server_gets_no_row(rig):
    machine, entity, engine = rig
    machine.answers["say uid"] = look(others="/srv/devstack;")
    entity.record_servers([Server(SERVER)])
    with pytest.raises(preflight.HostError, match="cannot be run here"):
        engine._nodes()
    with pytest.raises(preflight.HostError, match="cannot be run here"):
        engine.deploy()
    assert entity.ledger.alive() == []
    assert not any("useradd" in text for text in machine.scripts)
