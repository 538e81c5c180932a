from pathlib import Path

import pytest

from rally_deploy import config
from rally_deploy.errors import ConfigError, UnknownPlugin
from rally_deploy.plugins import Registry

FOLDER = Path(__file__).parents[3] / "samples" / "deployments"
SAMPLES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".json", ".yaml"))
ENVIRON = {
    **dict.fromkeys(("OS_PASSWORD", "SSH_PASSWORD", "ADMIN_PASSWORD", "SERVICE_PASSWORD",
                     "RABBIT_PASSWORD"), "a-password"),
    "IMAGE_SHA512": "0" * 128,
}

#: Samples whose provider may not be installed: then that is all that is wrong with them.
PROVIDERS = {
    "devstack-in-openstack.json": "OpenStackProvider",
    "devstack-in-virsh.json": "VirshProvider",
}
#: Samples with keys that DevStack has dropped, by what their warnings name.
WARNED = {
    "devstack-lxc-engine-in-existing-servers.json": {
        "controller.localrc.API_RATE_LIMIT", "controller.localrc.SCREEN_LOGDIR",
        "nodes[0].engine.localrc.API_RATE_LIMIT", "nodes[0].engine.localrc.SCREEN_LOGDIR",
        "nodes[0].engine.localrc.ENABLED_SERVICES",
    },
}


def is_there(provider):
    try:
        return bool(Registry().provider(provider))
    except UnknownPlugin:
        return False


def warnings(path):
    """Of a config that is valid, but for a provider that is not installed: then nothing."""
    document = config.load(path, {"user": "ops"})
    assert config.plugin_name(document.data)
    missing = PROVIDERS.get(path.name, "")
    if not missing or is_there(missing):
        return {w.path for w in config.validate(document, Registry(), ENVIRON)}
    with pytest.raises(ConfigError) as error:
        config.validate(document, Registry(), ENVIRON)
    found = [(p.path, p.message) for p in error.value.problems]
    assert found == [("provider.type", f"there is no provider '{missing}'")]
    return set()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_sample_is_valid(path):
    assert warnings(path) == WARNED.get(path.name, set())


def test_rallys_own_sample_of_a_cloud_is_valid_with_its_old_address():
    # A version 2.0 address is taken, with a note.
    path = Path(__file__).parent / "rally" / "devstack-in-openstack.json"
    assert warnings(path) <= {"provider.auth_url"}


def test_every_sample_is_told_of_in_the_readme_and_no_other():
    lines = (FOLDER / "README.rst").read_text().splitlines()
    titles = [line for line, below in zip(lines, lines[1:], strict=False)
              if below and set(below) == {"-"} and len(below) == len(line)]
    assert sorted(titles) == [path.name for path in SAMPLES]


def test_nova_network_of_rallys_example_is_told_with_what_to_write_instead():
    document = config.load(FOLDER / "devstack-lxc-engine-in-existing-servers.json")
    (told,) = [w for w in config.validate(document, Registry(), ENVIRON)
               if w.path.endswith("ENABLED_SERVICES")]
    assert "n-net" in told.message
    assert "Neutron" in told.message


@pytest.mark.timeout(60)
def test_config_of_a_thousand_nodes_is_validated_in_time():
    from tests.unit.config.plugins import registry

    node = {"type": "TreeEngine", "settings": {"password": "${env:P}"}, "provider": {
        "type": "ExistingServers", "credentials": ["root@h", {"host": "i", "user": "u"}]}}
    tree = {**node, "nodes": [node] * 1000}
    config.validate(tree, registry(), {"P": "x"})
    assert len(config.secret_values(config.resolve_env(tree, {"P": "xyz"}), registry())) == 1
