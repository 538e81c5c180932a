"""The end of the cloud that many tests have used. Files are run by name: this is the last one."""

import pytest

from tests.functional.conftest import STANDING

pytestmark = [
    pytest.mark.functional, pytest.mark.timeout(2400),
    pytest.mark.xdist_group("cloud"),
]


@pytest.mark.skipif(bool(STANDING), reason="a cloud that was there before stays")
def test_quick_cloud_leaves_nothing_on_the_machine(quick):
    container = quick.rdeploy.json("show", quick.name)["servers"][0]["name"]
    assert container in quick.rdeploy.left_over()
    quick.destroy()
    assert quick.rdeploy.json("list") == []
    assert quick.rdeploy.left_over() == []
