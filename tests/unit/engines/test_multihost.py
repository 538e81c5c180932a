"""MultihostEngine on fake engines: what is made when, and what becomes of what fails."""

import json
import threading

import pytest

from rally_deploy import config as configs
from rally_deploy.engines.multihost import MultihostEngine
from rally_deploy.engines.multihost.schema import HANDED_ON
from rally_deploy.errors import (
    Cancelled,
    CloudBroken,
    ConfigError,
    LeftOver,
    PartlyDeployed,
    RallyDeployError,
)
from rally_deploy.model import State
from rally_deploy.plugins import Registry
from rally_deploy.testing.contract import (
    EngineContract,
    NoShells,
    TestRegistry,
    open_deployer,
    open_deployment,
)
from rally_deploy.testing.world import World
from tests.unit.conftest import Recorder
from tests.unit.engines.multihost_fakes import FakeCloud


class Rig:
    """A deployer, its world, and configs for it."""

    def __init__(self, folder):
        (folder / "store").mkdir()
        self.folder, self.watcher, self.hooks = folder, Recorder(), {}
        engine = type("FakeCloud", (FakeCloud,), {"hooks": self.hooks})
        self.world = World(folder / "world")
        self.deployer = open_deployer(
            folder / "store", engine, watcher=self.watcher, shells=NoShells
        )

    def block(self, amount=1, **keys):
        world = str(self.folder / "world")
        return {"type": "FakeCloud", "world": world, **keys,
                "provider": {"type": "FakeProvider", "world": world, "amount": amount}}

    def config(self, *nodes, controller=None):
        return {"type": "MultihostEngine", "controller": controller or self.block(),
                "nodes": list(nodes or [self.block()])}

    def create(self, *nodes, **keys):
        return open_deployment(self.deployer, self.config(*nodes, **keys))

    def again(self, deployment):
        """The deployment as a later command finds it."""
        record = self.deployer.store.deployments.get(deployment.uuid)
        return type(deployment)(deployment._work, record)

    def steps(self, kind="step_begin"):
        return [e.title for e in self.watcher.events if str(e.kind) == kind]


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    with rig.deployer:
        yield rig


def children(deployment):
    return {child.name.rpartition("/")[2]: child for child in deployment.children()}


class TestContract(EngineContract):
    plugin = MultihostEngine

    @pytest.fixture
    def block(self, tmp_path):
        world = str(tmp_path / "world")
        node = {"type": "FakeEngine", "world": world,
                "provider": {"type": "FakeProvider", "world": world}}
        return {"type": "MultihostEngine", "controller": node, "nodes": [node, node]}

    def leftovers(self, block):
        return World(block["controller"]["world"]).names()

    def deployer_options(self):
        return {"shells": NoShells}


def test_controller_is_ready_before_any_node_begins(rig):
    rig.create(rig.block(), rig.block()).deploy()
    states = [(e.deployment_uuid, e.title) for e in rig.watcher.events if str(e.kind) == "state"]
    first = states[0][0]
    ready = [title for _, title in states].index("ready")
    assert states[ready][0] == states[1][0] != first
    begun = [uuid for uuid, title in states[: ready + 1] if title == "provisioning"]
    assert len(begun) == 2  # the whole, and the controller


def test_all_nodes_are_deployed_at_the_same_time(rig):
    meeting = threading.Barrier(3, timeout=20)
    rig.hooks["deploy"] = lambda e: meeting.wait() if e.deployment.handed else None
    deployment = rig.create(rig.block(), rig.block(), rig.block())
    deployment.deploy()
    assert deployment.state is State.READY


def test_result_is_the_controllers(rig):
    deployment = rig.create()
    deployment.deploy()
    assert deployment.result() == children(deployment)["controller"].result()
    assert deployment.result()["admin"]["username"] == "admin"


def test_servers_of_all_are_recorded_controller_first(rig):
    deployment = rig.create(rig.block(2), rig.block())
    deployment.deploy()
    found = children(deployment)
    expected = [s.name for name in ("controller", "node-0", "node-1")
                for s in found[name].servers()]
    assert [s.name for s in deployment.servers()] == expected
    assert len(expected) == 4


def test_node_with_count_is_deployed_so_many_times_in_order(rig):
    deployment = rig.create(
        {**rig.block(note="a"), "count": 2}, rig.block(note="b"))
    deployment.deploy()
    found = children(deployment)
    assert list(found) == ["controller", "node-0", "node-1", "node-2"]
    assert [found[f"node-{n}"].config["note"] for n in range(3)] == ["a", "a", "b"]
    assert all("count" not in node.raw_config for node in found.values())


@pytest.mark.parametrize(("text", "expected"), [
    ("{controller_ip}:9292", "192.0.2.1:9292"),
    ("{contoller_ip}", "192.0.2.1"),
    ("{controller_auth_url}", "http://192.0.2.1/identity/v3"),
    ("{{controller_ip}}", "{192.0.2.1}"),
    ("$DEST/{controller_ip}/${HOME}/{}/{0}/{ip}/%s", "$DEST/192.0.2.1/${HOME}/{}/{0}/{ip}/%s"),
    ("{controller_ip!r} {controller_ip:>20}", "{controller_ip!r} {controller_ip:>20}"),
    ("{controller_machine_ip}|{controller_ca}|", "192.0.2.1||"),
])
def test_placeholder_is_replaced_literally_and_other_braces_stay(rig, text, expected):
    deployment = rig.create(rig.block(note=text))
    deployment.deploy()
    assert children(deployment)["node-0"].config["note"] == expected


def test_environment_reference_of_a_node_is_stored_unread(rig):
    deployment = rig.create(rig.block(note="${env:HOME} {controller_ip}"))
    deployment.deploy()
    assert children(deployment)["node-0"].raw_config["note"] == "${env:HOME} 192.0.2.1"


def test_values_of_the_controller_are_handed_on_to_the_nodes_only(rig):
    deployment = rig.create()
    deployment.deploy()
    found = children(deployment)
    handed = found["node-0"].handed
    assert found["controller"].handed == {}
    assert handed["controller_ip"] == "192.0.2.1"
    assert handed["controller_host"] == found["controller"].servers()[0].name
    assert handed["controller_admin_password"] == deployment.secret("admin_password")
    assert deployment.secret("rabbit_password") in handed["controller_transport_url"]


def test_password_in_a_nodes_config_is_shown_nowhere(rig):
    deployment = rig.create(rig.block(note="{controller_transport_url}"))
    deployment.deploy()
    password = deployment.secret("rabbit_password")
    shown = json.dumps(rig.deployer.config(children(deployment)["node-0"].uuid))
    assert password not in shown
    assert password in json.dumps(
        rig.deployer.config(children(deployment)["node-0"].uuid, show_secrets=True))


def test_value_that_the_controller_does_not_tell_fails_before_nodes_with_every_place(rig):
    deployment = rig.create(
        rig.block(note="{controller_database_password}"),
        rig.block(engine={"a": ["{controller_service_password}"]}))
    with pytest.raises(RallyDeployError) as error:
        deployment.deploy()
    assert "{controller_database_password}, {controller_service_password}" in error.value.brief
    assert "nodes[0].note" in error.value.details
    assert "nodes[1].engine.a[0]" in error.value.details
    assert list(children(deployment)) == ["controller"]


def test_computes_of_ready_nodes_are_admitted_by_the_controller(rig):
    deployment = rig.create(rig.block(2), rig.block())
    deployment.deploy()
    hosts = [s.name for s in deployment.servers()[1:]]
    assert {f"{h}-is-known" for h in hosts} <= set(rig.world.names())


def test_compute_that_stays_down_fails_the_whole_by_name(rig):
    deployment = rig.create(controller=rig.block(mute="server-0"))
    with pytest.raises(CloudBroken) as error:
        deployment.deploy()
    assert error.value.details.endswith("server-0")
    assert deployment.state is State.FAILED
    assert children(deployment)["node-0"].state is State.READY


def test_failing_node_does_not_take_the_others_with_it(rig):
    bad = rig.folder / "bad"
    bad.touch()
    deployment = rig.create(rig.block(), rig.block(fail=str(bad)), rig.block())
    with pytest.raises(RallyDeployError) as error:
        deployment.deploy()
    assert error.value.brief == "1 of 3 nodes failed: node-1"
    assert "node-1 is broken" in error.value.details
    assert "resume" in error.value.remedy
    found = children(deployment)
    assert [found[f"node-{n}"].state for n in range(3)] == [
        State.READY, State.FAILED, State.READY]
    known = [name for name in rig.world.names() if name.endswith("-is-known")]
    assert len(known) == 2  # the good ones were admitted
    assert len(deployment.servers()) == 4


def test_machines_of_a_partly_deployed_node_are_admitted_and_it_is_named(rig):
    def deploy(engine):
        if engine.deployment.name.endswith("node-0"):
            raise PartlyDeployed("1 of 2 clones failed: c2", "no such cgroup", "", ["c0", "c1"])

    rig.hooks["deploy"] = deploy
    deployment = rig.create(rig.block())
    with pytest.raises(RallyDeployError) as error:
        deployment.deploy()
    assert error.value.brief == "1 of 1 node failed: node-0"
    assert "1 of 2 clones failed: c2" in error.value.details
    assert {"c0-is-known", "c1-is-known"} <= set(rig.world.names())
    assert children(deployment)["node-0"].state is State.FAILED


def test_failing_node_beside_one_that_stays_down_both_are_named(rig):
    bad = rig.folder / "bad"
    bad.touch()
    deployment = rig.create(rig.block(), rig.block(fail=str(bad)),
                            controller=rig.block(mute="server-0"))
    with pytest.raises(RallyDeployError) as error:
        deployment.deploy()
    assert error.value.brief == "1 of 2 nodes failed: node-1"
    assert "node-1 is broken" in error.value.details
    assert "the others: not all computes have come up" in error.value.details


def test_resume_deploys_only_what_is_not_ready(rig):
    bad = rig.folder / "bad"
    bad.touch()
    deployment = rig.create(rig.block(), rig.block(fail=str(bad)))
    with pytest.raises(RallyDeployError):
        deployment.deploy()
    made, rig.watcher.events[:] = set(rig.world.names()), []
    bad.unlink()
    deployment = rig.again(deployment)
    deployment.deploy()
    assert deployment.state is State.READY
    moved = {e.deployment_uuid for e in rig.watcher.events if e.title == "provisioning"}
    assert moved == {deployment.uuid, children(deployment)["node-1"].uuid}
    new = set(rig.world.names()) - made
    assert len([name for name in new if name.endswith("-is-known")]) == 1
    assert len(new) == 1


def test_controller_that_fails_no_node_is_begun(rig):
    bad = rig.folder / "bad"
    bad.touch()
    deployment = rig.create(controller=rig.block(fail=str(bad)))
    with pytest.raises(CloudBroken):
        deployment.deploy()
    assert list(children(deployment)) == ["controller"]
    assert len(deployment.servers()) == 1
    bad.unlink()
    rig.again(deployment).deploy()
    assert rig.again(deployment).state is State.READY


def test_node_of_an_earlier_controller_is_made_anew(rig):
    deployment = rig.create(rig.block(), rig.block())
    deployment.deploy()
    found = children(deployment)
    before = {name: child.record.ready_at for name, child in found.items()}
    # As after a destroy that got no further than the controller, and a resume.
    found["controller"].destroy()
    deployment._work.store.deployments.move(
        deployment.uuid, State.DESTROYING, owner="x", lease_s=0)
    deployment._work.store.deployments.move(deployment.uuid, State.FAILED, owner="x", lease_s=0)
    again = rig.again(deployment)
    again.deploy()
    after = {name: child.record.ready_at for name, child in children(again).items()}
    assert all(after[name] > before[name] for name in before)
    again.destroy()
    assert rig.world.names() == []


def test_recreate_hands_on_the_new_controllers_values(rig):
    deployment = rig.create(rig.block(note="{controller_rabbit_password}"))
    deployment.deploy()
    first = children(deployment)["node-0"].config["note"]
    deployment.destroy()
    assert rig.world.names() == []
    again = rig.again(deployment)
    again.deploy()
    second = children(again)["node-0"].config["note"]
    assert second == again.secret("rabbit_password") != first


def test_destroy_takes_nodes_first_at_the_same_time_and_the_controller_last(rig):
    deployment = rig.create(rig.block(), rig.block())
    deployment.deploy()
    meeting, left = threading.Barrier(2, timeout=20), []

    def cleanup(engine):
        if engine.deployment.handed:
            meeting.wait()
        else:
            left.extend(rig.world.names())

    rig.hooks["cleanup"] = cleanup
    controller = children(deployment)["controller"].uuid[:8]
    deployment.destroy()
    assert left
    assert all(controller in name or name.endswith("-is-known") for name in left)
    assert rig.world.names() == []


def test_node_that_cannot_be_removed_keeps_nothing_else_and_is_named(rig):
    deployment = rig.create(rig.block(), rig.block())
    deployment.deploy()
    stuck = f"rd-{children(deployment)['node-1'].uuid[:8]}-dns"

    def delete(engine, resource):
        if resource.name == stuck:
            raise OSError("the world is stuck")

    rig.hooks["delete"] = delete
    with pytest.raises(LeftOver) as error:
        deployment.destroy()
    assert error.value.brief == "node-1 could not be removed whole"
    assert "the world is stuck" in error.value.details
    assert rig.world.names() == [stuck]
    rig.hooks.clear()
    rig.again(deployment).destroy()
    assert rig.world.names() == []


def test_cancelled_nodes_are_cancelled_and_resumed(rig):
    def deploy(engine):
        if engine.deployment.name.endswith("node-0"):
            engine.deployment._work.cancellation.cancel("enough")

    rig.hooks["deploy"] = deploy
    deployment = rig.create(rig.block(), rig.block())
    with pytest.raises(Cancelled):
        deployment.deploy()
    rig.hooks.clear()
    assert deployment.state is State.CANCELLED
    assert {c.state for n, c in children(deployment).items() if n != "controller"} <= {
        State.CANCELLED, State.READY}
    rig.deployer.cancellation = type(rig.deployer.cancellation)()
    assert rig.deployer.resume(deployment.uuid).state is State.READY
    rig.deployer.destroy(deployment.uuid)
    assert rig.world.names() == []


def test_computes_of_one_name_are_named_before_any_is_admitted(rig):
    deployment = rig.create(rig.block(unnamed=True), rig.block(unnamed=True))
    with pytest.raises(CloudBroken, match="same host name: localhost") as error:
        deployment.deploy()
    assert "node-0: localhost\nnode-1: localhost" in error.value.details


def test_existing_cloud_as_controller_tells_its_address_and_its_admin(rig):
    cloud = {"type": "ExistingCloud", "auth_url": "http://cloud.example.net:5000/v3",
             "admin": {"username": "admin", "password": "its-password", "domain_name": "Default"}}
    deployment = rig.create(
        rig.block(note="{controller_ip} {controller_auth_url} {controller_host}"),
        controller=cloud)
    deployment.deploy()
    node = children(deployment)["node-0"]
    assert node.config["note"] == (
        "cloud.example.net http://cloud.example.net:5000/v3 cloud.example.net")
    assert node.handed["controller_admin_password"] == "its-password"
    assert "controller_rabbit_password" not in node.handed
    # With a project it would be asked.
    assert any("nobody has looked whether 1 computes are up" in e.title
               for e in rig.watcher.events)


def problems(config, *plugins):
    with pytest.raises(ConfigError) as error:
        configs.validate(config, TestRegistry(FakeCloud, *plugins), {})
    return {p.path: p.message for p in error.value.problems}


def test_count_on_named_servers_is_a_mistake(rig):
    named = {"type": "ExistingServers", "credentials": ["root@192.0.2.1"]}
    node = {**rig.block(), "provider": named, "count": 3}
    found = problems(rig.config(node, {**node, "count": 1}))
    assert list(found) == ["nodes[0].count"]
    assert "the same servers for each of the 3 nodes" in found["nodes[0].count"]


@pytest.mark.parametrize("count", [0, -1, "2", 1.5])
def test_count_that_is_no_number_of_nodes_is_a_mistake(rig, count):
    assert list(problems(rig.config({**rig.block(), "count": count}))) == ["nodes[0].count"]


def test_count_belongs_to_nodes_only(rig):
    assert "controller.count" in problems(rig.config(controller={**rig.block(), "count": 2}))


def test_no_nodes_are_a_mistake(rig):
    assert "nodes" in problems({**rig.config(), "nodes": []})


def test_misspelt_value_is_told_at_validation(rig):
    config = rig.config(rig.block(note="{controler_ip} {controller_ip} {contoller_ip}"),
                        controller=rig.block(note="{controller_ip}"))
    found = {w.path: w.message for w in configs.validate(config, TestRegistry(FakeCloud), {})}
    assert sorted(found) == ["controller.note", "nodes[0].note"]
    assert found["nodes[0].note"].startswith("{controler_ip} stays as it is")
    assert all(name in found["nodes[0].note"] for name in HANDED_ON)
    assert "only nodes" in found["controller.note"]


def test_plan_counts_the_nodes(rig):
    config = rig.config({**rig.block(), "count": 63}, rig.block())
    assert list(MultihostEngine.plan(config)) == [
        "deploys the controller, then 64 nodes around it at the same time"]


def test_engine_is_found_by_its_name():
    assert Registry().engine("MultihostEngine") is MultihostEngine
