import signal
import time

import pytest

from rally_deploy.testing.world import World


@pytest.fixture(autouse=True)
def heard():
    """Signals reach rdeploy also where whoever runs the tests ignores them, as nohup does."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP)
               if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def interrupted(rdeploy, path, *signals, arguments=()):
    """Create, send the signals in mid-deploy; how it ended and after how many seconds."""
    process = rdeploy.start("create", "--file", path, *arguments)
    rdeploy.wait_for_state("deploying")
    while "install packages" not in rdeploy("events", "cloud").out:
        assert process.poll() is None
        time.sleep(0.05)
    start = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.5)
    _, err = process.communicate(timeout=40)
    return process.returncode, err, time.monotonic() - start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_a_create_as_cancelled(rdeploy, number):
    code, err, took_s = interrupted(rdeploy, rdeploy.config(delay_s=2, amount=3), number)
    assert code == 3
    assert took_s < 10
    assert rdeploy.state() == "cancelled"
    assert "rdeploy resume " in err
    assert "rdeploy destroy " in err
    assert "Traceback" not in err


def test_cancelled_create_can_be_resumed(rdeploy):
    interrupted(rdeploy, rdeploy.config(delay_s=0.6), signal.SIGINT)
    done = rdeploy("resume", "cloud")
    assert done.code == 0, done.err
    assert rdeploy.state() == "ready"


def test_step_that_does_not_listen_is_left_within_ten_seconds(rdeploy):
    code, err, took_s = interrupted(rdeploy, rdeploy.config(delay_s=60), signal.SIGTERM)
    assert code == 3
    assert took_s < 10
    assert rdeploy.state() == "cancelled"
    assert "while a step was still busy" in err


def test_second_ctrl_c_ends_at_once_and_keeps_the_row(rdeploy):
    path = rdeploy.config(delay_s=60)
    code, _, took_s = interrupted(rdeploy, path, signal.SIGINT, signal.SIGINT)
    assert code == 3
    assert took_s < 5
    assert rdeploy.state() == "cancelled"


def test_ctrl_c_with_destroy_on_failure_removes_what_was_made(rdeploy):
    path = rdeploy.config(delay_s=1.5, amount=3)
    code, _, _ = interrupted(rdeploy, path, signal.SIGINT, arguments=["--destroy-on-failure"])
    assert code == 3
    assert rdeploy.state() == "destroyed"
    assert World(rdeploy.folder / "world").names() == []


def test_ignored_hangup_stays_ignored(rdeploy):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = rdeploy.start("create", "--file", rdeploy.config(delay_s=0.6))
        rdeploy.wait_for_state("deploying")
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=30)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert process.returncode == 0
    assert rdeploy.state() == "ready"


def test_reader_that_is_gone_ends_no_create(rdeploy):
    process = rdeploy.start("create", "--json", "--file", rdeploy.config(delay_s=0.3))
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=30)
    assert rdeploy.state() == "ready"
