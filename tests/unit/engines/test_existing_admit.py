"""Computes that were deployed for a cloud that was there before: it is asked for them."""

import pytest

from rally_deploy.engines.existing import ExistingCloud
from rally_deploy.errors import CloudBroken
from rally_deploy.hosts import cloud_client
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.unit.hosts.http_cloud import PASSWORD, FakeCloud


@pytest.fixture
def server():
    with FakeCloud() as server:
        yield server


@pytest.fixture
def engine(tmp_path, recorder, server):
    """Makes the engine of a deployment that is ready; it waits for a moment only."""
    impatient = type("ExistingCloud", (ExistingCloud,), {"ADMIT_TIMEOUT_S": 0.01})
    with open_deployer(tmp_path, impatient, watcher=recorder) as deployer:
        def make(**admin):
            made = open_deployment(deployer, {
                "type": "ExistingCloud", "auth_url": f"{server.url}/v2.0", "admin": {
                    "username": "admin", "password": PASSWORD, "project_name": "admin", **admin},
            })
            made.deploy()
            return made.engine()

        yield make


def has(server, **up):
    server.things["/os-hypervisors"] = {
        name: {"hypervisor_hostname": f"{name}.example.org", "state": "up" if is_up else "down"}
        for name, is_up in up.items()
    }


def told(recorder):
    return [e.title for e in recorder.events if str(e.kind) == "warning"]


def test_computes_that_are_up_are_admitted_without_a_word(engine, server, recorder):
    has(server, c1=True, c2=True)
    engine().admit(["c1", "c2.example.org"])
    assert told(recorder) == []
    assert server.count("GET", "/os-hypervisors") == 1


def test_computes_that_are_not_up_are_named_with_what_to_run(engine, server, recorder):
    has(server, c1=True, c2=False)
    with pytest.raises(CloudBroken, match="2 of 3 computes are not up") as caught:
        engine().admit(["c1", "c2", "c3"])
    assert caught.value.details.splitlines()[:2] == ["c2", "c3"]
    assert "discover_hosts" in caught.value.remedy
    (note,) = told(recorder)
    assert "discover_hosts" in note


def test_user_who_may_not_look_ends_the_wait_at_once(engine):
    with pytest.raises(CloudBroken, match="does not tell of its hypervisors") as caught:
        engine(password="wrong").admit(["c1"])
    assert "401" in caught.value.details


def test_cloud_that_does_not_answer_is_an_error_with_what_was_said(engine, server, monkeypatch):
    monkeypatch.setattr(cloud_client.time, "sleep", lambda seconds: None)
    made = engine()
    server.broken = [503] * 99
    with pytest.raises(CloudBroken, match="1 of 1 computes are not up") as caught:
        made.admit(["c1"])
    assert "not yet" in caught.value.details


def test_admin_without_a_project_nobody_looks_and_that_is_said(engine, server, recorder):
    engine(project_name="", domain_name="Default").admit(["c1", "c2"])
    assert told(recorder) == [
        "nobody has looked whether 2 computes are up: ExistingCloud cannot"]
    assert server.asked == []


def test_file_of_certificates_that_is_not_there_is_named(engine):
    made = engine()
    admin = {**made.deployment.result()["admin"], "https_cacert": "/none/ca.pem"}
    made.deployment._work.store.credentials.replace(made.deployment.uuid, {"admin": admin})
    with pytest.raises(CloudBroken, match="/none/ca.pem cannot be read"):
        made.admit(["c1"])
