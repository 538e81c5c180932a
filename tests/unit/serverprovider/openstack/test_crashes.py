"""The end at every call to the cloud, also by SIGKILL: destroy finds everything."""

import json
import os
import signal
import threading

import pytest

from rally_deploy.testing.fakes import plugin_path
from tests.unit import forked

REPO = os.path.abspath(__file__).rpartition("/tests/")[0]


class Place:
    """A home and a config of its own, and an rdeploy that lives there."""

    def __init__(self, folder, block):
        folder.mkdir()
        self.folder = folder
        plugins = plugin_path(folder / "plugins")
        entries = next((folder / "plugins").glob("*.dist-info")) / "entry_points.txt"
        entries.write_text(
            entries.read_text()
            + "QuickProvider = tests.unit.serverprovider.openstack.conftest:QuickProvider\n")
        (folder / "cloud.json").write_text(json.dumps(
            {"type": "FakeEngine", "world": str(folder / "world"), "provider": block}))
        self.env = {**os.environ, "RDEPLOY_HOME": str(folder / "home"),
                    "PYTHONPATH": f"{plugins}:{REPO}"}

    def rdeploy(self, *arguments, **env):
        return forked.run(
            "rally_deploy.testing.killing", *arguments, env={**self.env, **env}, timeout=120)

    def create(self, **env):
        return self.rdeploy("create", "--name", "it", "--file", str(self.folder / "cloud.json"),
                            **env)

    def destroy(self):
        return self.rdeploy("destroy", "it", "--yes")


@pytest.fixture
def place(tmp_path, make_block):
    def make(name):
        return Place(tmp_path / name, make_block(amount=1, floating_network="public",
                                                 volume_size_gb=1))
    return make


class PowerCut(BaseException):
    """From the n-th point on nothing of ours reaches the cloud any more.

    Each request has two points: before it is sent, and after it was carried out.
    """

    def __init__(self, monkeypatch, at=10**9):
        from requests.adapters import HTTPAdapter

        super().__init__(f"at point {at}")
        self.points, self.at, self.lock = 0, at, threading.Lock()
        send = HTTPAdapter.send

        def counted(adapter, *args, **kwargs):
            self.pass_point()
            answer = send(adapter, *args, **kwargs)
            self.pass_point()
            return answer

        monkeypatch.setattr(HTTPAdapter, "send", counted)

    def pass_point(self):
        with self.lock:
            self.points += 1
            if self.points >= self.at:
                raise self


@pytest.fixture
def whole(provided):
    return lambda: provided(amount=1, floating_network="public", volume_size_gb=1)


def points_of(act):
    with pytest.MonkeyPatch.context() as patch:
        counted = PowerCut(patch)
        act()
    return counted.points


def cut(act, point):
    with pytest.MonkeyPatch.context() as patch:
        PowerCut(patch, point)
        with pytest.raises(PowerCut):
            act()


@pytest.mark.timeout(900)
def test_power_cut_at_every_call_of_a_create_then_destroy_leaves_only_foreign_things(
    whole, cloud
):
    first = whole()[1]
    points = points_of(first.create_servers)
    first.destroy_servers()
    assert points >= 50
    cloud.keys["theirs"] = {"name": "theirs", "public_key": "x", "fingerprint": ""}
    for point in range(1, points + 1):
        entity, provider = whole()
        cut(provider.create_servers, point)
        entity.provider(provider.config).destroy_servers()
        assert cloud.things() == ["theirs"], point
        assert provider.deployment.ledger.alive() == []


def test_power_cut_then_resume_makes_nothing_twice(whole, cloud):
    for point in range(5, 56, 5):
        entity, provider = whole()
        cut(provider.create_servers, point)
        assert len(entity.provider(provider.config).create_servers()) == 1
        assert len(cloud.things()) == 7
        entity.provider(provider.config).destroy_servers()
        assert cloud.things() == []


def test_power_cut_in_a_destroy_then_destroy_again_leaves_nothing(whole, cloud):
    for point in range(1, 30, 3):
        entity, provider = whole()
        provider.create_servers()
        cut(entity.provider(provider.config).destroy_servers, point)
        entity.provider(provider.config).destroy_servers()
        assert cloud.things() == []


@pytest.mark.parametrize(("point", "posts"), [(1, 0), (2, 1)])
def test_kill_may_be_aimed_at_calls_of_one_kind(place, cloud, point, posts):
    at = place("aimed")
    killed = at.create(RDEPLOY_TEST_KILL_AT=str(point), RDEPLOY_TEST_KILL_CALLS="POST .*/volumes$")
    assert killed.returncode == -signal.SIGKILL
    assert cloud.count("POST", "/volumes$") == posts == len(cloud.volumes)
    assert cloud.count("POST", "/servers$") == 0
    assert at.destroy().returncode == 0
    assert cloud.things() == []


@pytest.mark.timeout(600)
def test_killed_process_of_a_create_leaves_what_destroy_removes(place, cloud):
    for point in (9, 32, 47):
        at = place(str(point))
        killed = at.create(RDEPLOY_TEST_KILL_AT=str(point))
        assert killed.returncode == -signal.SIGKILL, (point, killed.stderr)
        destroyed = at.destroy()
        assert destroyed.returncode == 0, (point, destroyed.stderr)
        assert cloud.things() == [], point
