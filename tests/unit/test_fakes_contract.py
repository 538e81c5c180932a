"""The contract's tests run over the fakes, so that the contract itself is tested."""

from pathlib import Path

import pytest

from rally_deploy.testing.contract import EngineContract, NoShells, ProviderContract
from rally_deploy.testing.fakes import FakeEngine, FakeProvider
from rally_deploy.testing.world import World


class TestFakeProvider(ProviderContract):
    plugin = FakeProvider

    @pytest.fixture
    def block(self, tmp_path):
        return {"type": "FakeProvider", "world": str(tmp_path / "world"), "amount": 3}

    def deployer_options(self):
        return {"shells": NoShells}

    def leftovers(self, block):
        return World(block["world"]).names()

    def _engine_block(self, block):
        return {"type": "FakeEngine", "world": block["world"], "provider": block}


class TestFakeEngine(EngineContract):
    plugin = FakeEngine

    @pytest.fixture
    def block(self, tmp_path: Path):
        world = str(tmp_path / "world")
        node = {
            "type": "FakeEngine", "world": world,
            "provider": {"type": "FakeProvider", "world": world},
        }
        return {**node, "nodes": [node, node]}

    def deployer_options(self):
        return {"shells": NoShells}

    def leftovers(self, block):
        return World(block["world"]).names()
