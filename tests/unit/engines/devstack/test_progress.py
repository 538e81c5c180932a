"""What stack.sh is at, from the log of a real run (logs/completed.txt, an excerpt) and others."""

from pathlib import Path

import pytest

from rally_deploy.engines.devstack.progress import Completed, Component, Failed, Phase, Progress

LOG = (Path(__file__).parent / "logs" / "completed.txt").read_text().splitlines()


def events(lines, progress=None):
    progress = progress or Progress()
    return [event for line in lines if (event := progress.line(line))], progress


def test_log_of_real_run_tells_its_phases_in_order():
    found, _ = events(LOG)

    assert [event.title for event in found if isinstance(event, Phase)] == [
        "Installing package prerequisites", "Starting RabbitMQ",
        "Installing OpenStack project source", "Configuring and starting MySQL",
        "Starting Keystone", "Configuring Glance", "Configuring Neutron",
        "Configuring placement", "Configuring Nova", "Starting Nova API", "Starting Neutron",
        "Starting Placement", "Starting Nova", "Starting Glance", "Uploading images",
    ]


def test_log_of_real_run_tells_times_by_its_stamps():
    found, progress = events(LOG)

    second = [event for event in found if isinstance(event, Phase)][1]
    assert second == Phase("Starting RabbitMQ", 237.024, "Installing package prerequisites",
                           233.846)
    assert progress.durations["Installing OpenStack project source"] == pytest.approx(141.7, 0.01)
    assert progress.elapsed_s == pytest.approx(911.6, 0.01)


def test_log_of_real_run_tells_its_timing_table_and_end():
    found, progress = events(LOG)

    assert [event for event in found if isinstance(event, Component)] == [
        Component("wait_for_service", 22), Component("async_wait", 186), Component("osc", 488),
        Component("apt-get", 215), Component("test_with_retry", 12), Component("dbsync", 3),
        Component("pip_install", 137), Component("apt-get-update", 1),
        Component("run_process", 39), Component("git_timed", 13),
    ]
    assert found[-1] == Completed(936)
    assert progress.completed == Completed(936)
    assert not progress.failed


def test_function_of_stack_sh_called_last_is_what_it_is_doing():
    _, progress = events(LOG[:LOG.index(next(line for line in LOG if "install_libs" in line)) + 1])

    assert progress.doing == "install_libs"


def test_summary_file_tells_the_same_phases():
    summary = [
        "2026-11-21 16:02:10.416 | stack.sh log /opt/stack/logs/stack.sh.log.2026-11-21-160210",
        "2026-11-21 16:02:13.674 | Installing package prerequisites",
        "2026-11-21 16:06:07.520 | Starting RabbitMQ",
        "2026-11-21 16:16:03.095 | SKIPPING Cell setup because n-cpu is not enabled. You will",
        "2026-11-21 16:17:22.121 | stack.sh completed in 936 seconds.",
    ]

    found, _ = events(summary)

    assert found == [
        Phase("Installing package prerequisites", pytest.approx(3.258)),
        Phase("Starting RabbitMQ", pytest.approx(237.104), "Installing package prerequisites",
              pytest.approx(233.846)),
        Completed(936),
    ]


def test_output_without_log_file_tells_each_phase_once():
    found, _ = events([
        "+ ./stack.sh:main:1110                     :   echo_summary 'Starting Keystone'",
        "2026-11-21 16:08:51.667 | Starting Keystone",
        "+ ./stack.sh:main:1153                     :   echo_summary 'Configuring Glance'",
    ])

    assert [event.title for event in found] == ["Starting Keystone", "Configuring Glance"]


def test_lines_that_look_like_phases_are_none():
    found, _ = events([
        "2026-11-21 16:05:01.719 | Installing collected packages: pip, packaging",
        "2026-11-21 16:05:01.719 |   Installing build dependencies: started",
        "2026-11-21 16:05:01.719 | Starting Keystone service for you",
        "Starting Keystone",
        "+ ./stack.sh:echo_summary:444              :   echo -e Starting Keystone",
    ])

    assert found == []


def test_log_without_stamps_is_timed_by_the_clock():
    now = iter([100.0, 103.0, 110.0, 110.0])
    progress = Progress(clock=lambda: next(now))

    found, _ = events([
        "+ ./stack.sh:main:779   :   echo_summary 'Installing package prerequisites'",
        "+ ./stack.sh:main:891   :   echo_summary 'Installing OpenStack project source'",
    ], progress)

    assert [event.elapsed_s for event in found] == [3.0, 10.0]
    assert found[1].before_s == 7.0


@pytest.mark.parametrize("line", [
    "stack.sh failed: full log in /opt/stack/logs/stack.sh.log.2026-11-21-160210",
    "2026-11-21 16:08:51.667 | Error on exit", "stack.sh failed",
])
def test_failure_is_told_once(line):
    found, progress = events(["2026-11-21 16:08:50.667 | x", line, line])

    assert [type(event) for event in found] == [Failed]
    assert progress.failed


def test_ruler_in_other_output_is_no_timing_table():
    found, progress = events([
        "===============", "Some summary   12", "===============", "Starting 3",
        "DevStack Component Timing", "not a row", "osc   12",
    ])

    assert found == []
    assert progress.components == []
