"""Packages, files and scripts that run once, on a server that only says what it was asked."""

import hashlib
import os
import signal
import socket
import subprocess
import threading

import pytest

from rally_deploy.errors import Cancelled, CommandFailed, HostError
from rally_deploy.hosts import files, packages, systemd
from rally_deploy.hosts.files import File, once, put_all
from rally_deploy.ssh import base
from rally_deploy.ssh.base import STATE_DIR
from rally_deploy.ssh.local import LocalShell
from tests.unit.engines.distro.fakes import FakeShell
from tests.unit.ssh.fakes import LOCAL, Watcher
from tests.unit.ssh.test_local import soon


class Stamps(FakeShell):
    """Keeps what is put below done/, and runs one script."""

    def __init__(self, script=""):
        super().__init__({
            "cat /var/lib/rdeploy/done": lambda: (0 if self.stamp else 1, self.stamp, ""),
            "put /var/lib/rdeploy/done": lambda: self._keep(),
            "manage db": script,
        })
        self.stamp = ""

    def _keep(self):
        self.stamp = self.scripts[-1].splitlines()[-1]
        return ""

    @property
    def runs(self):
        return sum("manage db" in script for script in self.scripts)


def test_script_that_ran_to_its_end_is_not_run_again():
    shell = Stamps()
    assert once(shell, "nova", "manage db sync", "26") is True
    assert once(shell, "nova", "manage db sync", "26") is False
    assert shell.runs == 1


def test_script_is_run_again_for_another_version_of_the_package():
    shell = Stamps()
    once(shell, "nova", "manage db sync", "26")
    assert once(shell, "nova", "manage db sync", "27") is True


def test_script_that_failed_is_run_again():
    shell = Stamps(script=(1, "", "no database"))
    for _ in range(2):
        with pytest.raises(CommandFailed):
            once(shell, "nova", "manage db sync")
    assert shell.runs == 2


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A shell of this machine, which keeps its state in the test's folder."""
    for module, name in ((base, "STATE_DIR"), (base, "RUN_DIR"), (files, "DONE_DIR")):
        monkeypatch.setattr(module, name, str(tmp_path / name))
    return LocalShell(LOCAL, Watcher())


def test_job_of_a_cancelled_call_goes_on_and_the_next_one_waits_for_it(tmp_path, here):
    runs, go = tmp_path / "runs", tmp_path / "go"
    text = f"echo x >>{runs}\nuntil [ -e {go} ]; do sleep 0.05; done\necho over >>{runs}"

    def call():
        return once(here, "nova", text, job="rd-1-tables-nova", timeout_s=30)

    def cancel():
        if soon(runs.exists):
            here.observer.error = Cancelled()

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    with pytest.raises(Cancelled):
        call()
    cancelling.join()
    here.observer.error = None
    threading.Timer(0.3, go.touch).start()
    assert call() is True
    assert runs.read_text() == "x\nover\n"
    assert not (tmp_path / "STATE_DIR").exists()
    assert call() is False


def test_job_that_fails_tells_why_and_is_run_again(tmp_path, here):
    text = f"echo x >>{tmp_path}/runs; echo no database >&2; exit 3"
    for _ in range(2):
        with pytest.raises(CommandFailed, match="script of nova.* status 3") as error:
            once(here, "nova", text, job="rd-1-tables-nova")
        assert error.value.details == "no database"
    assert (tmp_path / "runs").read_text() == "x\nx\n"


def test_files_are_put_with_their_modes_and_owners():
    shell = FakeShell()
    put_all(shell, [File("/etc/a/b.conf", "text\n", 0o640, "root:nova"), File("/etc/c", b"x")])
    assert shell.files == {
        "/etc/a/b.conf": ("text\n", 0o640, "root:nova"), "/etc/c": ("x", 0o644, "root:root")}


def test_file_keeps_its_content_out_of_its_repr():
    assert "S3cret" not in repr(File("/etc/a", "S3cret"))


def test_missing_are_those_not_fully_installed():
    shell = FakeShell({"dpkg-query": "ii  keystone\nun  nova-api\niF  glance-api\n"})
    assert packages.missing(shell, ["keystone", "nova-api", "glance-api", "new"]) == [
        "nova-api", "glance-api", "new"]


def test_upgrade_of_what_is_there_does_not_count_as_new():
    shell = FakeShell({"--simulate": "Inst a (1 Debian)\nInst b [1] (2 Debian)\nConf a (1)\n"})
    assert packages.would_install(shell, ["a"]) == ["a"]


def test_failed_installation_says_why_and_what_to_do():
    shell = FakeShell({
        'echo "$state"': "ended 100", "follow": "E: Unable to locate package nova\n", "": ""})
    with pytest.raises(HostError) as error:
        packages.install(shell, "rd-1-core", ["nova"])
    assert "the installation of packages failed" in str(error.value)
    assert "mirror" in error.value.remedy


class Machine:
    """A machine whose package tools are stubs; ``called`` are the lines that they noted."""

    def __init__(self, folder):
        self.folder = folder
        for name in ("apt-get", "dpkg", "dpkg-query", "systemctl"):
            self.stub(name, "")

    def stub(self, name, text):
        path = self.folder / name
        path.write_text(
            f'#!/bin/sh\nhere={self.folder}\necho "{name} $*" >>$here/called\n{text}\n')
        path.chmod(0o755)

    @property
    def called(self):
        return (self.folder / "called").read_text().splitlines()

    def start(self, text, *words):
        text = text.replace(STATE_DIR, f"{self.folder}/state").replace("sleep 2", "sleep 0.1")
        return subprocess.Popen(
            ["sh", "-ec", text.replace(packages._POLICY, f"{self.folder}/policy"), "sh", *words],
            env={**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

    def run(self, text, *words):
        running = self.start(text, *words)
        out, err = running.communicate(timeout=60)
        return running.returncode, out, err


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.mark.parametrize("said", [
    "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)",
    "dpkg: error: dpkg frontend lock was locked by another process with pid 7",
])
def test_others_who_install_are_waited_for(machine, said):
    machine.stub("apt-get", f"""
        if [ ! -e $here/again ]; then touch $here/again; echo "{said}" >&2; exit 100; fi""")
    status, out, err = machine.run(packages.APT + "apt_get update")
    assert (status, err) == (0, "")
    assert "others install packages here: " in out
    assert len(machine.called) == 2


def test_other_failures_of_apt_are_told_at_once(machine):
    machine.stub("apt-get", 'echo "E: Unable to locate package x" >&2; exit 100')
    status, out, err = machine.run(packages.APT + "apt_get install x")
    assert (status, out, err) == (100, "", "E: Unable to locate package x\n")
    assert len(machine.called) == 1


@pytest.mark.parametrize("text", [packages._INSTALL, packages._PURGE])
def test_what_was_killed_in_unpacking_is_unpacked_anew_first(machine, text):
    machine.stub("dpkg-query", """
        case $* in *Eflag*) echo "reinstreq nova-common" ;; *) echo "nova-common:all ii" ;; esac
        """)
    words = ["no"] if text == packages._INSTALL else []
    assert machine.run(text, *words, "nova-common")[0] == 0
    apt = [line.split("--no-install-recommends ")[1] for line in machine.called
           if line.startswith("apt-get")]
    assert apt[0] == "install --reinstall nova-common"
    assert len(apt) == 2


def test_policy_of_ours_goes_with_an_installation_that_is_ended(machine):
    machine.stub("apt-get", "touch $here/begun; exec sleep 30")
    running = machine.start(packages._INSTALL, "no", "nova-common")
    while not (machine.folder / "begun").exists():
        assert running.poll() is None
    assert (machine.folder / "policy").exists()
    os.killpg(running.pid, signal.SIGTERM)
    running.communicate(timeout=60)
    assert not (machine.folder / "policy").exists()
    assert not (machine.folder / "state/apt").exists()


def test_service_that_does_not_answer_is_named_with_its_log():
    shell = FakeShell({"/dev/tcp": (70, "", "nova-api failed"),
                       "journalctl": "ImportError: no module named x\n"})
    with pytest.raises(HostError, match=r"(?s)nova-api does not run.*ImportError") as error:
        systemd.wait_up(shell, systemd.Unit("nova-api", port=8774))
    assert "journalctl -u nova-api" in error.value.remedy


def test_old_process_that_still_answers_is_not_taken_for_the_restarted_one(tmp_path):
    restarting, systemctl = tmp_path / "restarting", tmp_path / "systemctl"
    restarting.touch()
    systemctl.write_text(f"#!/bin/sh\n[ $1 = show ] || exit 1\n[ ! -e {restarting} ] || echo 17\n")
    systemctl.chmod(0o755)
    with socket.create_server(("127.0.0.1", 0)) as old:
        words = ["60", "rabbitmq-server", str(old.getsockname()[1]), "tcp"]
        waiting = subprocess.Popen(
            ["sh", "-ec", systemd._WAIT, "sh", *words],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1)
        restarting.unlink()
        assert waiting.wait(30) == 0


@pytest.fixture
def starting(tmp_path):
    """A machine on which a killed create's start of a service goes on for half a second."""
    systemctl, config = tmp_path / "systemctl", tmp_path / "its.cnf"
    config.touch()
    systemctl.write_text(f"""#!/bin/sh
        began={tmp_path}/began; [ -e $began ] || touch $began
        up() {{ [ $(($(date +%s%N) - $(date -r $began +%s%N))) -gt 500000000 ]; }}
        case $1 in
            is-active) up ;;
            show) up || echo 17 ;;
            restart) if up; then echo up; else echo starting; fi >>{tmp_path}/restarted ;;
        esac
        """)
    systemctl.chmod(0o755)

    def look():
        text = systemd._CONVERGE.replace(STATE_DIR, str(tmp_path))
        done = subprocess.run(
            ["sh", "-ec", f"{text}look mariadb {config}\nconverge", "sh", "--no-block"],
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
            capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.split()
    return look


def test_service_is_never_restarted_while_it_starts(starting, tmp_path):
    assert starting() == ["started", "mariadb"]
    assert (tmp_path / "restarted").read_text() == "up\n"


def test_start_of_before_with_the_same_files_is_waited_for(starting, tmp_path):
    (tmp_path / "units").mkdir()
    (tmp_path / "units/mariadb").write_text(hashlib.sha256(b"").hexdigest() + "\n")
    assert starting() == []
    assert not (tmp_path / "restarted").exists()


def test_started_services_are_told():
    shell = FakeShell({"converge": "started nova-compute\nCreated symlink\n"})
    assert systemd.start(shell, [systemd.Unit("nova-compute", ["/etc/nova/nova.conf"])]) == [
        "nova-compute"]
