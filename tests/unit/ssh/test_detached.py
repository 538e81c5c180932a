from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from rally_deploy.errors import Cancelled, CommandFailed, CommandTimeout, ConnectionLost
from rally_deploy.ssh import base, detached
from rally_deploy.ssh.base import Result
from rally_deploy.ssh.detached import JobState
from rally_deploy.ssh.local import LocalShell
from tests.unit.ssh.fakes import LOCAL, Watcher
from tests.unit.ssh.test_local import gone, soon


class Jobs:
    """The jobs of one test, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state"
        self.ended = folder / "run"
        self.watcher = Watcher()
        self.shell = LocalShell(LOCAL, self.watcher)

    def pid(self, name: str) -> int:
        return int((self.folder / "jobs" / name / "pid").read_text().split()[0])


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    monkeypatch.setattr(base, "STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(base, "RUN_DIR", str(tmp_path / "run"))
    return Jobs(tmp_path)


def test_attach_running_job_tells_its_lines_and_returns_its_status(
    jobs: Jobs, tmp_path: Path
) -> None:
    text = f"""
    until [ -e {tmp_path}/seen ]; do sleep 0.05; done
    for i in 1 2 3; do echo "$i $1 $WORD"; sleep 0.2; done
    exit 4
    """
    detached.start(jobs.shell, "j", text, "two words", env={"WORD": "it's"})
    assert detached.status(jobs.shell, "j").state is JobState.RUNNING
    (tmp_path / "seen").touch()
    told: list[str] = []
    result = detached.attach(jobs.shell, "j", 20, told.append)
    assert result.status == 4
    assert told == jobs.watcher.lines == [f"{i} two words it's" for i in (1, 2, 3)]
    assert result.stdout.splitlines() == told


def test_attach_ended_job_returns_at_once_with_its_status(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "echo done; exit 3")
    detached.attach(jobs.shell, "j", 20)
    start = time.monotonic()
    assert detached.attach(jobs.shell, "j", 20).status == 3
    assert time.monotonic() - start < 5


def test_attach_absent_job_raises(jobs: Jobs) -> None:
    with pytest.raises(CommandFailed, match="ended with status 127"):
        detached.attach(jobs.shell, "j", 5)


def test_attach_timeout_leaves_the_job_running(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "sleep 60")
    with pytest.raises(CommandTimeout, match="'j' was not done within 0.3 s and goes on there"):
        detached.attach(jobs.shell, "j", 0.3)
    assert detached.status(jobs.shell, "j").state is JobState.RUNNING
    detached.end(jobs.shell, "j")


def test_attach_cancelled_raises_soon(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "sleep 60")

    def cancel() -> None:
        jobs.watcher.error = Cancelled()

    threading.Timer(0.3, cancel).start()
    start = time.monotonic()
    with pytest.raises(Cancelled):
        detached.attach(jobs.shell, "j", 20)
    assert time.monotonic() - start < 5
    jobs.watcher.error = None
    detached.end(jobs.shell, "j")


class LossyShell(LocalShell):
    """Loses the link in the middle of the first commands that follow a log."""

    losses = 2

    def execute(self, command: str, stdin: bytes, timeout_s: float, quiet: bool) -> Result:
        if " follow " in command and self.losses:
            type(self).losses -= 1
            command = f"timeout 0.5 {command}"
            super().execute(command, stdin, timeout_s, quiet)
            raise ConnectionLost(self.server, "the link dropped")
        return super().execute(command, stdin, timeout_s, quiet)


def test_attach_link_lost_goes_on_after_the_last_line(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detached, "_RETRY_S", 0.1)
    shell = LossyShell(LOCAL, jobs.watcher)
    detached.start(shell, "j", "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done")
    assert detached.attach(shell, "j", 20).ok
    assert LossyShell.losses == 0
    assert jobs.watcher.lines == list("12345678")


def test_start_running_job_does_not_begin_another(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "echo first; sleep 0.5")
    pid = jobs.pid("j")
    detached.start(jobs.shell, "j", "echo second")
    assert jobs.pid("j") == pid
    assert detached.attach(jobs.shell, "j", 5).stdout == "first\n"


def test_start_ended_job_does_not_begin_again(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "echo first")
    detached.attach(jobs.shell, "j", 5)
    detached.start(jobs.shell, "j", "echo second")
    assert detached.attach(jobs.shell, "j", 5).stdout == "first\n"


def test_start_by_many_at_once_begins_one(jobs: Jobs, tmp_path: Path) -> None:
    text = f"echo x >>{tmp_path}/runs; sleep 0.3"
    threads = [
        threading.Thread(target=detached.start, args=(jobs.shell, "j", text)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert detached.attach(jobs.shell, "j", 5).ok
    assert (tmp_path / "runs").read_text() == "x\n"


def test_start_job_that_died_begins_again(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "sleep 60")
    os.killpg(jobs.pid("j"), 9)
    assert soon(lambda: detached.status(jobs.shell, "j").state is JobState.DIED)
    result = detached.attach(jobs.shell, "j", 5)
    assert result.status == 255
    assert "before it came to an exit status" in result.stderr
    detached.start(jobs.shell, "j", "echo again")
    assert detached.attach(jobs.shell, "j", 5).stdout == "again\n"


@pytest.mark.parametrize("left", ["", "script", "script log running", "script log running pid"])
def test_start_killed_half_way_begins(jobs: Jobs, left: str) -> None:
    folder = jobs.folder / "jobs" / "j"
    folder.mkdir(parents=True)
    for name in left.split():
        (folder / name).write_text("0 0\n" if name == "pid" else "")
    detached.start(jobs.shell, "j", "echo x")
    assert detached.attach(jobs.shell, "j", 5).stdout == "x\n"


def test_start_script_and_variables_are_for_the_owner_only(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "true", env={"PASSWORD": "hunter2"})
    folder = jobs.folder / "jobs" / "j"
    assert (folder / "script").stat().st_mode & 0o777 == 0o700
    assert (folder / "env").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_start_script_names_its_interpreter_is_run_by_it(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "#!/bin/bash\na=(x y); echo ${a[1]} SCRIPT ENV RUNNER $1", "z")
    assert detached.attach(jobs.shell, "j", 5).stdout == "y SCRIPT ENV RUNNER z\n"


def test_end_all_processes_of_the_job_die(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "trap '' TERM; sleep 61 & echo $!; (setsid sleep 62); wait")
    assert soon(lambda: (jobs.folder / "jobs/j/log").read_text().endswith("\n"))
    leader = jobs.pid("j")
    child = int((jobs.folder / "jobs/j/log").read_text())
    detached.end(jobs.shell, "j")
    assert gone(leader, 0.5)
    assert gone(child, 0.5)
    assert detached.status(jobs.shell, "j").state is JobState.DIED


def test_end_leader_killed_before_its_children_die_too(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "sleep 61 & echo $!; wait")
    assert soon(lambda: (jobs.folder / "jobs/j/log").read_text().endswith("\n"))
    child = int((jobs.folder / "jobs/j/log").read_text())
    os.kill(jobs.pid("j"), 9)
    assert not gone(child, 0.2)
    detached.end(jobs.shell, "j")
    assert gone(child, 0.5)


def test_end_pid_that_is_now_another_process_is_left_alone(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "sleep 60")
    pid_file = jobs.folder / "jobs" / "j" / "pid"
    pid, began = pid_file.read_text().split()
    pid_file.write_text(f"{pid} {int(began) + 1}\n")
    detached.end(jobs.shell, "other")
    assert detached.status(jobs.shell, "j").state is JobState.DIED
    assert not gone(int(pid), 0.2)
    pid_file.write_text(f"{pid} {began}\n")
    detached.end(jobs.shell, "j")
    assert gone(int(pid), 0.5)


def test_end_ended_and_absent_jobs_is_harmless(jobs: Jobs) -> None:
    detached.end(jobs.shell, "never")
    detached.start(jobs.shell, "j", "exit 5")
    detached.attach(jobs.shell, "j", 5)
    detached.end(jobs.shell, "j")
    detached.end(jobs.shell, "j")
    assert detached.status(jobs.shell, "j").status == 5


def test_start_that_was_on_its_way_when_ended_has_no_effect(jobs: Jobs) -> None:
    detached.end(jobs.shell, "j")
    # What a killed process of ours had sent: the first of the two tries, and no second.
    sent = detached.remote_scripts.start("echo x", "")
    late = jobs.shell.script(
        sent, f"{jobs.folder}/jobs/j", f"{jobs.ended}/j.ended", "", check=False
    )
    assert late.status == 76
    assert detached.status(jobs.shell, "j").state is JobState.ABSENT
    detached.start(jobs.shell, "j", "echo wanted")
    assert detached.attach(jobs.shell, "j", 5).stdout == "wanted\n"


def test_forget_leaves_the_mark_of_a_later_end(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = detached.remote_scripts
    assert "sleep 30" in scripts.FORGET
    monkeypatch.setattr(scripts, "FORGET", scripts.FORGET.replace("sleep 30", "sleep 0.5"))
    detached.end(jobs.shell, "j")
    detached.forget(jobs.shell, "j")
    detached.end(jobs.shell, "j")
    time.sleep(1)
    assert (jobs.ended / "j.ended").exists()
    detached.forget(jobs.shell, "j")
    assert soon(lambda: not jobs.ended.exists())


def test_end_while_the_folder_of_the_marks_goes_is_no_failure(jobs: Jobs) -> None:
    over = threading.Event()

    def remove() -> None:
        while not over.wait(0.002):
            with suppress(OSError):
                jobs.ended.rmdir()

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for n in range(30):
            detached.end(jobs.shell, f"j{n}")
            (jobs.ended / f"j{n}.ended").unlink()
    finally:
        over.set()
        remover.join()


def test_forget_removes_the_files_and_empty_folders(jobs: Jobs) -> None:
    detached.start(jobs.shell, "j", "true")
    detached.attach(jobs.shell, "j", 5)
    detached.forget(jobs.shell, "j")
    detached.forget(jobs.shell, "j")
    assert not jobs.folder.exists()
    assert detached.status(jobs.shell, "j").state is JobState.ABSENT
