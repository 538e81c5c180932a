"""What a cloud's servers will have installed, told before there is one."""

import pytest

from rally_deploy.config import normalize
from rally_deploy.engines.distro import DistroEngine, releases, software
from rally_deploy.engines.distro.cloud import Cloud, Node
from rally_deploy.engines.distro.schema import SERVICES
from rally_deploy.model import Server


def told(**keys):
    block = {"type": "DistroEngine", "provider": {"type": "X"}, **keys}
    return DistroEngine.packages_beforehand(normalize(block, DistroEngine.CONFIG_SCHEMA))


@pytest.mark.parametrize("release", releases.SUPPORTED, ids=lambda release: release.title)
@pytest.mark.parametrize("driver", ["", "fake", "qemu", "kvm"])
def test_all_that_any_node_will_install_is_told_and_no_more(release, driver):
    names = told(virt_driver=driver)[f"{release.id} {release.version}"]
    nodes = [Node(Server(host), None, host, host, release, frozenset(roles))
             for host, roles in (("a", {"controller"}), ("b", {"compute"}))]
    cloud = Cloud(tuple(nodes), frozenset(SERVICES), lambda name: "", driver)
    needed = {name for node in nodes for name in software.everything(cloud, node)}
    assert set(names) == needed
    assert len(names) == len(needed)


def test_choice_of_services_is_not_worth_a_base_of_its_own():
    assert told(services=["keystone"]) == {}
    assert told(services=list(reversed(SERVICES))) == told()


def test_nodes_of_one_cloud_have_the_same_whatever_their_roles():
    assert told(roles=["controller"]) == told(controller="192.0.2.1") == told(workers=4)
