"""What is left in an account and is in no ledger."""

import pytest

from rally_deploy.leftovers import in_places


@pytest.mark.parametrize(("driver", "image"), [
    ("kept", "Ubuntu 9.10"), ("marked", "ubuntu-24.04")])
def test_things_of_no_ledger_are_listed_and_those_of_one_are_not(
    provided, cloud, libcloud_deployer, driver, image
):
    volumes = {"volumes": {"count": 1, "size": 1}} if driver == "marked" else {}
    _, provider = provided(driver=driver, image=image, **volumes)
    provider.create_servers()
    look, = in_places(libcloud_deployer)
    assert (look.found, look.error) == ([], "")
    assert look.where == f"libcloud {driver}, creds {cloud.folder}"
    cloud.add("node", "rd-0123abcd-server-0", state="running", ip="192.0.2.9", extra={})
    cloud.add("node", "renamed", state="running", ip="192.0.2.8",
              extra={"metadata": {"rdeploy": "89abcdef-0000-0000-0000-000000000000"}})
    cloud.add("node", "not-ours", state="running", ip="192.0.2.7",
              extra={"metadata": {"rdeploy": "yes"}})
    cloud.add("volume", "rd-0123abcd-volume-0-0", size=1, node=None)
    cloud.add("key", "rd-0123abcd-key", public="x")
    look, = in_places(libcloud_deployer)
    left = [("server", "rd-0123abcd-server-0"), ("server", "renamed")]
    if driver == "marked":
        left = [("key pair", "rd-0123abcd-key"), *left, ("volume", "rd-0123abcd-volume-0-0")]
    assert [(thing.kind, thing.name) for thing in look.found] == left


def test_account_of_a_destroyed_deployment_is_looked_at_too(provided, cloud, libcloud_deployer):
    entity, provider = provided()
    provider.create_servers()
    entity.destroy()
    cloud.add("node", f"rd-{entity.record.short}-server-0", state="running", ip="192.0.2.9",
              extra={})
    look, = in_places(libcloud_deployer)
    assert [thing.name for thing in look.found] == [f"rd-{entity.record.short}-server-0"]


def test_cloud_that_does_not_answer_is_told(provided, cloud, libcloud_deployer, monkeypatch):
    from rally_deploy.serverprovider.libcloud import provider

    monkeypatch.setattr(provider, "_LOOK_S", 0.2)
    provided()
    cloud.fault("list_nodes", *["busy"] * 100)
    look, = in_places(libcloud_deployer)
    assert "list nodes: the cloud is busy" in look.error


@pytest.mark.parametrize("fault", ["no service", "nova has no service"])
def test_cloud_without_a_service_for_volumes_has_none(provided, cloud, libcloud_deployer, fault):
    provided()
    cloud.add("key", "rd-0123abcd-key", public="x")
    cloud.fault("list_volumes", fault)
    look, = in_places(libcloud_deployer)
    assert ([thing.name for thing in look.found], look.error) == (["rd-0123abcd-key"], "")


def test_cloud_without_a_service_for_servers_is_no_cloud_without_leftovers(
    provided, cloud, libcloud_deployer
):
    provided()
    cloud.fault("list_nodes", "no service")
    look, = in_places(libcloud_deployer)
    assert "no service to list nodes" in look.error
