"""What is known of DevStack here, against DevStack's own sources where they can be had.

RDEPLOY_DEVSTACK_REPOS names a folder with ``openstack+devstack/repo``, ``devstack.git`` or
``openstack/devstack.git``.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

from rally_deploy.engines.devstack import beforehand, prepare
from rally_deploy.engines.devstack.dropped import SERVICES, VALUES, VARIABLES
from rally_deploy.engines.devstack.local_conf import PASSWORDS
from rally_deploy.engines.devstack.progress import PHASES

BRANCHES = ("stable/2025.1", "stable/2025.2", "stable/2026.1", "master")
#: What DevStack runs; not its documents and CI jobs.
PLACES = ("stack.sh", "unstack.sh", "clean.sh", "stackrc", "openrc", "functions",
          "functions-common", "inc", "lib", "tools", "extras.d")


@pytest.fixture(scope="module")
def repository():
    folder = os.environ.get("RDEPLOY_DEVSTACK_REPOS")
    if folder:
        for name in ("openstack+devstack/repo", "devstack.git", "openstack/devstack.git"):
            if (Path(folder) / name).exists():
                return Path(folder) / name
    pytest.skip("needs DevStack's sources: RDEPLOY_DEVSTACK_REPOS")


def git(repository, *words):
    done = subprocess.run(
        ["git", "-C", repository, *words], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def found(repository, branch, names):
    """Those of the names that stand in DevStack's scripts as words of their own, in code."""
    patterns = [part for name in names for part in ("-e", name)]
    output = git(repository, "grep", "-h", "-F", *patterns, branch, "--", *PLACES)
    code = "\n".join(line.split("#")[0] for line in output.splitlines())
    return {
        name for name in names if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", code)
    }


@pytest.mark.parametrize("branch", BRANCHES)
def test_names_said_to_be_dropped_are_not_in_devstack(repository, branch):
    # These are words of other things there, too: a comment of lib/lvm, a program, a message.
    other = {"VOLUME_GROUP", "screen"}

    assert found(repository, branch, {*VARIABLES, *SERVICES}) - other == set()


@pytest.mark.parametrize("branch", BRANCHES)
def test_phases_are_those_that_devstack_names(repository, branch):
    output = git(repository, "grep", "-h", "echo_summary \"", branch, "--", *PLACES)
    named = set(re.findall(r'echo_summary "([^"$]+)"', output))

    assert {title for title in named if not title.startswith(("SKIPPING", "Skip "))} - {
        "Enabling MySQL query logging", "Installing postgresql", "something to say",
    } <= set(PHASES)
    if branch == "stable/2026.1":
        assert set(PHASES) <= named


@pytest.mark.parametrize("branch", BRANCHES)
def test_variables_of_defaults_and_computes_are_read_by_devstack(repository, branch):
    names = {
        *PASSWORDS, "RECLONE", "SYSLOG", "LOGFILE", "LOG_COLOR", "SERVICE_HOST", "MYSQL_HOST",
        "RABBIT_HOST", "RABBIT_USERID", "Q_HOST", "GLANCE_HOSTPORT", "DATABASE_TYPE",
        "SERVICE_PROTOCOL", "GIT_BASE", *VALUES,
    }

    assert found(repository, branch, names) == names


def test_services_of_a_compute_are_known_to_devstack(repository):
    names = {"n-cpu", "placement-client", "ovn-controller", "ovs-vswitchd", "ovsdb-server",
             "q-ovn-metadata-agent"}

    assert found(repository, "stable/2026.1", names) == names


@pytest.mark.parametrize("branch", BRANCHES)
def test_packages_told_beforehand_are_those_that_every_node_installs(repository, branch):
    lists = ("general", "nova", "n-cpu", "keystone", "neutron-common", "neutron-agent",
             "neutron-l3", "os-brick")
    lines = git(repository, "grep", "-h", "^[a-z]", branch, "--",
                *(f"files/debs/{name}" for name in lists)).splitlines()
    installed = {line.split()[0] for line in lines if "NOPRIME" not in line}
    # The first two come with others there, as what these recommend.
    others = {"build-essential", "gnupg", "make", *prepare.PACKAGES}

    assert set(beforehand.PACKAGES[""]) - others - installed == set()
