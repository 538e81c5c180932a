"""What OpenSSH is given of a deployment's servers."""

from rally_deploy.cli.ssh_files import write_ssh_files
from rally_deploy.model import Server


def test_pinned_key_of_a_machine_that_we_made_is_demanded(deployer, deployment):
    server = Server("192.0.2.1", name="web", resource_id=7)
    deployer.store.host_keys.pin(deployment.uuid, server.pinned_as, "ssh-ed25519 AAAA")
    files = write_ssh_files(deployer, deployment.uuid, [server])
    assert "StrictHostKeyChecking yes" in files.config.read_text()
    known = files.config.with_name("known_hosts").read_text()
    assert known.endswith(" ssh-ed25519 AAAA\n")
