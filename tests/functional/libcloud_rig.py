"""LibcloudProvider on a cloud that DistroEngine made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from rally_deploy.serverprovider.libcloud import LibcloudProvider
from rally_deploy.testing.contract import open_deployer
from tests.functional.conftest import STANDING
from tests.functional.lxc_rig import ServersOnly
from tests.functional.openstack_rig import RealCloud, deployment
from tests.functional.sshd_hosts import sh

#: libcloud's driver that asks Glance, Neutron and Cinder themselves, and not Nova for all.
NEWER = {"api_version": "2.2"}


def arguments(cloud: RealCloud, **more: str) -> dict[str, Any]:
    """What libcloud's driver is made with, as teuthology's configs have it."""
    return {
        "username": cloud.env["OS_USERNAME"], "password": cloud.password,
        "ex_force_auth_url": cloud.auth_url,
        "ex_force_auth_version": "3.x_password", "ex_tenant_name": cloud.env["OS_PROJECT_NAME"],
        "ex_force_service_region": cloud.env.get("OS_REGION_NAME", "RegionOne"), **more,
    }


def block(cloud: RealCloud, **keys: Any) -> dict[str, Any]:
    """A provider's block for one server of the guest image that comes with the cloud."""
    return {
        "type": "LibcloudProvider", "driver": "openstack", "driver_args": arguments(cloud),
        "image": "rdeploy-guest", "size": "rdeploy-guest", "allow_networks": "private",
        "ssh_interface": "private_ips", "wait_for_ssh": False, "timeout_s": 900, **keys,
    }


def ours(cloud: RealCloud, tag: str) -> list[str]:
    """Names of what a deployment has there, by the beginning of its uuid."""
    nova = cloud.client.nova
    names = [thing.name for thing in (*nova.servers.list(), *nova.keypairs.list())]
    return sorted(name for name in names if name.startswith(f"rd-{tag}-"))


@contextmanager
def left_as_it_was(cloud: RealCloud) -> Iterator[None]:
    """The same as the cloud's own, except that others may use a standing cloud meanwhile."""
    with nullcontext() if STANDING else cloud.left_as_it_was():
        yield


@contextmanager
def deployments(folder: Path, cloud: RealCloud) -> Iterator[Any]:
    """Makes deployments of a block with these keys; all of them are destroyed at the end."""
    folder.mkdir()
    made = []
    with left_as_it_was(cloud), open_deployer(folder, ServersOnly, LibcloudProvider) as rig:

        def make(**keys: Any) -> tuple[Any, Any]:
            made.append(deployment(rig, block(cloud, **keys)))
            return made[-1]

        try:
            yield make
        finally:
            for entity, _ in made:
                entity.provider(entity.config["provider"]).destroy_servers()
                rig.store.resources.assert_all_gone(entity.uuid)
                assert ours(cloud, entity.record.short) == []


@contextmanager
def server(cloud: RealCloud, name: str) -> Iterator[Any]:
    """A server that no deployment has made."""
    nova = cloud.client.nova
    network, = cloud.client.network.networks(name="private")
    flavor = next(f for f in nova.flavors.list() if f.name == "rdeploy-guest")
    nics = [{"net-id": network.id}]
    made = nova.servers.create(name, cloud.guest_image, flavor.id, nics=nics)
    try:
        # From then on it has all that it ever has.
        wait_until(
            lambda: list(cloud.client.network.ports(device_id=made.id)), f"{name}'s port")
        yield made
        assert nova.servers.get(made.id).status in ("BUILD", "ACTIVE")
    finally:
        nova.servers.delete(made.id)
        wait_until(lambda: made.id not in {one.id for one in nova.servers.list()}, f"{name}'s end")


def wait_until(is_so: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(1)


@contextmanager
def routed(cloud: RealCloud) -> Iterator[None]:
    """This machine reaches the tenants' network, over the router that leads out of it.

    A LibcloudProvider block knows no floating addresses: whoever uses it is in the network, or
    has a way there.
    """
    network = cloud.client.network
    subnet, = network.subnets(name="private")
    router, = network.routers(name="router")
    gateway = router.external_gateway_info["external_fixed_ips"][0]["ip_address"]
    route = (subnet.cidr, "via", gateway)
    sh("ip", "route", "add", *route)
    try:
        yield
    finally:
        sh("ip", "route", "del", *route, check=False)
