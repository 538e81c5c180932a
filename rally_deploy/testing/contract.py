"""The contract of plugins as tests: inherit, say what the plugin is, and pytest runs them all.

::

    class TestMyProvider(ProviderContract):
        plugin = MyProvider

        @pytest.fixture
        def block(self, tmp_path):
            return {"type": "MyProvider", ...}

        def leftovers(self, block):
            return [...]  # what exists outside: empty before a create and after a destroy
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rally_deploy.deployer import Deployer
from rally_deploy.deployment import Deployment, Workplace
from rally_deploy.engines.base import DeployEngine
from rally_deploy.lease import owner_id
from rally_deploy.model import State
from rally_deploy.plugins import Registry
from rally_deploy.serverprovider.base import ServerProvider
from rally_deploy.store import Store
from rally_deploy.testing.fakes import FakeEngine, FakeProvider
from rally_deploy.vault import Vault

#: Any key will do for a store that ends with its test.
TEST_KEY = "c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlISE="


class TestRegistry(Registry):
    """The installed plugins, the fakes, and the plugin under test."""

    __test__ = False

    def __init__(self, *plugins: type) -> None:
        super().__init__()
        self._extra = {p.__name__: p for p in (FakeEngine, FakeProvider, *plugins)}

    def engine(self, name: str) -> type[DeployEngine]:
        return self._extra[name] if name in self._extra else super().engine(name)

    def provider(self, name: str) -> type[ServerProvider]:
        return self._extra[name] if name in self._extra else super().provider(name)


class NoShells:
    """For plugins that need no server of a test: asking for a shell is an error."""

    def get(self, *args: object) -> Any:
        raise AssertionError("this plugin was not to open a shell")

    def close(self) -> None:
        pass


def open_store(folder: Path) -> Store:
    """An own SQLite store in this folder."""
    return Store.open(f"sqlite:///{folder}/rdeploy.sqlite", Vault(TEST_KEY))


def open_deployer(folder: Path, *plugins: type, **options: Any) -> Deployer:
    """A deployer on a store of its own, which knows the fakes and these plugins."""
    return Deployer(open_store(folder), TestRegistry(*plugins), **options)


def open_deployment(deployer: Deployer, config: Mapping[str, Any]) -> Deployment:
    """A new deployment entity with this engine block, as a plugin gets it."""
    owner = owner_id()
    record = deployer.store.deployments.add(
        str(uuid.uuid4()), f"test-{uuid.uuid4().hex[:6]}", str(config.get("type")), config,
        owner=owner, lease_s=60,
    )
    work = Workplace(
        deployer.store, deployer.registry, deployer._shells(), owner, deployer.watcher,
        environ=deployer.environ,
    )
    return Deployment(work, record)


class _PluginContract:
    plugin: type

    @pytest.fixture
    def block(self, tmp_path: Path) -> Mapping[str, Any]:
        """The plugin's config block for a small real run."""
        raise NotImplementedError

    @pytest.fixture
    def deployer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployer]:
        monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))
        with open_deployer(tmp_path, self.plugin, **self.deployer_options()) as deployer:
            yield deployer

    def deployer_options(self) -> dict[str, Any]:
        """For Deployer: real shells by default; ``{"shells": NoShells}`` forbids them."""
        return {}

    def leftovers(self, block: Mapping[str, Any]) -> list[str]:
        """What exists outside of those things that the plugin makes."""
        raise NotImplementedError

    def test_schema_documents_every_key(self) -> None:
        schema = self.plugin.CONFIG_SCHEMA  # type: ignore[attr-defined]
        jsonschema.Draft202012Validator.check_schema(schema)
        missing = [k for k, v in schema["properties"].items() if not v.get("description")]
        assert missing == []
        assert schema["additionalProperties"] is False

    def test_examples_validate(self) -> None:
        schema = self.plugin.CONFIG_SCHEMA  # type: ignore[attr-defined]
        assert schema["examples"]
        for example in schema["examples"]:
            jsonschema.Draft202012Validator(schema).validate(example)

    def _engine_block(self, block: Mapping[str, Any]) -> Mapping[str, Any]:
        raise NotImplementedError

    def _run(self, deployment: Deployment) -> Any:
        raise NotImplementedError

    def test_deploy_then_destroy_leaves_nothing(
        self, deployer: Deployer, block: Mapping[str, Any]
    ) -> None:
        assert self.leftovers(block) == []
        deployment = open_deployment(deployer, self._engine_block(block))
        deployment.move(State.PROVISIONING)
        self._run(deployment)
        deployment.destroy()
        assert self.leftovers(block) == []
        assert deployer.store.resources.list(deployment.uuid, alive=True) == []

    def test_second_deploy_makes_no_more(
        self, deployer: Deployer, block: Mapping[str, Any]
    ) -> None:
        deployment = open_deployment(deployer, self._engine_block(block))
        deployment.move(State.PROVISIONING)
        try:
            first = self._run(deployment)
            made = self.leftovers(block)
            second = self._run(deployment)
            assert second == first
            assert self.leftovers(block) == made
        finally:
            deployment.destroy()

    def test_destroy_of_nothing_and_twice_succeeds(
        self, deployer: Deployer, block: Mapping[str, Any]
    ) -> None:
        deployment = open_deployment(deployer, self._engine_block(block))
        deployment.destroy()
        deployment.destroy()
        assert deployment.state is State.DESTROYED
        assert self.leftovers(block) == []


class ProviderContract(_PluginContract):
    """What every server provider keeps. Say ``plugin``, ``block`` and ``leftovers``."""

    def _engine_block(self, block: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"type": "FakeEngine", "world": "/nonexistent", "provider": block}

    def _run(self, deployment: Deployment) -> Any:
        return deployment.provider(deployment.config["provider"]).create_servers()

    def test_constructor_does_no_io(self, block: Mapping[str, Any]) -> None:
        assert self.plugin(None, block).config

    def test_servers_have_addresses_and_names_of_their_own(
        self, deployer: Deployer, block: Mapping[str, Any]
    ) -> None:
        deployment = open_deployment(deployer, self._engine_block(block))
        deployment.move(State.PROVISIONING)
        try:
            servers = self._run(deployment)
            assert servers
            assert all(server.host for server in servers)
            assert len({server.identity + server.label for server in servers}) == len(servers)
        finally:
            deployment.destroy()


class EngineContract(_PluginContract):
    """What every engine keeps. Say ``plugin``, ``block`` and ``leftovers``."""

    def _engine_block(self, block: Mapping[str, Any]) -> Mapping[str, Any]:
        return block

    def _run(self, deployment: Deployment) -> Any:
        return deployment.engine().deploy()

    def test_deploy_returns_how_to_use_the_cloud(
        self, deployer: Deployer, block: Mapping[str, Any]
    ) -> None:
        from rally_deploy.config import cloud_result

        deployment = open_deployment(deployer, block)
        deployment.move(State.PROVISIONING)
        try:
            result = cloud_result(self._run(deployment))
            assert result["admin"] or result["users"]
        finally:
            deployment.destroy()
