"""Whatever is given as a config is taken, or refused by a ConfigError: never a traceback."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rally_deploy import config
from rally_deploy.config.document import Document
from rally_deploy.config.strings import each_string
from rally_deploy.errors import ConfigError
from tests.unit.config.plugins import TreeEngine, registry

REGISTRY = registry()

KEYS = st.sampled_from([
    "type", "name", "provider", "host_provider", "credentials", "controller", "nodes", "inner",
    "count", "host", "user", "port", "password", "jump", "key", "admin", "users", "auth_url",
    "creds", "openstack", "existing@openstack", "endpoint", "settings", "local_settings", "mode",
    "containers_per_host", "start_lxc_network", "tunnel_to", "ipv4_start_address",
    "network_bridge",
]) | st.text(max_size=8)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([
        "TreeEngine", "ExistingCloud", "ExistingServers", "DummyProvider", "LxcProvider",
        "UnimportableProvider", "BadSchemaEngine", "RaisingEngine", "root@h", "r@[::1]:22",
        "http://h/", "${env:A}", "${env:", "10.0.0.0/24", "", "é" * 3000, 10**50, 2**63,
    ])
)
TREES = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(KEYS, below, max_size=6),
    max_leaves=25,
)
VALID = {
    "type": "TreeEngine", "mode": "qemu", "settings": {"limit": 3},
    "provider": {"type": "LxcProvider", "containers_per_host": 2, "tunnel_to": ["10.0.0.1"],
                 "host_provider": {"type": "ExistingServers", "credentials": [
                     "root@h", {"host": "i", "user": "u", "jump": {"host": "j", "user": "u"}}]}},
    "controller": {"type": "TreeEngine", "provider": {
        "type": "ExistingServers", "credentials": ["a@b"]}},
    "nodes": [{"openstack": {"auth_url": "http://h/", "admin": {
        "username": "u", "password": "pppp", "tenant_name": "t"}}}],
}
FREELY = settings(
    max_examples=150, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


def outcome(call, *args):
    """The ConfigError, or None; any other exception is the test's failure."""
    try:
        call(*args)
    except ConfigError as raised:
        error = raised
    else:
        return None
    assert error.problems
    assert all(problem.message for problem in error.problems)
    assert all(char.isprintable() or char == "\n" for char in str(error))
    return error


@FREELY
@given(TREES)
def test_any_tree_is_valid_or_a_config_error(tree):
    outcome(config.validate, Document(tree), REGISTRY, {"A": "a"})
    config.mask_secrets(tree, REGISTRY)


@FREELY
@given(st.data())
def test_damaged_valid_tree_is_valid_or_a_config_error(data):
    tree = copy.deepcopy(VALID)
    for _ in range(data.draw(st.integers(1, 3))):
        places = [path for path, _ in each_string(tree)]
        if not places:
            break
        path = data.draw(st.sampled_from(places))
        path = path[: data.draw(st.integers(1, len(path)))]
        here = tree
        for step in path[:-1]:
            here = here[step]
        if isinstance(here, dict):
            here[data.draw(KEYS) if data.draw(st.booleans()) else path[-1]] = data.draw(TREES)
    outcome(config.validate, Document(tree), REGISTRY, {})
    config.secret_values(tree, REGISTRY)
    config.mask_secrets(tree, REGISTRY)
    config.normalize(tree, TreeEngine.CONFIG_SCHEMA)


def test_undamaged_tree_is_valid():
    assert outcome(config.validate, Document(VALID), REGISTRY, {}) is None


JSONISH = st.text(
    alphabet='{}[]":,/*#\\ \n\t\'abn0123.-+eEtrufls$&<>|!%@`\ufeff\x00é', max_size=60,
)


@FREELY
@given(JSONISH | st.text(max_size=80), st.sampled_from(["x.json", "x.yaml", "x"]))
def test_any_text_is_a_document_or_a_config_error(text, source):
    error = outcome(config.parse, text, source)
    for problem in error.problems if error else ():
        assert 0 <= problem.line <= text.count("\n") + 1


@FREELY
@given(st.binary(max_size=60))
def test_any_file_is_a_document_or_a_config_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("config") / "file"
    path.write_bytes(content)
    outcome(config.load, path)


JSON_TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5),
        below, max_size=4),
    max_leaves=20,
)


@FREELY
@given(JSON_TREES, st.sampled_from([None, 1, 3]))
def test_every_json_text_reads_as_the_json_module_reads_it(tree, indent):
    text = json.dumps(tree, indent=indent)
    document = config.parse(text, "x.json")
    assert document.data == tree
    for path, value in each_string(tree):
        line, column = document.position(path)
        assert text.splitlines()[line - 1][column - 1:].startswith(json.dumps(value))


@FREELY
@given(JSON_TREES.filter(lambda tree: isinstance(tree, (dict, list)) and tree), st.data())
def test_cut_json_text_is_a_config_error(tree, data):
    text = json.dumps(tree)
    cut = text[: data.draw(st.integers(0, len(text) - 1))]
    assert outcome(config.parse, cut, "x.json") is not None


@pytest.mark.parametrize("value", [{1, 2}, b"x", object(), float("nan"), "\ud800", {1: 2}])
def test_python_value_that_is_no_json_is_told(value):
    error = outcome(config.validate, {"type": "TreeEngine", "settings": value}, REGISTRY, {})
    assert error.problems[0].path.startswith("settings")


def test_tree_with_a_cycle_is_told():
    tree = {"type": "TreeEngine"}
    tree["settings"] = tree
    assert "nested too deep" in str(outcome(config.validate, tree, REGISTRY, {}))
