"""An image's file: who has it in hand, and links that break."""

import time

import pytest

from rally_deploy.serverprovider.openstack import download
from rally_deploy.serverprovider.openstack.download import Checksum, ImageBusy
from rally_deploy.serverprovider.openstack.refusal import Patience
from tests.unit.serverprovider.openstack.conftest import MD5

SUM = Checksum.parse(MD5)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def patience(notes):
    patience = Patience(lambda seconds: time.sleep(seconds / 10), lambda: None, notes.append)
    patience.begin(30)
    return patience


def test_image_in_another_hand_is_waited_for_until_time_is_over(patience, notes):
    with download.lock(SUM, patience, "first"):
        patience.begin(0.3)
        begin = time.monotonic()
        with pytest.raises(ImageBusy, match="another process") as caught, \
                download.lock(SUM, patience, "second"):
            pass
    assert 0.2 < time.monotonic() - begin < 5
    assert "for deployment first" in caught.value.details
    assert "rdeploy resume" in caught.value.remedy
    assert len(notes) == 1


def test_image_whose_holder_is_done_is_ours_with_our_name(patience):
    with download.lock(SUM, patience, "a deployment with a long name"):
        pass
    with download.lock(SUM, patience, "short") as folder:
        text = (folder / f"{MD5}.lock").read_text()
    assert text.endswith("for deployment short")
    assert "long" not in text
