"""The user's script in a container is run once, whatever is killed between."""

import pytest

from rally_deploy.engines.lxc.nodes import Node, run_start_script
from rally_deploy.errors import HostError
from rally_deploy.model import Server
from rally_deploy.testing.contract import open_deployer, open_deployment
from tests.unit.engines.devstack.fakes import FakeShells
from tests.unit.engines.fake_shell import FakeShell

SERVER = Server("192.0.2.10", name="c1")


class Killed(BaseException):
    pass


class Container(FakeShell):
    """A container with one job at most: ``began`` counts how often it was begun."""

    def __init__(self, status=0):
        self.state, self.began, self.kill = "absent", 0, False
        self.status = status
        super().__init__({
            " follow ": "", "state=absent": lambda: self.state,
            "setsid sh -c ": self.start_or_forget, "": "",
        })

    def start_or_forget(self):
        if "forget" not in self.scripts[-1]:
            if self.state == "absent":
                self.began += 1
                self.state = f"ended {self.status}"
            return ""
        self.state = "absent"
        if self.kill:
            raise Killed
        return ""


@pytest.fixture
def container():
    return Container()


@pytest.fixture
def deployment(tmp_path, container, config):
    with open_deployer(tmp_path, shells=lambda: FakeShells(container)) as deployer:
        yield open_deployment(deployer, config)


def node(deployment):
    row = deployment.ledger.create(
        "lxc_container", "c1", lambda row: {"address": "10.0.0.2"}, lambda row: None,
        facts={"place": 1, "number": 2})
    return Node(row, SERVER, 4)


def test_script_is_run_once(deployment, container):
    run_start_script(deployment, "echo", node(deployment))
    run_start_script(deployment, "echo", node(deployment))
    assert container.began == 1


def test_script_whose_job_is_forgotten_is_not_run_again_after_a_kill(deployment, container):
    container.kill = True
    with pytest.raises(Killed):
        run_start_script(deployment, "echo", node(deployment))
    container.kill = False
    run_start_script(deployment, "echo", node(deployment))
    assert container.began == 1


def test_script_that_failed_is_run_again(deployment, container):
    container.status = 1
    with pytest.raises(HostError, match="ended with status 1"):
        run_start_script(deployment, "echo", node(deployment))
    container.status = 0
    run_start_script(deployment, "echo", node(deployment))
    assert container.began == 2


def test_number_counts_over_all_hosts_whatever_else_failed(deployment):
    assert node(deployment).number == 6
