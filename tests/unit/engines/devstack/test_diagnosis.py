"""Why stack.sh failed, from what it and the tools that it calls print (failures/*.txt)."""

import subprocess
from pathlib import Path

import pytest

from rally_deploy.engines.devstack.causes import CAUSES
from rally_deploy.engines.devstack.diagnosis import LOOK, diagnose

FOLDER = Path(__file__).parent / "failures"

#: the file, the cause's name, a part of the error, a part of the cause
CASES = [
    ("disk-apt", "disk", "E: Sub-process", "the disk is full"),
    ("disk-pip", "disk", "[Errno 28]", "the disk is full"),
    ("memory-pip", "memory", "4711 Killed", "memory is not enough"),
    ("memory-mysql", "memory", "Job for mariadb.service failed", "memory is not enough"),
    ("read-only", "read-only", "Read-only file system", "read-only"),
    ("unsupported", "unsupported", "run with FORCE=yes", "the distribution buster"),
    ("incomplete", "unsupported", "Support for opensuse-15.5", "the distribution opensuse-15.5"),
    ("host-ip", "host-ip", "Could not determine host ip address", "found no address"),
    ("password", "passwords", "Enter a password now:", "a password is missing"),
    ("sudo", "sudo", "a password is required", "may not become root"),
    ("git-refused", "git", "git call failed: [git clone git://192.0.2.1/openstack/nova.git",
     "could not be had: clone git://192.0.2.1/openstack/nova.git"),
    ("git-half-clone", "half-clone", "git call failed", "/opt/stack/nova is there, but no whole"),
    ("git-branch", "branch", "git call failed", "no branch stable/2019.9"),
    ("git-names", "names", "git call failed", "cannot resolve the name opendev.org"),
    ("git-certificate", "certificates", "git call failed", "certificate is not trusted"),
    ("pip-conflict", "pip-conflict", "ResolutionImpossible", "no set of versions"),
    ("pip-missing", "pip-missing", "No matching distribution", "no usable uwsgi===2.0.99"),
    ("pip-index", "pip-missing", "Could not find a version", "no usable os-testr"),
    ("apt-mirror", "mirror", "Failed to update apt repos", "package mirror did not give"),
    ("apt-fetch", "mirror", "Unable to fetch some archives", "package mirror did not give"),
    ("apt-lock", "apt-lock", "Unable to acquire the dpkg frontend lock", "another program"),
    ("port-apache", "service", "Job for apache2.service failed", "apache2 did not start"),
    ("locale", "locale", "unsupported locale setting", "en_US.UTF-8"),
    ("openvswitch", "openvswitch", "database connection failed", "Open vSwitch does not run"),
    ("kernel-module", "kernel", "Module openvswitch not found", "no module openvswitch"),
    ("database-password", "database-password", "Access denied", "refused root"),
    ("database-refused", "database", "Can't connect to server", "does not answer"),
    ("rabbit", "rabbit", "Failed to set rabbitmq password", "broker does not answer"),
    ("nova-api", "service", "nova-api did not start", "the service nova-api did not start"),
    ("compute", "compute", "Didn't find service registered", "within 60 s"),
    ("unknown", "", "AttributeError", ""),
]


def log(name):
    return (FOLDER / f"{name}.txt").read_text()


@pytest.mark.parametrize(("name", "cause", "error", "says"), CASES, ids=[c[0] for c in CASES])
def test_log_of_failure_tells_error_and_cause(name, cause, error, says):
    found = diagnose(log(name))

    assert found.name == cause
    assert error in found.error
    assert says in found.cause
    assert bool(found.remedy) == bool(cause)
    assert "{" not in found.cause + found.remedy


def test_every_log_has_its_case():
    assert {path.stem for path in FOLDER.glob("*.txt")} == {case[0] for case in CASES}


@pytest.mark.parametrize("name", [case[0] for case in CASES])
def test_lines_around_are_those_before_the_dump_without_trace_and_stamps(name):
    found = diagnose(log(name))

    assert found.around
    assert len(found.around) <= 14
    assert not any(line.startswith(("2026-", "+ ")) and ":   " in line for line in found.around)
    assert not any("World dumping" in line or "dump may say" in line for line in found.around)


def test_command_that_failed_is_told_with_its_place():
    assert diagnose(log("database-password")).command == (
        "mysql -uroot -p... -h127.0.0.1 -e 'DROP DATABASE IF EXISTS keystone;' "
        "(lib/databases/mysql:55, recreate_database_mysql)")
    assert diagnose(log("disk-pip")).command.startswith("/opt/stack/data/venv/bin/pip install")


@pytest.mark.parametrize(("name", "units"), [
    ("nova-api", ("devstack@n-api",)), ("port-apache", ("apache2",)),
    ("rabbit", ("rabbitmq-server",)), ("database-refused", ("mariadb", "mysql", "postgresql")),
    ("git-refused", ()), ("disk-apt", ()),
])
def test_units_whose_journals_belong_to_it_are_named(name, units):
    assert diagnose(log(name)).units == units


def test_units_of_compute_are_the_one_started_and_its_conductors():
    assert set(diagnose(log("compute")).units) == {
        "devstack@n-cpu", "devstack@n-cpu-1", "devstack@n-super-cond", "devstack@n-cond-cell1"}


def test_journal_tells_why_a_service_did_not_start():
    journal = ("Nov 21 16:08:50 node apachectl[99]: (98)Address already in use: AH00072: "
               "make_sock: could not bind to address [::]:80\n")

    found = diagnose(log("port-apache"), journal=journal)

    assert found.name == "port"
    assert "a port is taken already" in found.cause
    assert found.error == "Job for apache2.service failed because the control process exited " \
                          "with error code."


def test_journal_does_not_speak_against_a_clear_log():
    journal = "oslo_messaging MessagingTimeout: Timed out waiting for a reply"

    assert diagnose(log("pip-conflict"), journal=journal).name == "pip-conflict"


def test_kernel_tells_of_a_service_that_was_killed():
    host = "[1234.5] Out of memory: Killed process 4711 (mariadbd) total-vm:1284244kB"

    assert diagnose(log("database-refused"), host=host).name == "memory"
    assert diagnose(log("git-branch"), host=host).name == "branch"


def test_full_disk_of_the_server_counts_always():
    host = "rdeploy: No space left on device: 12 MiB free below /"

    assert diagnose(log("git-refused"), host=host).name == "disk"


def test_failed_unit_of_the_server_is_looked_at():
    assert diagnose(log("unknown"), host="rdeploy: failed unit: mariadb.service").units == (
        "mariadb",)


def test_text_for_a_person_has_cause_command_and_lines():
    text = diagnose(log("database-password")).text().splitlines()

    assert text[0].startswith("likely cause: the database refused root")
    assert text[1].startswith("while running: mysql")
    assert text[-1].startswith("ERROR 1045")


@pytest.mark.parametrize("lines", ["", [], "\n\n", "2026-11-21 16:08:50.000 | \n", "only this"])
def test_log_with_next_to_nothing_is_no_error(lines):
    found = diagnose(lines)

    assert found.cause == ""
    assert found.error in ("", "only this")


def test_harmless_lines_of_a_good_run_name_no_cause():
    lines = (Path(__file__).parent / "logs" / "completed.txt").read_text()

    assert diagnose(lines).name == ""


def test_causes_have_names_of_their_own():
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)


def test_look_at_this_machine_succeeds(tmp_path):
    done = subprocess.run(["sh", "-c", LOOK, "look", str(tmp_path)], capture_output=True,
                          text=True, check=False, timeout=30)

    assert done.returncode == 0
    assert done.stderr == ""
