"""SIGKILL at every outside call of a MultihostEngine's create, in a real process."""

import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rally_deploy.testing.fakes import plugin_path
from rally_deploy.testing.world import World
from tests.unit import forked

REPO = Path(__file__).parents[3]

#: Of each deployment: network, key, server, packages, record. Of each node: what is known of it.
WHOLE = 3 * 5 + 2


class Place:
    """A home, a world and a config of its own, and an rdeploy that lives there."""

    def __init__(self, folder, plugins):
        self.folder = folder
        self.world = World(folder / "world")
        self.env = {**os.environ, "RDEPLOY_HOME": str(folder / "home"), "PYTHONPATH": plugins}

    @classmethod
    def new(cls, folder, plugins):
        folder.mkdir()
        place = cls(folder, plugins)
        place.world.make("somebody-elses")
        # Relative, so that a copy of the whole place has a world of its own.
        node = {"type": "FakeCloud", "world": "world",
                "provider": {"type": "FakeProvider", "world": "world"}}
        (folder / "cloud.json").write_text(json.dumps({
            "type": "MultihostEngine", "controller": node,
            "nodes": [{**node, "count": 2, "note": "{controller_rabbit_password}"}],
        }))
        return place

    def copy(self):
        """This place a second time: another way to go on from here."""
        other = self.folder.with_name(f"{self.folder.name}-copy")
        shutil.copytree(self.folder, other, symlinks=True)
        return Place(other, self.env["PYTHONPATH"])

    def rdeploy(self, *arguments, **env):
        return forked.run(
            "rally_deploy.testing.killing", *arguments, cwd=self.folder,
            env={**self.env, **env}, timeout=90,
        )

    def create(self, **env):
        return self.rdeploy("create", "--name", "it", "--file", "cloud.json", **env)

    def killed(self, point, *command):
        done = (self.rdeploy(*command, RDEPLOY_TEST_KILL_AT=str(point)) if command
                else self.create(RDEPLOY_TEST_KILL_AT=str(point)))
        return done.returncode == -signal.SIGKILL

    def resume(self, point):
        resumed = self.rdeploy("resume", "it")
        assert resumed.returncode == 0, (point, resumed.stderr)
        assert len(self.ours()) == WHOLE, (point, self.ours())

    def states(self):
        listed = json.loads(self.rdeploy("list", "--all", "--json").stdout)
        return {d["name"]: d["state"] for d in listed}

    def destroy(self, point):
        destroyed = self.rdeploy("destroy", "it", "--yes")
        assert destroyed.returncode == 0, (point, destroyed.stderr)
        assert self.world.names() == ["somebody-elses"], point

    def ours(self):
        return [name for name in self.world.names() if name != "somebody-elses"]


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """The PYTHONPATH with which another process finds FakeCloud."""
    folder = Path(plugin_path(tmp_path_factory.mktemp("plugins")))
    points = folder / "rally_deploy_fakes-1.0.dist-info" / "entry_points.txt"
    points.write_text(points.read_text().replace(
        "[rally_deploy.engines]\n",
        "[rally_deploy.engines]\nFakeCloud = tests.unit.engines.multihost_fakes:FakeCloud\n"))
    return f"{folder}{os.pathsep}{REPO}"


@pytest.mark.timeout(900)
def test_kill_at_every_outside_call_then_destroy_and_resume_leave_and_lack_nothing(
    tmp_path, plugins
):
    whole = Place.new(tmp_path / "whole", plugins)
    done = whole.create(RDEPLOY_TEST_COUNT="count")
    assert done.returncode == 0, done.stderr
    assert len(whole.ours()) == WHOLE
    points = int((whole.folder / "count").read_text())
    assert points >= 2 * WHOLE

    def kill(point):
        place = Place.new(tmp_path / str(point), plugins)
        assert place.killed(point), point
        other = place.copy()
        place.destroy(point)
        other.resume(point)
        other.destroy(point)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(kill, range(1, points + 1)))


@pytest.mark.parametrize("point", [4, 19])
def test_kill_then_resume_makes_every_part_ready(tmp_path, plugins, point):
    place = Place.new(tmp_path / "place", plugins)
    assert place.killed(point)
    place.resume(point)
    assert place.states() == dict.fromkeys(
        ("it", "it/controller", "it/node-0", "it/node-1"), "ready")


@pytest.mark.parametrize("point", [1, 6, 13, 24])
def test_kill_in_the_middle_of_destroy_then_destroy_again_leaves_nothing(
    tmp_path, plugins, point
):
    place = Place.new(tmp_path / "place", plugins)
    assert place.create().returncode == 0
    assert place.killed(point, "destroy", "it", "--yes")
    place.destroy(point)
