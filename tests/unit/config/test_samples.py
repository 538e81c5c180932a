from pathlib import Path

import pytest

from rally_deploy import config
from rally_deploy.plugins import Registry

SAMPLES = sorted((Path(__file__).parents[3] / "samples" / "deployments").iterdir())
ENVIRON = dict.fromkeys(("OS_PASSWORD", "SSH_PASSWORD", "ADMIN_PASSWORD"), "a-password")


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_sample_is_valid(path):
    document = config.load(path, {"user": "ops"})
    config.validate(document, Registry(), ENVIRON)
    assert config.plugin_name(document.data)


@pytest.mark.timeout(60)
def test_config_of_a_thousand_nodes_is_validated_in_time():
    from tests.unit.config.plugins import registry

    node = {"type": "TreeEngine", "settings": {"password": "${env:P}"}, "provider": {
        "type": "ExistingServers", "credentials": ["root@h", {"host": "i", "user": "u"}]}}
    tree = {**node, "nodes": [node] * 1000}
    config.validate(tree, registry(), {"P": "x"})
    assert len(config.secret_values(config.resolve_env(tree, {"P": "xyz"}), registry())) == 1
