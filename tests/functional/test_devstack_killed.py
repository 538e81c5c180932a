"""DevstackEngine killed at its outside calls, on a server that was there before.

The stand-in for DevStack does the stacking; there are kill points before and behind every command.
"""

import pytest

from rally_deploy.testing.devstack import write_devstack
from tests.functional.conftest import spread

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(7200),
    pytest.mark.xdist_group("machine"),
]


@pytest.fixture(scope="class")
def before(stranger):
    return stranger.look()


@pytest.fixture
def file(rdeploy, stranger, tmp_path):
    return rdeploy.config("node", {
        "type": "DevstackEngine", "prove": False, "provider": stranger.provider,
        "devstack_repo": str(write_devstack(tmp_path / "devstack.git")),
        "local_conf": {"VIRT_DRIVER": "fake"},
    })


class TestKilled:
    def test_destroy_leaves_the_server_as_it_was(self, rdeploy, file, before, stranger):
        points = rdeploy.points_of(file)
        assert stranger.changes(before) == ""
        for point in spread(points, 5):
            name = f"killed-{point}"
            assert rdeploy.killed(point, "create", "--name", name, "--file", file), point
            rdeploy("destroy", name, "--yes")
            assert stranger.changes(before) == "", f"killed at {point} of {points}"

    def test_resume_goes_on_and_stacks_once(self, rdeploy, file, before, stranger):
        points = rdeploy.points_of(file)
        for point in spread(points, 4)[1:]:
            name = f"killed-{point}"
            assert rdeploy.killed(point, "create", "--name", name, "--file", file), point
            rdeploy("resume", name)
            assert rdeploy.json("show", name)["state"] == "ready", point
            logs = stranger.run("ls /opt/stack/logs | grep '^stack.sh.log.2' | grep -vc summary")
            assert logs.strip() == "1", f"killed at {point} of {points}"
            rdeploy("destroy", name, "--yes")
            assert stranger.changes(before) == "", f"killed at {point} of {points}"
