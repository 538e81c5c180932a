"""cloud-init of real Debians in servers of the cloud that DistroEngine makes."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from rally_deploy.serverprovider.openstack.tagged import list_tagged
from tests.functional.conftest import STANDING
from tests.functional.debian_image import debian_on
from tests.functional.openstack_rig import Whole

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(2400), pytest.mark.xdist_group("cloud"),
    pytest.mark.skipif("fake" in STANDING, reason="servers of Nova's fake driver have no Debian"),
]

#: It takes a while, and has a value that its schema does not allow.
SLOW = """#cloud-config
final_message: 5
runcmd:
- echo rdt is at work
- sleep 20
- echo all done >/root/effect
"""

#: The first error is one of an early stage, when the last one has not even begun.
BROKEN = """#cloud-config
bootcmd:
- exit 3
runcmd:
- sleep 20
- "echo 'rdt: there is no license' >&2"
- exit 7
"""


class Debian:
    """A deployment of one Debian that is told this, by the real rdeploy."""

    def __init__(self, cloud, folder, debian, userdata):
        self.cloud = cloud
        self.whole = Whole(folder, cloud.block(
            **{**debian, "image": {**debian["image"], "userdata": userdata}},
            floating_network="public", wait_for_ssh=True, timeout_s=1800))
        self.rdeploy = self.whole.rdeploy

    def create(self):
        self.done = self.whole.create(check=False, timeout=2000)

    def on_cloud(self):
        """Kinds of what carries the tag of this deployment."""
        short = self.rdeploy.json("show", "it")["uuid"][:8]
        return sorted({t.kind for t in list_tagged(self.cloud.client) if t.tag == short})


@pytest.fixture(scope="module")
def created(cloud, tmp_path_factory):
    """(slow, broken), created at the same time; at the end nothing is left of them."""
    folder = tmp_path_factory.mktemp("cloud-init")
    with debian_on(cloud, folder, lean=True) as debian:
        both = (Debian(cloud, folder / "slow", debian, SLOW),
                Debian(cloud, folder / "broken", debian, BROKEN))
        try:
            with ThreadPoolExecutor() as pool:
                list(pool.map(Debian.create, both))
            yield both
        finally:
            for one in both:
                one.whole.destroy()
        assert [one.on_cloud() for one in both] == [[], []]


def test_create_returns_when_cloud_init_has_done_all_and_tells_what_it_got_over(created):
    slow, _ = created
    assert slow.done.returncode == 0, slow.done.stderr
    server, = slow.rdeploy.json("show", "it")["servers"]

    def on_it(*command):
        return slow.rdeploy("ssh", "it", server["name"], "--", *command).stdout.strip()

    assert on_it("cat", "/root/effect") == "all done"
    assert on_it("cloud-init", "status") == "status: done"
    said = slow.done.stderr
    assert re.search("^.* begin +wait for the end of their cloud-init$", said, re.MULTILINE)
    assert re.search("^.* warning cloud-init: warning: Invalid cloud-config", said, re.MULTILINE)
    assert "rdt is at work" in slow.rdeploy("logs", "it").stdout


def test_errors_of_all_stages_fail_the_create_with_what_was_written_last(created):
    _, broken = created
    assert broken.done.returncode == 1
    said = broken.done.stderr
    assert "cloud-init of rd-" in said
    assert "has ended with errors" in said
    assert "'bootcmd'" in said
    assert "'scripts-user'" in said  # of the last stage
    assert "rdt: there is no license" in said
    assert "mend 'userdata'" in said
    assert broken.rdeploy.json("show", "it")["state"] == "failed"
    assert "server" in broken.on_cloud()
