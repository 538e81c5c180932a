import json
import signal
import time
from datetime import datetime, timezone

import pytest

from rally_deploy.cli.settings import Settings
from rally_deploy.events import Event, Kind
from rally_deploy.testing.world import World


@pytest.fixture
def world(rdeploy):
    return World(rdeploy.folder / "world")


def test_create_says_what_to_type_next(rdeploy, world):
    done = rdeploy.create()
    assert done.out.startswith("Deployment cloud ")
    assert "cloud is ready in " in done.out
    for words in ("rdeploy list", "rdeploy show cloud", "rdeploy openrc cloud",
                  "rdeploy ssh cloud", "rdeploy check cloud", "rdeploy destroy cloud"):
        assert words in done.out
    assert world.names()


def test_create_tells_plain_lines_with_utc_times_without_a_terminal(rdeploy):
    lines = rdeploy.create().err.splitlines()
    assert lines[0].endswith(" state   provisioning")
    assert lines[-1].endswith(" state   ready")
    for line in lines:
        time.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%SZ")


def test_create_json_is_lines_of_events_and_a_final_object(rdeploy):
    done = rdeploy.create("--json")
    assert done.err == ""
    first, *events, last = done.lines
    assert (first["type"], first["state"]) == ("deployment", "new")
    assert {event["type"] for event in events} == {"event"}
    assert "install packages" in {event["title"] for event in events}
    assert (last["type"], last["state"], last["uuid"]) == ("result", "ready", first["uuid"])


def test_second_create_tells_what_is_left_at_each_begin(rdeploy):
    first = rdeploy.create().err
    rdeploy("destroy", "cloud", "--yes")
    second = rdeploy.create().err
    assert " left" not in first
    begins = [line for line in second.splitlines() if " begin " in line]
    assert begins
    assert all(line.endswith(", a few seconds left") for line in begins)


def test_failed_create_says_how_to_go_on(rdeploy):
    done = rdeploy("create", "--file", rdeploy.config(refuse="packages-1"))
    assert done.code == 1
    assert "packages-1 cannot be made" in done.err
    assert "is failed." in done.err
    assert "rdeploy resume " in done.err
    assert "rdeploy destroy " in done.err
    assert rdeploy.state() == "failed"


def test_failed_create_with_json_ends_with_an_error_object(rdeploy):
    done = rdeploy("create", "--json", "--file", rdeploy.config(refuse="packages-1"))
    last = done.lines[-1]
    assert (last["type"], last["exit_code"]) == ("error", 1)
    assert last["deployment"] == done.lines[0]["uuid"]
    assert "packages-1 cannot be made" in last["brief"] + last["details"]


def test_destroy_on_failure_leaves_nothing(rdeploy, world):
    path = rdeploy.config(refuse="packages-1")
    done = rdeploy("create", "--destroy-on-failure", "--file", path)
    assert done.code == 1
    assert world.names() == []
    assert rdeploy.state() == "destroyed"


def test_resume_goes_on_where_create_failed(rdeploy):
    rdeploy("create", "--file", rdeploy.config(refuse="packages-1"))
    assert rdeploy("resume", "cloud").code == 1
    assert rdeploy("destroy", "cloud").code == 0


def test_wrong_config_is_exit_code_2_and_leaves_no_row(rdeploy):
    path = rdeploy.config(amout=3)
    done = rdeploy("create", "--file", path)
    assert done.code == 2
    assert rdeploy("list", "--all", "--json").json == []


@pytest.mark.parametrize("text", ["{", '{"type": "Nope"}'])
def test_wrong_config_with_json_is_an_error_object(rdeploy, text):
    path = rdeploy.folder / "wrong.json"
    path.write_text(text)
    done = rdeploy("create", "--json", "--file", path)
    [line] = done.lines
    assert (line["type"], line["exit_code"], line["deployment"]) == ("error", 2, None)
    assert line["details"]


def test_create_needs_a_file_or_the_environment(rdeploy):
    assert rdeploy("create").code == 2
    assert rdeploy("create", "--fromenv", "--file", "x").code == 2


def test_create_makes_it_the_default_deployment(rdeploy):
    rdeploy.create("--name", "one")
    rdeploy.create("--name", "two")
    rdeploy.create("--name", "three", "--no-use")
    assert rdeploy("show", "--json").json["name"] == "two"
    assert rdeploy("use", "one").code == 0
    assert rdeploy("show", "--json").json["name"] == "one"


def test_destroyed_default_is_no_default_any_more(rdeploy):
    rdeploy.create()
    assert rdeploy("destroy", "cloud").code == 0
    done = rdeploy("show")
    assert done.code == 2
    assert "which deployment?" in done.err


def test_destroy_many_goes_on_after_one_that_is_held(rdeploy, world):
    rdeploy.create("--name", "one")
    rdeploy.create("--name", "three")
    slow = rdeploy.config(name="slow", delay_s=1.5)
    process = rdeploy.start("create", "--file", slow)
    try:
        rdeploy.wait_for_state("deploying", name="slow")
        done = rdeploy("destroy", "one", "slow", "three")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert done.code == 5
    assert "held by another process" in done.err
    assert (rdeploy.state("one"), rdeploy.state("three")) == ("destroyed", "destroyed")


def test_destroy_of_a_misspelt_one_touches_no_other(rdeploy):
    rdeploy.create()
    assert rdeploy("destroy", "cloud", "clout").code == 4
    assert rdeploy.state() == "ready"


def test_destroy_twice_is_harmless(rdeploy, world):
    rdeploy.create()
    assert rdeploy("destroy", "cloud").code == 0
    assert rdeploy("destroy", "cloud").code == 0
    assert world.names() == []


def test_recreate_keeps_name_and_uuid(rdeploy):
    uuid = rdeploy.create("--json").lines[0]["uuid"]
    done = rdeploy("recreate", "cloud", "--yes", "--json")
    assert done.code == 0, done.err
    assert (done.lines[-1]["uuid"], done.lines[-1]["state"]) == (uuid, "ready")


def test_time_limit_ends_a_create_as_failed(rdeploy):
    path = rdeploy.config(delay_s=0.3)
    done = rdeploy("create", "--timeout", "0.2", "--file", path)
    assert done.code == 1
    assert "not done within the time limit of 0.2 s" in done.err
    assert rdeploy.state() == "failed"


def test_secrets_of_the_config_are_shown_only_when_asked(rdeploy):
    world = str(rdeploy.folder / "world")
    provider = {"type": "FakeProvider", "world": world, "password": "correct-horse"}
    rdeploy.create("--json", provider=provider)
    for arguments in (["config"], ["show"], ["show", "--json"], ["events"], ["events", "--json"]):
        assert "correct-horse" not in rdeploy(*arguments).out, arguments
    assert rdeploy("config", "--secrets").json["provider"]["password"] == "correct-horse"


def test_passwords_of_the_cloud_are_shown_only_when_asked(rdeploy):
    rdeploy.create()
    assert rdeploy("show", "--json").json["credentials"]["admin"]["password"] == "***"
    password = rdeploy("show", "--json", "--secrets").json["credentials"]["admin"]["password"]
    assert len(password) > 8
    assert password not in rdeploy("show").out
    assert password in rdeploy("show", "--secrets").out
    assert f"OS_PASSWORD='{password}'" in rdeploy("openrc").out


def test_list_shows_a_killed_create_as_stale(rdeploy):
    process = rdeploy.start("create", "--file", rdeploy.config(delay_s=5))
    rdeploy.wait_for_state("provisioning", "deploying")
    process.kill()
    process.communicate()
    assert "(stale)" in rdeploy("list").out
    assert rdeploy("list", "--json").json[0]["stale"] is True
    assert rdeploy("cancel", "cloud").out == "cloud is cancelled.\n"
    assert rdeploy("destroy", "cloud").code == 0


def test_cancel_waits_until_the_other_process_has_ended(rdeploy):
    path = rdeploy.config(delay_s=0.5, amount=3)
    process = rdeploy.start("create", "--json", "--file", path)
    rdeploy.wait_for_state("provisioning", "deploying")
    assert rdeploy("cancel", "cloud").out == "cloud is cancelled.\n"
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 3
    assert json.loads(out.splitlines()[-1])["exit_code"] == 3


def test_cancel_of_a_ready_one_is_a_usage_error(rdeploy):
    rdeploy.create()
    done = rdeploy("cancel", "cloud")
    assert done.code == 2
    assert "nothing to cancel" in done.err


def test_status_tells_the_running_steps(rdeploy):
    process = rdeploy.start("create", "--file", rdeploy.config(delay_s=2))
    try:
        rdeploy.wait_for_state("deploying")
        time.sleep(0.3)
        done = rdeploy("status", "cloud")
        titles = [step["title"] for step in rdeploy("status", "cloud", "--json").json["running"]]
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert " deploying\n" in done.out
    assert "install packages [rd-" in done.out
    assert titles == ["install packages"] * 2


def test_events_follow_until_the_create_has_ended(rdeploy):
    process = rdeploy.start("create", "--file", rdeploy.config(delay_s=0.3))
    rdeploy.wait_for_state("provisioning", "deploying", "ready")
    done = rdeploy("events", "-f", "cloud")
    process.communicate(timeout=20)
    assert done.out.splitlines()[-1].endswith(" state   ready")
    again = rdeploy("events", "cloud", "--json").lines
    assert len(again) == len(done.out.splitlines())


def test_timings_are_events_for_programs_only(rdeploy):
    uuid = rdeploy.create("--json").lines[0]["uuid"]
    with Settings().open_deployer() as deployer:
        now = datetime.now(timezone.utc)
        deployer.store.events.add(Event(uuid, now, Kind.TIMING, "osc", elapsed_s=60.0))
    assert "osc" not in rdeploy("events", "cloud").out
    last = rdeploy("events", "cloud", "--json").lines[-1]
    assert (last["kind"], last["title"], last["elapsed_s"]) == ("timing", "osc", 60.0)


def test_validate_tells_every_file_and_ends_with_2_if_one_is_wrong(rdeploy):
    good, bad = rdeploy.config(name="good"), rdeploy.config(name="bad", wordl="x")
    done = rdeploy("validate", good, bad, "/no/such/file")
    assert done.code == 2
    assert done.out == f"{good}: ok\n"
    assert str(bad) in done.err
    assert "/no/such/file" in done.err
    assert rdeploy("validate", good).code == 0


def test_plan_names_plugins_and_masks_secrets(rdeploy):
    world = str(rdeploy.folder / "world")
    provider = {"type": "FakeProvider", "world": world, "amount": 4, "password": "correct-horse"}
    done = rdeploy("plan", rdeploy.config(provider=provider))
    assert done.code == 0, done.err
    assert "FakeEngine (" in done.out
    assert "  provider: FakeProvider (" in done.out
    assert "    - amount: 4" in done.out
    assert "correct-horse" not in done.out
    assert rdeploy("list", "--all", "--json").json == []


def test_ssh_to_this_machine_runs_the_command_with_its_exit_code(rdeploy):
    rdeploy.create()
    process = rdeploy.start("ssh", "cloud", "--", "echo one two; exit 7")
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == ("one two\n", 7)
    process = rdeploy.start("ssh", "cloud", "server-1", "--", "printf", "%s", "a b'c")
    assert process.communicate(timeout=20)[0] == "a b'c"


def test_logs_are_merged_or_of_one_server(rdeploy):
    rdeploy.create(command=["echo", "hello there"])
    done = rdeploy("logs", "cloud")
    assert done.code == 0
    assert len([line for line in done.out.splitlines() if line.endswith("] hello there")]) == 2
    name = rdeploy("show", "--json").json["servers"][0]["name"]
    assert len(rdeploy("logs", "cloud", name).out.splitlines()) == 1
    done = rdeploy("logs", "cloud", "no-such")
    assert done.code == 2
    assert name in done.err
