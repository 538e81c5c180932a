"""rdeploy on a real (pseudo) terminal: it asks, it draws, and it survives the terminal's end."""

import os
import pty
import re
import select
import time

import pytest


@pytest.fixture
def terminal(monkeypatch):
    """(our end, the program's end) of a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    yield ours, theirs
    for descriptor in (ours, theirs):
        try:
            os.close(descriptor)
        except OSError:
            pass


def read_until(descriptor, wanted, timeout_s=20):
    """What the terminal shows until the wanted text, without colours."""
    seen, end = "", time.monotonic() + timeout_s
    while wanted not in seen and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            seen += os.read(descriptor, 65536).decode(errors="replace")
            seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert wanted in seen, seen
    return seen


@pytest.mark.parametrize(("answer", "code", "state"), [
    (b"n\n", 3, "ready"), (b"y\n", 0, "destroyed"),
])
def test_destroy_asks_on_a_terminal(rdeploy, terminal, answer, code, state):
    rdeploy.create()
    ours, theirs = terminal
    process = rdeploy.start("destroy", "cloud", stdin=theirs, stderr=theirs)
    read_until(ours, "Destroy cloud? [y/N]")
    os.write(ours, answer)
    process.communicate(timeout=20)
    assert process.returncode == code
    assert rdeploy.state() == state


def test_create_draws_steps_and_ends_with_what_to_type(rdeploy, terminal):
    ours, theirs = terminal
    path = rdeploy.config(delay_s=0.6)
    process = rdeploy.start("create", "--file", path, stdout=theirs, stderr=theirs)
    seen = read_until(ours, "back to nothing")
    assert process.wait(20) == 0
    assert re.search(r"install packages \[rd-[0-9a-f]{8}-server-0\] \d+\.\d s", seen)
    assert "cloud, deploying, " in seen
    assert "cloud is ready in " in seen


def test_terminal_that_goes_away_leaves_a_row_that_can_be_used(rdeploy, terminal):
    ours, theirs = terminal
    path = rdeploy.config(delay_s=0.5)
    process = rdeploy.start("create", "--file", path, stdout=theirs, stderr=theirs)
    os.close(theirs)
    read_until(ours, "cloud: deploying")
    os.close(ours)
    # Not its controlling terminal: no SIGHUP comes, but every write fails from now on.
    assert process.wait(30) == 0
    assert rdeploy.state() == "ready"
