"""LibcloudProvider on a real OpenStack whose answers get lost, or whose caller is killed."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from rally_deploy.errors import LeftOver, WaitTimeout
from rally_deploy.serverprovider.libcloud import cloud as clouds
from rally_deploy.serverprovider.libcloud.cloud import Cloud
from tests.functional import libcloud_rig, openstack_rig
from tests.functional.fault_proxy import FaultProxy

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(2400),
    pytest.mark.xdist_group("cloud"),
]


@pytest.fixture
def proxy(cloud):
    with FaultProxy(cloud.auth_url) as proxy:
        yield proxy


@pytest.fixture
def provided(tmp_path, monkeypatch, cloud, proxy):
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))
    # This cloud lists at once what it has made, and its faults are over soon.
    monkeypatch.setattr(Cloud, "settle_s", 2.0)
    monkeypatch.setattr(clouds, "_PAUSE_S", (0.3, 0.6))
    with libcloud_rig.deployments(tmp_path / "rig", cloud) as make:
        yield make
        proxy.forget()  # whatever of a failed test is left is removed without faults


@pytest.fixture(scope="module")
def foreign(cloud):
    """Somebody else's key pair and server; at the end they must still be there."""
    key = cloud.foreign_key("rd-somebody-elses")
    try:
        with libcloud_rig.server(cloud, "rd-somebody-elses"):
            yield
            assert key in [pair.name for pair in cloud.client.nova.keypairs.list()]
    finally:
        cloud.client.nova.keypairs.delete(key)


SERVER = r"/servers/[0-9a-f]{8}-[0-9a-f-]+$"

#: The driver, and what happens to the requests of a create, and to those of the destroy after it,
#: in this order.
TURNS = [
    (
        {},
        [("POST", "/auth/tokens$", 500), ("POST", "/os-keypairs$", "cut after"),
         ("POST", "/servers$", 429), ("POST", "/servers$", 503),
         ("POST", "/servers$", "cut before"), ("POST", "/servers$", "500 after")],
        [("DELETE", SERVER, 500), ("DELETE", SERVER, "cut after"),
         ("DELETE", "/os-keypairs/", 503), ("DELETE", "/os-keypairs/", "500 after")],
    ),
    (
        libcloud_rig.NEWER,
        [("POST", "/auth/tokens$", 503), ("GET", "/flavors/detail$", 1.5),
         ("POST", "/os-keypairs$", 500), ("POST", "/os-keypairs$", "500 after"),
         ("POST", "/servers$", 401), ("POST", "/servers$", 500), ("POST", "/servers$", 1.5),
         # The second half of libcloud's create_node.
         ("GET", SERVER, "cut before")],
        [("DELETE", SERVER, 429), ("DELETE", SERVER, "500 after"),
         ("DELETE", "/os-keypairs/", "cut before"), ("DELETE", "/os-keypairs/", "cut after")],
    ),
]


@pytest.mark.parametrize(("driver", "making", "removing"), TURNS, ids=["nova", "services"])
def test_faults_make_no_double_and_no_leak(cloud, provided, proxy, driver, making, removing):
    def fail(faults):
        for method, path, act in faults:
            proxy.fail(method, path, act, **({"Retry-After": "1"} if act == 429 else {}))

    entity, provider = provided(driver_args=libcloud_rig.arguments(
        cloud, ex_force_auth_url=proxy.auth_url, **driver))
    fail(making)
    server, = provider.create_servers()
    assert [fault for fault in proxy.faults if fault.times] == []
    tag = entity.record.short
    assert libcloud_rig.ours(cloud, tag) == [f"rd-{tag}-key", server.name]
    fail(removing)
    provider.destroy_servers()
    assert [fault for fault in proxy.faults if fault.times] == []
    assert libcloud_rig.ours(cloud, tag) == []


def test_service_that_stays_away_or_refuses_ends_clearly(cloud, provided, proxy, monkeypatch):
    monkeypatch.setattr(Cloud, "patience_s", 8.0)
    entity, provider = provided(
        driver_args=libcloud_rig.arguments(cloud, ex_force_auth_url=proxy.auth_url))
    proxy.fail("POST", "/servers$", 503, times=1000)
    began = time.monotonic()
    with pytest.raises(WaitTimeout, match="create a server: the cloud is busy") as caught:
        provider.create_servers()
    assert "a fault of the test" in caught.value.details
    assert time.monotonic() - began < 120
    key = f"rd-{entity.record.short}-key"
    assert libcloud_rig.ours(cloud, entity.record.short) == [key]
    proxy.fail("DELETE", "/os-keypairs/", 409)
    with pytest.raises(LeftOver, match="1 resource.s. could not be removed") as refused:
        provider.destroy_servers()
    assert key in refused.value.details
    assert libcloud_rig.ours(cloud, entity.record.short) == [key]
    provider.destroy_servers()
    assert libcloud_rig.ours(cloud, entity.record.short) == []


#: At which points a create and the destroys after it are killed; odd ones are before a request,
#: even ones behind it. Up to 14 a create only looks; the key pair is made by 15 and 16, the server
#: by 17 and 18. By 5 and 6 a destroy deletes what it deletes first.
KILLS: list[tuple[int, Sequence[int]]] = [
    (0, (5, 6)), (2, ()), (12, ()), (15, ()), (16, (5, 6)), (17, ()), (18, ()), (19, ()),
    (20, ()), (22, ()),
]
#: After a kill here, which is in the midst of libcloud's create_node, a resume comes first.
RESUMED = 19


@pytest.fixture
def kills(cloud, tmp_path):
    if not os.environ.get("RDEPLOY_TEST_EVERY_POINT"):
        return KILLS
    whole = openstack_rig.Whole(tmp_path / "counted", libcloud_rig.block(cloud))
    # How often it is looked whether a server runs is different each time.
    points = range(1, whole.rdeploy.points_of(whole.file) - 6)
    return [(0, range(1, 12)), (16, range(1, 9)), *((point, ()) for point in points)]


@pytest.mark.usefixtures("foreign")
def test_kills_at_calls_to_the_cloud_then_a_destroy_leave_nothing(cloud, kills, tmp_path):
    def run(number):
        """What came otherwise than it should."""
        point, in_destroy = kills[number]
        whole = openstack_rig.Whole(tmp_path / str(number), libcloud_rig.block(cloud))
        create = ("create", "--name", "it", "--file", whole.file)
        reached = [whole.rdeploy.killed(point, *create)] if point else []
        if not point:
            whole.rdeploy(*create)
        record, = whole.rdeploy.json("list")
        tag = record["uuid"][:8]
        if point == RESUMED:
            whole.rdeploy("resume", "it")
            assert libcloud_rig.ours(cloud, tag) == [f"rd-{tag}-key", f"rd-{tag}-server-0"]
        reached += [whole.rdeploy.killed(at, "destroy", "it", "--yes") for at in in_destroy]
        whole.destroy()
        left = libcloud_rig.ours(cloud, tag)
        return [] if all(reached) and not left else [(point, in_destroy, reached, left)]

    # Several at once, as most of the time they wait for what may still come up.
    with libcloud_rig.left_as_it_was(cloud), ThreadPoolExecutor(4) as pool:
        assert [wrong for found in pool.map(run, range(len(kills))) for wrong in found] == []
