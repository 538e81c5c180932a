"""The entity: states, steps, parallel work, waits, children, secrets."""

import threading
import time

import pytest

from rally_deploy.errors import Cancelled, CloudBroken, DeploymentHeld, EachFailed, WaitTimeout
from rally_deploy.events import Kind
from rally_deploy.model import State
from rally_deploy.testing.contract import open_deployment
from rally_deploy.testing.world import WorldRefuses


def test_deploy_then_destroy_goes_through_all_states(deployment, recorder, world):
    deployment.deploy()
    assert deployment.state is State.READY
    assert len(world.names()) == 7
    deployment.destroy()
    assert world.names() == []
    states = [e.title for e in recorder.events if e.kind is Kind.STATE]
    assert states == ["provisioning", "deploying", "ready", "destroying", "destroyed"]


def test_failed_deploy_is_failed_with_its_error_and_resumes(deployer, config, world):
    config["refuse"] = "dns"
    deployment = open_deployment(deployer, config)
    with pytest.raises(WorldRefuses):
        deployment.deploy()
    record = deployer.find(deployment.uuid)
    assert record.state is State.FAILED
    assert "cannot be made" in record.error
    assert "Try: take 'refuse' out" in record.error
    assert record.lease_owner == ""
    before = world.names()
    deployment.config = {**config, "refuse": ""}
    deployment.deploy()
    assert deployment.state is State.READY
    assert set(before) < set(world.names())


def test_destroy_with_one_failing_removal_removes_the_others_and_says_which(
    deployment, world, tmp_path
):
    deployment.deploy()
    stuck = next(name for name in world.names() if name.endswith("net"))
    (tmp_path / "world" / stuck).unlink()
    (tmp_path / "world" / stuck).mkdir()  # not to be deleted as a file is
    with pytest.raises(Exception, match="could not be removed"):
        deployment.destroy()
    assert deployment.state is State.FAILED
    (tmp_path / "world" / stuck).rmdir()
    deployment.destroy()
    assert world.names() == []


def test_held_by_a_living_process_is_refused(deployer, deployment):
    other = open_deployment(deployer, deployment.config)
    other._work.owner = "elsewhere:1:2:3:4"
    other.record = deployment.record
    other.uuid = deployment.uuid
    deployment.move(State.PROVISIONING)
    with pytest.raises(DeploymentHeld):
        other.destroy()
    assert deployment.state is State.PROVISIONING


def test_step_that_fails_tells_its_end_with_the_reason_and_nests(deployment, recorder):
    def work():
        with deployment.step("outer"):
            with deployment.step("inner"):
                pass
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        work()
    kinds = [(e.kind, e.title) for e in recorder.events]
    assert kinds == [
        (Kind.STEP_BEGIN, "outer"), (Kind.STEP_BEGIN, "inner"),
        (Kind.STEP_DONE, "inner"), (Kind.STEP_FAILED, "outer"),
    ]
    outer, inner = recorder.events[0], recorder.events[1]
    assert inner.parent_step == outer.step
    assert recorder.events[-1].detail == "broken"
    assert recorder.events[2].elapsed_s >= 0


def test_each_runs_at_the_same_time_and_keeps_the_order(deployment):
    barrier = threading.Barrier(5, timeout=10)

    def work(number):
        barrier.wait()
        return number * 2

    assert deployment.each(work, range(5)) == [0, 2, 4, 6, 8]


def test_each_bounds_its_width(deployment):
    now, most, lock = 0, 0, threading.Lock()

    def work(_):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    deployment.each(work, range(20), limit=3)
    assert most <= 3


def test_each_with_failures_holds_every_result_and_every_failure(deployment):
    def work(number):
        if number % 2:
            raise ValueError(f"odd {number}")
        return number

    with pytest.raises(EachFailed) as caught:
        deployment.each(work, range(4))
    assert caught.value.results == {0: 0, 2: 2}
    assert sorted(caught.value.failures) == [1, 3]
    assert "2 of 4 failed" in str(caught.value)
    assert "odd 3" in str(caught.value)


def test_each_step_in_a_thread_belongs_to_the_step_around(deployment, recorder):
    def work(number):
        with deployment.step(f"item {number}"):
            pass

    with deployment.step("all"):
        deployment.each(work, range(3))
    begins = [e for e in recorder.events if e.kind is Kind.STEP_BEGIN]
    assert {e.parent_step for e in begins[1:]} == {begins[0].step}


def test_cancellation_raises_out_of_step_each_and_wait(deployment):
    def cancel_soon():
        time.sleep(0.05)
        deployment._work.cancellation.cancel("enough")

    threading.Thread(target=cancel_soon).start()
    start = time.monotonic()
    with pytest.raises(Cancelled, match="enough"):
        deployment.wait(lambda: False, 60, "never")
    assert time.monotonic() - start < 5
    with pytest.raises(Cancelled), deployment.step("any"):
        pass
    with pytest.raises(Cancelled):
        deployment.each(lambda x: x, [1, 2])


def test_wait_that_times_out_names_what_and_the_last_error(deployment):
    def probe():
        raise OSError("refused")

    with pytest.raises(WaitTimeout, match="the port") as caught:
        deployment.wait(probe, 0.05, "the port", interval_s=0.01, tolerate=(OSError,))
    assert "refused" in str(caught.value)


def fails_with(*errors):
    """A probe that raises these, one after the other, before it is true."""
    left = iter(errors)

    def probe():
        for error in left:
            raise error
        return True

    return probe


def test_wait_that_goes_on_failing_tells_why_and_again_only_what_is_new(
    deployment, recorder, monkeypatch
):
    monkeypatch.setattr("rally_deploy.deployment.STILL_WAITING_S", 0.0)
    probe = fails_with(OSError("refused"), OSError("refused"), OSError("busy"))
    deployment.wait(probe, 5, "the port", interval_s=0.001, tolerate=(OSError,))
    assert [e.title for e in recorder.events if e.kind is Kind.WAITING] == [
        "waiting for the port: refused", "waiting for the port: busy"]


def test_wait_that_is_short_tells_nothing_of_its_failures(deployment, recorder):
    probe = fails_with(OSError("refused"))
    deployment.wait(probe, 5, "the port", interval_s=0.001, tolerate=(OSError,))
    assert [e.title for e in recorder.events if e.kind is Kind.WAITING] == []


def test_wait_tells_of_an_error_what_happened_and_its_last_line(
    deployment, recorder, monkeypatch
):
    monkeypatch.setattr("rally_deploy.deployment.STILL_WAITING_S", 0.0)
    probe = fails_with(
        CloudBroken("it failed", "Traceback\n  a line\n  KeyError: 'x'", "do that"))
    deployment.wait(probe, 5, "all", interval_s=0.001, tolerate=(CloudBroken,))
    assert [e.title for e in recorder.events if e.kind is Kind.WAITING] == [
        "waiting for all: it failed: KeyError: 'x'"]


def test_secret_is_made_once_shared_with_children_and_masked(deployment, recorder, config):
    first = deployment.secret("password")
    assert deployment.secret("password") == first
    child = deployment.child("node", config)
    assert child.secret("password") == first
    deployment.note(f"the password is {first}")
    assert recorder.events[-1].title == "the password is ***"


def test_child_is_made_once_and_destroyed_with_its_parent(deployer, config, world):
    config["nodes"] = [dict(config), dict(config)]
    deployment = open_deployment(deployer, config)
    deployment.deploy()
    assert [child.state for child in deployment.children()] == [State.READY] * 2
    assert len(world.names()) == 21
    deployment.destroy()
    assert world.names() == []
    assert {record.state for record in deployer.list(all=True)} == {State.DESTROYED}


def test_time_limit_of_the_whole_fails_it_with_the_remedy(deployer, config):
    deployment = open_deployment(deployer, config)
    deployment._work.cancellation.limit(0)
    time.sleep(0.01)
    with pytest.raises(WaitTimeout, match="time limit") as caught:
        deployment.deploy()
    assert "rdeploy resume" in caught.value.remedy
    assert deployment.state is State.FAILED


def test_secrets_made_are_letters_and_digits_of_twenty_characters(deployment):
    made = {deployment.secret(f"password {n}") for n in range(20)}
    assert len(made) == 20
    assert all(len(text) == 20 and text.isalnum() for text in made)


def test_secrets_of_a_destroyed_deployment_are_forgotten(deployer, deployment):
    deployment.deploy()
    assert deployer.store.credentials.get(deployment.uuid)
    deployment.destroy()
    assert deployer.store.credentials.get(deployment.uuid) is None
    assert deployer.store.secrets.get(deployment.uuid, "admin_password") is None


def test_destroy_warns_of_an_unset_variable_and_goes_on(deployer, config, recorder, world):
    config["provider"]["password"] = "${env:RD_TEST_PASSWORD}"
    deployment = open_deployment(deployer, config)
    deployment.destroy()
    warnings = [e.title for e in recorder.events if e.kind is Kind.WARNING]
    assert warnings == [
        "provider.password: ${env:RD_TEST_PASSWORD} is not set; a removal that needs it will fail"
    ]
    assert deployment.state is State.DESTROYED
