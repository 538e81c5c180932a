"""Leases: a process is called dead only if that is certain."""

import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

import pytest

from rally_deploy import lease
from rally_deploy.model import MOVING, DeploymentRecord, State

PRINT_AND_WAIT = "from rally_deploy import lease; print(lease.owner_id(), flush=True); input()"


@pytest.fixture
def process():
    """Another process; its first line is its identity."""
    started = subprocess.Popen(
        [sys.executable, "-c", PRINT_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    )
    yield started
    started.kill()
    started.wait()
    started.stdin.close()
    started.stdout.close()


def changed(part, value):
    parts = lease.owner_id().split(":")
    parts[part] = value
    return ":".join(parts)


def test_owner_id_is_the_same_twice_and_differs_between_processes(process):
    assert lease.owner_id() == lease.owner_id()
    assert process.stdout.readline().strip() != lease.owner_id()


def test_running_process_is_not_dead(process):
    assert lease.is_dead(process.stdout.readline().strip()) is False
    assert lease.is_dead(lease.owner_id()) is False


def test_killed_process_is_dead_also_while_it_is_a_zombie(process):
    owner = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while not lease.is_dead(owner) and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(process.pid, 0)  # not reaped yet: the kernel still knows it
    assert lease.is_dead(owner) is True
    process.wait()
    assert lease.is_dead(owner) is True


def test_stopped_process_is_not_dead(process):
    owner = process.stdout.readline().strip()
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    assert lease.is_dead(owner) is False


def test_same_pid_with_another_start_is_dead():
    assert lease.is_dead(changed(4, "1")) is True


@pytest.mark.parametrize("part", [0, 1, 2], ids=["host", "boot", "pid namespace"])
def test_process_of_elsewhere_is_never_called_dead(part):
    owner = changed(part, "other").rpartition(":")[0] + ":1"
    assert lease.is_dead(owner) is False


@pytest.mark.parametrize("owner", ["", "x", ":::", "a:b:c:d:e", "a:b:c:99999999999999999999:1"])
def test_odd_owner_is_not_called_dead(owner):
    assert lease.is_dead(owner) is False


def test_missing_parts_prove_nothing():
    for part in (1, 2, 4):
        assert lease.is_dead(changed(part, "")) is False


def test_process_with_an_odd_name_is_read_right(tmp_path):
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "30"]) as started:
        time.sleep(0.1)
        state, start = lease._process(started.pid)
        started.kill()
    assert state in "SRD"
    assert start.isdecimal()


def test_describe_tells_process_and_host():
    assert lease.describe("box:b:n:12:34") == "process 12 on box"
    assert lease.describe("somebody") == "somebody"


def record(state, owner, expires_in_s):
    now = datetime.now(timezone.utc)
    expires = None if expires_in_s is None else now + timedelta(seconds=expires_in_s)
    return DeploymentRecord("u", "n", None, state, "E", now, now, lease_owner=owner,
                            lease_expires_at=expires)


@pytest.mark.parametrize("state", list(State))
def test_stale_is_a_moving_state_with_nobody_alive(state):
    moving = state in MOVING
    dead = changed(4, "1")
    assert lease.is_stale(record(state, lease.owner_id(), 30)) is False
    assert lease.is_stale(record(state, "elsewhere:b:n:1:1", 30)) is False
    assert lease.is_stale(record(state, "elsewhere:b:n:1:1", -1)) is moving
    assert lease.is_stale(record(state, dead, 30)) is moving
    assert lease.is_stale(record(state, "", None)) is moving
