"""The use cases, where a plugin ends with what is no error of ours."""

import pytest

from rally_deploy.config import Document
from rally_deploy.model import State
from rally_deploy.testing.contract import NoShells, open_deployer
from rally_deploy.testing.fakes import FakeEngine


class StumblingEngine(FakeEngine):
    """Makes a cloud, then looks for what is not there."""

    def deploy(self):
        return {}[super().deploy()["admin"]["username"]]


@pytest.fixture
def stumbling(tmp_path, config, recorder):
    folder = tmp_path / "stumbling"
    folder.mkdir()
    with open_deployer(
        folder, StumblingEngine, watcher=recorder, shells=NoShells
    ) as deployer:
        yield deployer, Document({**config, "type": "StumblingEngine"})


def test_foreign_error_of_a_create_leaves_it_failed_with_the_errors_kind(stumbling, world):
    deployer, document = stumbling
    with pytest.raises(KeyError):
        deployer.create(document)
    record, = deployer.list()
    assert (record.state, record.error) == (State.FAILED, "KeyError: 'admin'")
    assert world.names() != []


def test_foreign_error_with_destroy_on_failure_leaves_nothing(stumbling, world):
    deployer, document = stumbling
    with pytest.raises(KeyError):
        deployer.create(document, destroy_on_failure=True)
    record, = deployer.list(all=True)
    assert record.state is State.DESTROYED
    assert world.names() == []
