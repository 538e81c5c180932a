from dataclasses import asdict

from rally_deploy import config
from rally_deploy.plan import plan
from tests.unit.config.plugins import registry

SERVERS = {"type": "DummyProvider", "credentials": ["root@h"]}


def planned(tree):
    document = config.Document(tree)
    config.validate(document, registry(), {"PASS": "from-the-environment"})
    return plan(document, registry())


def test_plan_of_nested_plugins_is_a_tree_with_places():
    top = planned({
        "type": "TreeEngine", "provider": SERVERS,
        "nodes": [{"type": "TreeEngine", "provider": SERVERS, "count": 2}],
    })
    assert (top.plugin, top.key) == ("TreeEngine", "")
    assert [(part.key, part.plugin) for part in top.parts] == [
        ("provider", "ExistingServers"), ("nodes[0]", "TreeEngine"),
    ]
    assert top.parts[0].lines == ["SSH to root@h"]
    assert top.parts[1].parts[0].plugin == "ExistingServers"


def test_plan_leaves_out_what_the_plugin_above_fills_in():
    top = planned({
        "type": "TreeEngine", "provider": SERVERS,
        "inner": {"type": "TreeEngine", "provider": {"type": "DummyProvider", "credentials": [
            {"host": "", "user": ""}]}},
    })
    assert top.parts[1].key == "inner"
    assert top.parts[1].parts == []


def test_plan_shows_no_secret():
    top = planned({
        "type": "TreeEngine", "settings": {"password": "hush-hush", "token": "${env:PASS}"},
        "provider": {"type": "ExistingServers", "credentials": [
            {"host": "h", "user": "u", "password": "hush-too"}]},
    })
    assert "hush" not in str(asdict(top))
    assert "from-the-environment" not in str(asdict(top))


def test_plan_of_an_existing_cloud_says_that_nothing_is_made():
    top = planned({"openstack": {"auth_url": "http://h/v3", "users": [
        {"username": "u", "password": "pppp", "tenant_name": "t"}]}})
    assert top.lines == ["nothing is made: the cloud is at http://h/v3"]
