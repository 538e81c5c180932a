"""SIGKILL at every call to the cloud, in a real process: destroy finds all that is ours."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from rally_deploy.testing.fakes import plugin_path
from tests.unit import forked
from tests.unit.serverprovider.libcloud.kept import KeptCloud

FOREIGN = ["somebody-elses"]


class Place:
    """A home and a cloud of its own, with something foreign in it."""

    def __init__(self, folder, **keys):
        self.folder = folder
        self.cloud = KeptCloud(folder / "cloud")
        self.cloud.add("node", FOREIGN[0], state="running", ip="192.0.2.250", extra={})
        (folder / "cloud.json").write_text(json.dumps({
            "type": "FakeEngine", "world": str(folder / "world"),
            "provider": {
                "type": "LibcloudProvider", **keys,
                "driver_args": {"creds": str(folder / "cloud")},
            },
        }))
        self.env = {
            **os.environ, "RDEPLOY_HOME": str(folder / "home"),
            "PYTHONPATH": os.pathsep.join([plugin_path(folder / "plugins"), os.getcwd()]),
        }

    def rdeploy(self, *arguments, **env):
        return forked.run(
            "tests.functional.killing_outside", *arguments, env={**self.env, **env}, timeout=300)

    def create(self, **env):
        config = str(self.folder / "cloud.json")
        return self.rdeploy("create", "--name", "it", "--file", config, **env)

    def destroy(self, **env):
        return self.rdeploy("destroy", "it", "--yes", **env)


PLAIN = {"driver": "kept", "image": "Ubuntu 9.10", "amount": 2}
MARKED = {
    "driver": "marked", "image": "ubuntu-24.04", "volumes": {"count": 1, "size": 1},
    "max_nodes": 1,
}


def points_of(folder, keys):
    """How many points a create has, and a destroy after it."""
    place, counter = Place(folder, **keys), folder / "count"
    done = place.create(RDEPLOY_TEST_COUNT=str(counter))
    assert done.returncode == 0, done.stderr
    created = int(counter.read_text())
    done = place.destroy(RDEPLOY_TEST_COUNT=str(counter))
    assert done.returncode == 0, done.stderr
    assert place.cloud.names() == FOREIGN
    return created, int(counter.read_text())


def kill_at(folder, keys, point, created):
    """Kill a create (or, past its last point, a destroy) at this point, then destroy."""
    place = Place(folder, **keys)
    if point <= created:
        killed = place.create(RDEPLOY_TEST_KILL_AT=str(point))
    else:
        assert place.create().returncode == 0
        killed = place.destroy(RDEPLOY_TEST_KILL_AT=str(point - created))
    assert killed.returncode == -signal.SIGKILL, (point, killed.stderr)
    destroyed = place.destroy()
    assert destroyed.returncode == 0, (point, destroyed.stderr)
    assert place.cloud.names() == FOREIGN, point


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("keys", [PLAIN, MARKED], ids=["by-name", "marked"])
def test_kill_at_every_call_then_destroy_leaves_only_foreign_things(tmp_path, keys):
    (tmp_path / "0").mkdir()
    created, destroyed = points_of(tmp_path / "0", keys)
    assert created >= 16
    assert destroyed >= 8
    with ThreadPoolExecutor(2) as pool:
        runs = []
        # Behind each call; nothing else happens before the next one.
        for point in (1, *range(2, created + destroyed + 1, 2)):
            (tmp_path / str(point)).mkdir()
            runs.append(pool.submit(kill_at, tmp_path / str(point), keys, point, created))
        for run in runs:
            run.result()


@pytest.mark.parametrize("point", [4, 9, 14])
def test_kill_then_resume_makes_nothing_twice(tmp_path, point):
    place = Place(tmp_path, **MARKED)
    assert place.create(RDEPLOY_TEST_KILL_AT=str(point)).returncode == -signal.SIGKILL
    resumed = place.rdeploy("resume", "it")
    assert resumed.returncode == 0, resumed.stderr
    assert len(place.cloud.names()) == 4  # the foreign one, key pair, volume, server
    assert place.destroy().returncode == 0
    assert place.cloud.names() == FOREIGN
