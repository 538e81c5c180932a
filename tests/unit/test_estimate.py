from datetime import datetime, timedelta, timezone

import pytest

from rally_deploy.estimate import Estimate, in_words, milestone, past_run, past_runs
from rally_deploy.events import Event, Kind
from rally_deploy.model import State

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def at(seconds):
    return START + timedelta(seconds=seconds)


def event(seconds, title, kind=Kind.STEP_BEGIN, uuid="one"):
    return Event(uuid, at(seconds), kind, title)


def state(seconds, name, uuid="one"):
    return event(seconds, name, Kind.STATE, uuid)


RUN = [
    state(0, "provisioning"), event(2, "make container rd-11111111-a-0"),
    event(10, "install packages"), event(11, "install packages"), event(60, "start keystone"),
    state(100, "ready"),
]


def run_of(events):
    return past_run(events, "one", State.PROVISIONING, State.READY)


def estimate(*events, runs=(RUN,)):
    found = Estimate(run_of(run) for run in runs)
    for one in events:
        found.event(one)
    return found


def test_past_run_knows_what_was_left_at_each_milestone():
    assert run_of(RUN) == {
        "": 100, "make container #-a-#": 98, "install packages": 90, "start keystone": 40,
    }


def test_run_that_failed_tells_nothing():
    assert run_of(RUN[:-1]) is None


def test_last_finished_run_counts():
    again = [state(200, "provisioning"), event(205, "install packages"), state(230, "ready")]
    assert run_of(RUN + again) == {"": 30, "install packages": 25}


def test_state_of_a_part_is_not_the_end():
    parts = [state(0, "provisioning"), state(5, "ready", uuid="child"), state(9, "ready")]
    assert run_of(parts) == {"": 9}


def test_time_left_counts_down_from_the_last_milestone():
    now = estimate(state(0, "provisioning"), event(20, "install packages"))
    assert now.left_s(at(20)) == 90
    assert now.left_s(at(50)) == 60


def test_late_step_leaves_what_comes_after_it():
    now = estimate(state(0, "provisioning"), event(20, "install packages"))
    assert now.left_s(at(20 + 70)) == 40


def test_step_that_takes_far_longer_than_ever_tells_nothing():
    now = estimate(state(0, "provisioning"), event(20, "install packages"))
    assert now.left_s(at(20 + 200)) is None


def test_median_of_past_runs_counts():
    slow = [state(0, "provisioning"), event(10, "install packages"), state(1010, "ready")]
    now = estimate(event(0, "install packages"), runs=[RUN, RUN, slow])
    assert now.left_s(at(0)) == 90


def test_nothing_known_says_nothing():
    assert estimate(event(0, "something else")).left_s(at(1)) is None
    assert estimate(event(0, "install packages"), runs=[]).left_s(at(1)) is None


def test_milestone_leaves_out_tag_and_numbers():
    one = milestone(event(0, "clone rd-0123abcd-web-17 to node 3"))
    assert one == milestone(event(0, "clone rd-ffff0000-web-2 to node 12"))


@pytest.mark.parametrize(("seconds", "words"), [
    (3, "a few seconds left"), (31, "about 30 s left"), (58, "about 1 min left"),
    (170, "about 3 min left"), (5000, "about 83 min left"), (7300, "about 2.0 h left"),
])
def test_words_have_no_more_digits_than_the_past_gives(seconds, words):
    assert in_words(seconds) == words


def test_past_runs_of_the_same_config_go_before_others(deployer, config):
    from rally_deploy.config import Document

    other = {**config, "delay_s": 0.1}
    deployer.destroy(deployer.create(Document(other), "other").uuid)
    deployer.destroy(deployer.create(Document(config), "same").uuid)
    now = deployer.create(Document(config), "now")
    runs = past_runs(deployer.store, now, State.PROVISIONING, State.READY)
    # The one now and the one before; not the slower one of another config.
    assert len(runs) == 2
    assert all("install packages" in run for run in runs)


def test_steps_that_a_later_run_has_no_more_leave_what_the_others_tell():
    """The first create keeps the packages in a base container, the next have them."""
    first = [
        state(0, "provisioning"), event(1, "prepare for containers"),
        event(2, "keep the packages of DistroEngine in a base container, once"),
        event(102, "make the containers' network"), event(103, "look at the servers"),
        state(203, "ready"),
    ]
    second = [state(0, "provisioning"), event(1, "prepare for containers")]
    later = [*second, event(2, "make the containers' network"), event(3, "look at the servers")]
    assert estimate(*later, runs=(first,)).left_s(at(4)) == 99
