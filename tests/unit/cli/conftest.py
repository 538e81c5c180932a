import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from rally_deploy.cli.ending import run
from rally_deploy.testing.fakes import plugin_path


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


class Rdeploy:
    """``rdeploy`` in this process, or in one of its own with :meth:`start`."""

    def __init__(self, tmp_path, capsys, plugins):
        self.folder, self._capsys, self._plugins = tmp_path, capsys, plugins

    def __call__(self, *arguments):
        self._capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        said = self._capsys.readouterr()
        return Done(code, said.out, said.err)

    def start(self, *arguments, **options):
        return subprocess.Popen(
            [sys.executable, "-m", "rally_deploy", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": self._plugins}, text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    def config(self, amount=2, name="cloud", **keys):
        """A config file of a small whole cloud in the world."""
        world = str(self.folder / "world")
        tree = {
            "type": "FakeEngine", "world": world,
            "provider": {"type": "FakeProvider", "world": world, "amount": amount}, **keys,
        }
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(tree))
        return path

    def create(self, *arguments, **keys):
        done = self("create", "--file", self.config(**keys), *arguments)
        assert done.code == 0, done.err
        return done

    def state(self, name="cloud"):
        return self("show", name, "--json").json["state"]

    def wait_for_state(self, *wanted, name="cloud", timeout_s=60):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            found = self("list", "--all", "--json").json
            if any(r["name"] == name and r["state"] in wanted for r in found):
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} is not {wanted}: {found}")


@pytest.fixture
def rdeploy(tmp_path, capsys, monkeypatch):
    plugins = plugin_path(tmp_path / "plugins")
    monkeypatch.syspath_prepend(plugins)
    monkeypatch.delenv("RDEPLOY_DB", raising=False)
    before = signal.getsignal(signal.SIGINT)
    yield Rdeploy(tmp_path, capsys, plugins)
    assert signal.getsignal(signal.SIGINT) is before
