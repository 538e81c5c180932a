"""SIGKILL at every outside call of a MultihostEngine's create, in a real process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rally_deploy.testing.fakes import plugin_path
from rally_deploy.testing.world import World

REPO = Path(__file__).parents[3]

#: Of each deployment: network, key, server, packages, record. Of each node: what is known of it.
WHOLE = 3 * 5 + 2


class Place:
    """A home, a world and a config of its own, and an rdeploy that lives there."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.world = folder, World(folder / "world")
        self.world.make("somebody-elses")
        world = str(folder / "world")
        node = {"type": "FakeCloud", "world": world,
                "provider": {"type": "FakeProvider", "world": world}}
        (folder / "cloud.json").write_text(json.dumps({
            "type": "MultihostEngine", "controller": node,
            "nodes": [{**node, "count": 2, "note": "{controller_rabbit_password}"}],
        }))
        info = Path(plugin_path(folder / "plugins")) / "rally_deploy_fakes-1.0.dist-info"
        points = info / "entry_points.txt"
        points.write_text(points.read_text().replace(
            "[rally_deploy.engines]\n",
            "[rally_deploy.engines]\nFakeCloud = tests.unit.engines.multihost_fakes:FakeCloud\n"))
        self.env = {
            **os.environ, "RDEPLOY_HOME": str(folder / "home"),
            "PYTHONPATH": f"{info.parent}{os.pathsep}{REPO}",
        }

    def rdeploy(self, *arguments, **env):
        return subprocess.run(
            [sys.executable, "-m", "rally_deploy.testing.killing", *arguments],
            env={**self.env, **env}, capture_output=True, text=True, timeout=90, check=False,
        )

    def create(self, **env):
        return self.rdeploy(
            "create", "--name", "it", "--file", str(self.folder / "cloud.json"), **env)

    def killed(self, point, *command):
        done = (self.rdeploy(*command, RDEPLOY_TEST_KILL_AT=str(point)) if command
                else self.create(RDEPLOY_TEST_KILL_AT=str(point)))
        return done.returncode == -signal.SIGKILL

    def resume_whole(self, point):
        resumed = self.rdeploy("resume", "it")
        assert resumed.returncode == 0, (point, resumed.stderr)
        assert len(self.ours()) == WHOLE, (point, self.ours())
        states = {d["name"]: d["state"]
                  for d in json.loads(self.rdeploy("list", "--all", "--json").stdout)}
        assert states == dict.fromkeys(
            ("it", "it/controller", "it/node-0", "it/node-1"), "ready"), point

    def destroy(self, point):
        destroyed = self.rdeploy("destroy", "it", "--yes")
        assert destroyed.returncode == 0, (point, destroyed.stderr)
        assert self.world.names() == ["somebody-elses"], point

    def ours(self):
        return [name for name in self.world.names() if name != "somebody-elses"]


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """How many points a create of this config has."""
    place = Place(tmp_path_factory.mktemp("count") / "0")
    counter = place.folder / "count"
    done = place.create(RDEPLOY_TEST_COUNT=str(counter))
    assert done.returncode == 0, done.stderr
    assert len(place.ours()) == WHOLE
    place.destroy(0)
    return int(counter.read_text())


@pytest.mark.timeout(900)
def test_kill_at_every_outside_call_then_destroy_leaves_only_foreign_things(tmp_path, points):
    assert points >= 2 * WHOLE
    for point in range(1, points + 1):
        place = Place(tmp_path / str(point))
        assert place.killed(point), point
        place.destroy(point)


@pytest.mark.timeout(900)
def test_kill_at_every_outside_call_then_resume_makes_the_whole_cloud_once(tmp_path, points):
    for point in range(1, points + 1):
        place = Place(tmp_path / str(point))
        assert place.killed(point), point
        place.resume_whole(point)
        place.destroy(point)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("point", [1, 2, 5, 8, 13, 20, 27])
def test_kill_in_the_middle_of_destroy_then_destroy_again_leaves_nothing(tmp_path, point):
    place = Place(tmp_path / "place")
    assert place.create().returncode == 0
    assert place.killed(point, "destroy", "it", "--yes")
    place.destroy(point)
