"""The client against a small cloud on the loopback that keeps what it is told."""

import pytest

from rally_deploy.errors import CloudBroken
from rally_deploy.hosts import cloud_client
from rally_deploy.hosts.cloud_client import Call, CallFailed, Cloud
from rally_deploy.hosts.remote_cloud import RemoteCloud
from rally_deploy.model import Server
from rally_deploy.ssh.base import NoObserver
from rally_deploy.ssh.local import LocalShell
from tests.unit.hosts.http_cloud import PASSWORD, FakeCloud


@pytest.fixture
def server():
    with FakeCloud() as server:
        yield server


@pytest.fixture
def login(server):
    return {"auth_url": server.url, "username": "admin", "password": PASSWORD,
            "project_name": "admin", "region_name": "R"}


@pytest.fixture
def cloud(login):
    return Cloud(login)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(cloud_client.time, "sleep", lambda seconds: None)


def test_token_tells_the_services_of_the_catalog(cloud):
    assert cloud.token() == {"project_id": "p1", "services": ["compute", "image", "network"]}


def test_wrong_password_is_said_with_its_status(login):
    with pytest.raises(CallFailed) as error:
        Cloud({**login, "password": "wrong"}).token()
    assert error.value.status == 401
    assert "wrong" not in str(error.value)


def test_ensured_flavor_is_made_once(cloud, server):
    first = cloud.ensure_flavor("m1", 64, 1, 1)
    assert cloud.ensure_flavor("m1", 64, 1, 1)["id"] == first["id"]
    assert server.count("POST", "/flavors") == 1


def test_service_that_is_missing_in_the_catalog_is_named(cloud):
    with pytest.raises(CallFailed, match="the catalog has no volume service"):
        cloud.call("GET", "volume", "/volumes")


def test_api_that_is_not_up_yet_is_asked_again(cloud, server):
    cloud.token()
    server.broken = [503, 502]
    assert cloud.call("GET", "compute", "/flavors") == {"flavors": []}


def test_api_that_stays_down_fails_with_its_text(cloud, server):
    cloud.token()
    server.broken = [503] * 9
    with pytest.raises(CallFailed, match="503 .*not yet"):
        cloud.call("GET", "compute", "/flavors")


def test_nobody_at_the_address_fails_without_a_traceback_of_sockets(login):
    with pytest.raises(CallFailed) as error:
        Cloud({**login, "auth_url": "http://127.0.0.1:1"}).token()
    assert error.value.status == 0


def test_image_is_uploaded_once_and_a_half_made_one_is_replaced(cloud, server, tmp_path):
    (tmp_path / "disk").write_bytes(b"x" * 100000)
    server.things["/v2/images"] = {"old": {"id": "old", "name": "guest", "status": "queued"}}
    image = cloud.ensure_image("guest", str(tmp_path / "disk"), "raw")
    assert image["status"] == "active"
    assert list(server.things["/v2/images"]) == [image["id"]]
    assert server.uploads[f"/v2/images/{image['id']}/file"] == b"x" * 100000
    cloud.ensure_image("guest", str(tmp_path / "disk"), "raw")
    assert len(server.uploads) == 1


def test_changed_url_of_an_endpoint_is_corrected(cloud, server):
    def services(url):
        return [{"name": "nova", "type": "compute", "public": url, "internal": "http://in"}]

    cloud.ensure_catalog("R", services("http://old"))
    cloud.ensure_catalog("R", services("http://new"))
    endpoints = server.things["/v3/endpoints"].values()
    assert {(e["interface"], e["url"]) for e in endpoints} == {
        ("public", "http://new"), ("internal", "http://in"), ("admin", "http://in")}


def test_external_network_is_flat_and_gives_no_leases(cloud, server):
    cloud.ensure_network("public", "10.0.0.0/24", external=True, gateway="10.0.0.1",
                         first="10.0.0.9", last="10.0.0.20")
    (network,) = server.things["/v2.0/networks"].values()
    (subnet,) = server.things["/v2.0/subnets"].values()
    assert network["provider:network_type"] == "flat"
    assert subnet["enable_dhcp"] is False
    assert subnet["allocation_pools"] == [{"start": "10.0.0.9", "end": "10.0.0.20"}]


def test_removal_of_a_server_that_is_gone_succeeds(cloud):
    cloud.remove_server("no-such-id")


def test_guest_that_says_nothing_has_no_banner(cloud):
    assert cloud.ssh_banner("127.0.0.1", timeout_s=0) == ""


class Listening(LocalShell):
    commands = ()

    def execute(self, command, stdin, timeout_s, quiet):
        self.commands = (*self.commands, command)
        return super().execute(command, stdin, timeout_s, quiet)


@pytest.fixture
def shell():
    return Listening(Server("localhost", connection="local"), NoObserver())


def test_calls_run_by_the_python_of_a_server_give_their_results(shell, login):
    remote = RemoteCloud(shell, login)
    token, flavor = remote.calls([
        Call("token"), Call("ensure_flavor", {"name": "m1", "ram": 64, "disk": 1, "vcpus": 1})])
    assert token["project_id"] == "p1"
    assert flavor["ram"] == 64
    assert PASSWORD not in " ".join(shell.commands)


def test_call_that_failed_there_is_told_here(shell, login):
    remote = RemoteCloud(shell, {**login, "password": "wrong"})
    with pytest.raises(CloudBroken, match="(?s)token failed.*401"):
        remote.call("token")


@pytest.mark.parametrize(("options", "where"), [
    ({}, "logs under /var/log"), ({"logs": "'journalctl -u x'"}, "'journalctl -u x'"),
])
def test_remedy_of_a_failed_call_says_where_the_logs_are(shell, login, options, where):
    remote = RemoteCloud(shell, {**login, "password": "wrong"}, **options)
    with pytest.raises(CloudBroken) as caught:
        remote.call("token")
    assert f"{where} on the controller" in caught.value.remedy


def test_guests_tell_what_an_image_needs_and_a_flavor_gives(cloud, server):
    def image(name, size, **more):
        return {"name": name, "status": "active", "size": size, "container_format": "bare",
                "min_ram": 0, "min_disk": 0, **more}

    server.things["/v2/images"] = dict(enumerate([
        image("big", (1 << 30) + 1), image("small", 5, min_ram=64, min_disk=2),
        image("packed", 9, virtual_size=3 << 30), image("kernel", 1, container_format="aki"),
    ]))
    for name, ram in (("m2", 512), ("m1", 64)):
        cloud.ensure_flavor(name, ram, 1, 1)
    server.things["/flavors/detail"] = server.things["/flavors"]
    found = cloud.guests()
    assert found["images"] == [
        {"name": "small", "ram": 64, "disk": 2}, {"name": "packed", "ram": 0, "disk": 3},
        {"name": "big", "ram": 0, "disk": 2},
    ]
    assert found["flavors"] == [
        {"name": "m1", "ram": 64, "disk": 1}, {"name": "m2", "ram": 512, "disk": 1}]


def test_catalog_that_is_asked_for_once_fails_at_the_first_refusal(cloud, server):
    server.broken = [503] * 9
    with pytest.raises(CallFailed, match="503"):
        cloud.catalog(tries=1)
    assert server.count("POST", "/v3/auth/tokens") == 1
