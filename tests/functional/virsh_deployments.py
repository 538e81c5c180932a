"""Deployments of one provider's block each, on a libvirtd of the test's own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rally_deploy.serverprovider.virsh import VirshProvider
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.functional.libvirt_rig import Libvirtd


@contextlib.contextmanager
def deployments(
    tmp_path: Path, monkeypatch: Any, here: Libvirtd
) -> Iterator[Callable[..., tuple[Any, Any]]]:
    """Yields what makes (deployment, provider) with keys of its block.

    All of them are destroyed at the end, and nothing may be left.
    """
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))
    (tmp_path / "store").mkdir()
    made = []
    with open_deployer(tmp_path / "store", VirshProvider) as deployer:
        def make(**keys: object) -> tuple[Any, Any]:
            entity = open_deployment(deployer, {
                "type": "FakeEngine", "world": "/nonexistent", "provider": here.block(**keys)})
            made.append(entity)
            return entity, entity.provider(entity.config["provider"])

        yield make
        for entity in made:
            entity.provider(entity.config["provider"]).destroy_servers()
            deployer.store.resources.assert_all_gone(entity.uuid)
    assert here.ours() == []
