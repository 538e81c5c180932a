"""What is left on a hypervisor and is in no ledger."""

from rally_deploy.leftovers import in_places
from rally_deploy.serverprovider.virsh.domain_xml import TAG
from tests.unit.serverprovider.virsh.hypervisor import URI

OTHER = "0123abcd-0000-0000-0000-000000000000"


def test_things_of_no_ledger_are_listed_and_those_of_one_are_not(rig, hypervisor, deployer):
    _, provider = rig(amount=1)
    server, = provider.create_servers()
    consoles, = provider.deployment.ledger.alive("virsh_console_logs")
    mark = consoles.facts["mark"]
    log = hypervisor.volume(f"{server.name}-{mark}.log")
    look, = in_places(deployer)
    assert (look.where, look.found, look.error) == (f"libvirt {URI}", [], "")
    names = ["rd-0123abcd-0-vda-01234567", "rd-0123abcd-0-console-89abcdef.log", "others.qcow2"]
    volumes = [hypervisor.volume(name) for name in names]
    domain = hypervisor.domain("renamed")
    domain.setMetadata(2, f"<deployment uuid='{OTHER}'/>", "rdeploy", TAG, 2)
    unmarked = hypervisor.domain("rd-0123abcd-not-ours")
    look, = in_places(deployer)
    assert [(thing.kind, thing.name) for thing in look.found] == [
        ("console log", "rd-0123abcd-console-89abcdef rd-0123abcd-0-console-89abcdef.log"),
        ("domain", "renamed"), ("volume", "rd-0123abcd-0-vda-01234567")]
    for volume in [log, *volumes]:
        volume.delete()
    unmarked.undefine()


def test_hypervisor_of_a_destroyed_deployment_is_looked_at_too(rig, hypervisor, deployer):
    entity, provider = rig(amount=1)
    provider.create_servers()
    entity.destroy()
    left = hypervisor.volume(f"rd-{entity.record.short}-0-vda-01234567")
    look, = in_places(deployer)
    assert [thing.name for thing in look.found] == [left.name()]
    left.delete()


def test_hypervisor_that_is_away_is_told(rig, deployer, tmp_path):
    rig(connection=f"qemu+unix:///system?socket={tmp_path}/none")
    rig()
    errors = {look.where: look.error for look in in_places(deployer)}
    assert "libvirtd does not run" in errors.pop(
        f"libvirt qemu+unix:///system?socket={tmp_path}/none")
    assert errors == {f"libvirt {URI}": ""}


def test_connection_with_a_variable_that_is_not_set_is_told(rig, deployer):
    rig(connection="alex@${env:RDEPLOY_TEST_NOWHERE}")
    look, = in_places(deployer)
    assert "RDEPLOY_TEST_NOWHERE} is not set" in look.error
