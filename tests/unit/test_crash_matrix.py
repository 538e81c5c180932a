"""SIGKILL at every outside call of a create, in a real process: destroy finds everything."""

import json
import os
import signal

import pytest

from rally_deploy.testing.fakes import plugin_path
from rally_deploy.testing.world import World
from tests.unit import forked


class Place:
    """A home, a world and a config of its own, and an rdeploy that lives there."""

    def __init__(self, folder):
        self.folder = folder
        self.world = World(folder / "world")
        world = str(folder / "world")
        node = {
            "type": "FakeEngine", "world": world,
            "provider": {"type": "FakeProvider", "world": world, "amount": 2},
        }
        (folder / "cloud.json").write_text(json.dumps({**node, "nodes": [node]}))
        self.env = {
            **os.environ,
            "RDEPLOY_HOME": str(folder / "home"),
            "PYTHONPATH": plugin_path(folder / "plugins"),
        }

    def rdeploy(self, *arguments, **env):
        return forked.run(
            "rally_deploy.testing.killing", *arguments, env={**self.env, **env}, timeout=60)

    def create(self, **env):
        config = str(self.folder / "cloud.json")
        return self.rdeploy("create", "--name", "it", "--file", config, **env)

    def destroy(self):
        return self.rdeploy("destroy", "it", "--yes")

    def state(self):
        return json.loads(self.rdeploy("list", "--all", "--json").stdout)[0]["state"]


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def count_points(place):
    counter = place.folder / "count"
    done = place.create(RDEPLOY_TEST_COUNT=str(counter))
    assert done.returncode == 0, done.stderr
    assert place.world.names()
    points = int(counter.read_text())
    assert place.destroy().returncode == 0
    return points


@pytest.mark.timeout(600)
def test_kill_at_every_outside_call_then_destroy_leaves_only_foreign_things(tmp_path):
    (tmp_path / "0").mkdir()
    points = count_points(Place(tmp_path / "0"))
    assert points >= 24
    for point in range(1, points + 1):
        (tmp_path / str(point)).mkdir()
        place = Place(tmp_path / str(point))
        place.world.make("somebody-elses")
        killed = place.create(RDEPLOY_TEST_KILL_AT=str(point))
        assert killed.returncode == -signal.SIGKILL, (point, killed.stderr)
        destroyed = place.destroy()
        assert destroyed.returncode == 0, (point, destroyed.stderr)
        assert place.world.names() == ["somebody-elses"], point
        assert place.state() == "destroyed"


@pytest.mark.parametrize("point", [1, 2, 7, 12, 19])
def test_kill_then_resume_makes_a_ready_cloud_and_nothing_twice(place, point):
    assert place.create(RDEPLOY_TEST_KILL_AT=str(point)).returncode == -signal.SIGKILL
    resumed = place.rdeploy("resume", "it")
    assert resumed.returncode == 0, resumed.stderr
    assert place.state() == "ready"
    # Of the controller: network, key, 2 servers, 2 packages, record; of its node the same.
    assert len(place.world.names()) == 14
    assert place.destroy().returncode == 0
    assert place.world.names() == []


@pytest.mark.parametrize("point", [1, 2, 5, 8, 13])
def test_kill_in_the_middle_of_destroy_then_destroy_again_leaves_nothing(place, point):
    assert place.create().returncode == 0
    killed = place.rdeploy("destroy", "it", "--yes", RDEPLOY_TEST_KILL_AT=str(point))
    assert killed.returncode == -signal.SIGKILL
    assert place.destroy().returncode == 0
    assert place.world.names() == []
