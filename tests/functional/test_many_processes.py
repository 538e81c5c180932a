"""30 processes of the real rdeploy create and destroy at the same time on one database."""

import json
import os
import subprocess
import sys

import pytest

from rally_deploy.testing.fakes import plugin_path
from rally_deploy.testing.world import World
from tests.functional.postgresql import running_server

pytestmark = pytest.mark.functional

PROCESSES = 30


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/one.sqlite"
        return
    with running_server("30 processes on PostgreSQL") as server:
        yield server.new_database()


@pytest.mark.timeout(600)
def test_thirty_processes_create_and_destroy_and_no_row_is_lost(tmp_path, database_url):
    world = str(tmp_path / "world")
    config = tmp_path / "cloud.json"
    config.write_text(json.dumps({
        "type": "FakeEngine", "world": world,
        "provider": {"type": "FakeProvider", "world": world, "amount": 3},
    }))
    env = {
        **os.environ, "RDEPLOY_HOME": str(tmp_path / "home"), "RDEPLOY_DB": database_url,
        "PYTHONPATH": plugin_path(tmp_path / "plugins"),
    }

    def start(number):
        rdeploy = f"{sys.executable} -m rally_deploy"
        steps = f"{rdeploy} create --name n{number} --file {config}"
        if number % 2:
            steps += f" && {rdeploy} destroy n{number} --yes"
        return subprocess.Popen(
            ["sh", "-ec", steps], env=env, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    processes = [start(number) for number in range(PROCESSES)]
    screens = [process.communicate(timeout=500)[0] for process in processes]
    for process, screen in zip(processes, screens, strict=True):
        assert process.returncode == 0, screen
        assert "locked" not in screen

    listed = json.loads(subprocess.run(
        [sys.executable, "-m", "rally_deploy", "list", "--all", "--json"],
        env=env, capture_output=True, text=True, check=True,
    ).stdout)
    states = {row["name"]: row["state"] for row in listed}
    assert states == {
        f"n{number}": "destroyed" if number % 2 else "ready" for number in range(PROCESSES)
    }
    # Of each that is ready: network, key, 3 servers, 3 packages, a record.
    left = World(world).names()
    assert len(left) == PROCESSES // 2 * 9
    shorts = {row["uuid"][:8] for row in listed if row["state"] == "ready"}
    assert {name.split("-")[1] for name in left} == shorts
