"""What a cloud does wrong: nothing is made twice, nothing is left, and there is a clear end."""

import re
import time

import pytest

from rally_deploy.errors import LeftOver
from rally_deploy.serverprovider.openstack import refusal
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal

POSTS = ["/servers", "/os-keypairs", "/security-groups", "/security-group-rules", "/floatingips",
         "/images", "/volumes"]
PASSING = [401, 409, 429, 500, 503, "cut before", "cut after", "late"]


def names(cloud):
    """All things that are there once each is named without its number."""
    return [re.sub(r"port of .*", "port", thing) for thing in cloud.things()]


@pytest.fixture
def whole(provided):
    """A deployment that makes one of each thing."""
    return provided(amount=1, floating_network="public", volume_size_gb=2)


def expected(entity):
    tag = f"rd-{entity.record.short}"
    return sorted([
        f"{tag}-it-000", f"{tag}-it-000", f"{tag}-ssh", f"{tag}-key", "guest", "port",
        f"{tag}-it-000 rdeploy:{entity.uuid}",
    ])


@pytest.mark.parametrize("act", PASSING)
def test_each_post_fails_once_and_makes_one_thing(cloud, whole, act):
    entity, provider = whole
    for path in POSTS:
        cloud.fail("POST", f"{path}$", act, headers={"Retry-After": "1"} if act == 429 else {})
    assert len(provider.create_servers()) == 1
    assert names(cloud) == expected(entity)
    assert [fault for fault in cloud.faults if fault.times] == []
    provider.destroy_servers()
    assert cloud.things() == []


@pytest.mark.parametrize("act", [429, 500, 503, "cut before", "cut after"])
def test_each_other_call_of_a_create_fails_once_and_does_no_harm(cloud, whole, act):
    entity, provider = whole
    for method, path in [
        ("POST", "/auth/tokens"), ("GET", "/servers/detail"), ("GET", "/flavors/detail"),
        ("GET", "/networks"), ("PUT", "/file"), ("PUT", "/floatingips/"),
    ]:
        cloud.fail(method, path, act)
    assert len(provider.create_servers()) == 1
    assert names(cloud) == expected(entity)
    assert [fault for fault in cloud.faults if fault.times] == []
    provider.destroy_servers()
    assert cloud.things() == []


@pytest.mark.parametrize("act", [401, 409, 429, 500, 503, "cut before", "cut after"])
def test_each_removal_fails_once_and_is_done_all_the_same(cloud, whole, act):
    provider = whole[1]
    provider.create_servers()
    for path in ("/servers/", "/os-keypairs/", "/security-groups/", "/floatingips/", "/images/",
                 "/volumes/"):
        cloud.fail("DELETE", path, act)
    provider.destroy_servers()
    assert cloud.things() == []
    assert [fault for fault in cloud.faults if fault.times] == []


def test_post_after_a_lost_answer_is_not_sent_again(cloud, whole):
    cloud.fail("POST", "/servers$", "cut after")
    whole[1].create_servers()
    assert cloud.count("POST", "/servers$") == 1


def test_server_of_a_request_believed_lost_is_found_as_a_double_and_removed(cloud, whole):
    """Its request takes effect only after it was looked for and sent again."""
    entity, provider = whole
    provider.settle_s = 0.0
    cloud.builds = 4
    cloud.fail("POST", "/servers$", "late")
    provider.create_servers()
    assert cloud.count("POST", "/servers$") <= 2
    provider.destroy_servers()
    assert cloud.things() == []


def test_post_is_not_sent_again_if_time_was_over_while_the_first_was_looked_for(provided):
    provider = provided()[1]
    provider._patience.begin(1.6)
    posts = []

    def post():
        posts.append(1)
        raise CloudRefusal("no answer")

    with pytest.raises(CloudRefusal, match="no answer"):
        provider._cloud.once(post, lambda: None, 30.0)
    assert len(posts) == 1


def test_upload_that_breaks_after_a_long_time_is_tried_again(cloud, provided, monkeypatch):
    monkeypatch.setattr(refusal, "PATIENCE_S", 1.2)
    cloud.fail("PUT", "/file$", "cut before", delay_s=1.3, times=2)
    provided(amount=1)[1].create_servers()
    assert cloud.count("PUT", "/file$") == 3


def test_upload_that_breaks_each_time_ends(cloud, provided, monkeypatch):
    monkeypatch.setattr(refusal, "PATIENCE_S", 1.2)
    provider = provided(amount=1)[1]
    cloud.fail("PUT", "/file$", "cut before", times=1000)
    with pytest.raises(CloudRefusal, match="no answer"):
        provider.create_servers()
    assert 6 <= cloud.count("PUT", "/file$") <= 9


def test_retry_after_is_kept(cloud, whole):
    cloud.fail("POST", "/os-keypairs$", 429, headers={"Retry-After": "2"})
    whole[1].create_servers()
    assert [s for s in whole[1].slept if 2 <= s <= 2.5]


def test_service_that_stays_down_ends_at_the_deadline_with_its_answer(cloud, provided):
    provider = provided(amount=1, timeout_s=10)[1]
    cloud.fail("GET", "/flavors/detail", 503, times=1000)
    begin = time.monotonic()
    with pytest.raises(CloudRefusal, match="flavors/detail was answered with 503") as caught:
        provider.create_servers()
    assert time.monotonic() - begin < 15
    assert "resume" in caught.value.remedy
    assert cloud.things() == []


def test_service_that_stays_broken_is_asked_a_few_times_only(cloud, provided):
    provider = provided(amount=1)[1]
    cloud.fail("POST", "/servers$", 500, times=1000)
    with pytest.raises(CloudRefusal, match="answered with 500") as caught:
        provider.create_servers()
    assert "a fault of the test" in caught.value.details
    assert cloud.count("POST", "/servers$") == 4
    cloud.faults.clear()
    provider.destroy_servers()
    assert cloud.things() == []


def test_refusal_that_cannot_pass_is_told_at_once(cloud, provided):
    provider = provided(amount=1, timeout_s=1800)[1]
    cloud.fail("POST", "/servers$", 403)
    with pytest.raises(CloudRefusal, match="answered with 403"):
        provider.create_servers()
    assert cloud.count("POST", "/servers$") == 1


def test_quota_that_neutron_refuses_is_not_tried_again(cloud, provided):
    provider = provided(amount=3, floating_network="public")[1]
    provider.deployment.each = lambda work, items, limit=None: [work(item) for item in items]
    cloud.quota["floatingip"] = {"limit": 2, "used": -5, "reserved": 0}
    with pytest.raises(CloudRefusal, match="409") as caught:
        provider.create_servers()
    assert "Quota exceeded" in caught.value.details
    assert cloud.count("POST", "/floatingips$") == 3


def test_wrong_password_is_told_before_anything_is_made(cloud, provided):
    with pytest.raises(CloudRefusal, match="Keystone refuses this user") as caught:
        provided(password="wrong")[1].create_servers()
    assert "password" in caught.value.remedy
    assert cloud.things() == []


def test_cloud_that_lets_us_in_no_more_is_told_once_at_destroy(cloud, provided):
    entity, provider = provided(amount=3)
    provider.create_servers()
    cloud.users["admin"] = "changed"
    again = entity.provider(provider.config)
    with pytest.raises(LeftOver, match=r"resource\(s\) on the cloud could not be removed"):
        again.destroy_servers()
    cloud.users["admin"] = "sesame"
    entity.provider(provider.config).destroy_servers()
    assert cloud.things() == []
