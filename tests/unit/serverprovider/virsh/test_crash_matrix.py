"""Kill at every call of libvirt, then destroy: nothing of ours left, nothing foreign touched."""

import pytest

from rally_deploy.model import State
from rally_deploy.testing.contract import open_deployment
from tests.unit.serverprovider.virsh.killing import CountingCalls, Killed

FOREIGN = ["foreign", "rd-00000000-0", "rd-00000000-0-vda-00000000"]


@pytest.fixture
def foreign(hypervisor):
    """Things of others, of which some look like another deployment's."""
    for name in FOREIGN[:2]:
        hypervisor.domain(name)
    hypervisor.volume(FOREIGN[2])


@pytest.fixture
def run(deployer, hypervisor, libvirt, monkeypatch):
    """Works on a deployment while libvirt's calls are counted, and killed at one of them."""
    def run(work, kill_at=0):
        calls = CountingCalls(libvirt.libvirtmod, kill_at)
        with monkeypatch.context() as patch:
            patch.setattr(libvirt, "libvirtmod", calls)
            try:
                work()
            except Killed:
                assert kill_at
        return calls.points

    run.new = lambda: open_deployment(deployer, {
        "type": "FakeEngine", "world": "/nonexistent", "provider": hypervisor.block})
    return run


def create(entity):
    def work():
        entity.move(State.PROVISIONING)
        entity.provider(entity.config["provider"]).create_servers()
    return work


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("foreign")
def test_create_killed_at_every_call_destroy_leaves_only_foreign_things(run, hypervisor, deployer):
    whole = run.new()
    points = run(create(whole))
    whole.destroy()
    assert points >= 60
    for point in range(1, points + 1):
        entity = run.new()
        run(create(entity), point)
        entity.destroy()
        assert hypervisor.names() == FOREIGN, f"killed at {point} of {points}"
        assert deployer.store.resources.list(entity.uuid, alive=True) == []
    assert not hypervisor.lookup("foreign").isActive()


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("foreign")
def test_destroy_killed_at_every_call_then_destroy_leaves_only_foreign_things(run, hypervisor):
    whole = run.new()
    create(whole)()
    points = run(whole.destroy)
    for point in range(1, points + 1, 2):
        entity = run.new()
        create(entity)()
        run(entity.destroy, point)
        entity.destroy()
        assert hypervisor.names() == FOREIGN, f"killed at {point} of {points}"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_create_killed_then_resumed_makes_nothing_twice(run, hypervisor, share):
    whole = run.new()
    points = run(create(whole))
    whole.destroy()
    entity = run.new()
    run(create(entity), int(points * share))
    create(entity)()
    ours = [name for name in hypervisor.ours() if entity.record.short in name]
    assert len(ours) == 4
    assert all(hypervisor.lookup(f"rd-{entity.record.short}-{n}").isActive() for n in (0, 1))
    entity.destroy()
    assert hypervisor.ours() == []
