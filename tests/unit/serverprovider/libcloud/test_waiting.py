"""Servers that do not come up as they should: what is told, and when it is given up."""

import time

import pytest

from rally_deploy.errors import AuthenticationFailed, CommandFailed, Unreachable
from rally_deploy.serverprovider.libcloud import waiting
from rally_deploy.serverprovider.libcloud.cloud import CloudFailed

ASKS_FOR_UBUNTU = 'Please login as the user "ubuntu" rather than the user "root".'


def refused(server):
    raise AuthenticationFailed(server, "no key is taken")


def asked_for_another(server):
    raise CommandFailed(server, "true", 142, stdout=ASKS_FOR_UBUNTU)


@pytest.mark.parametrize(("answer", "said"), [
    (refused, "no key is taken"), (asked_for_another, ASKS_FOR_UBUNTU)])
def test_login_that_goes_on_being_refused_ends_and_names_the_user(
    provided, shells, monkeypatch, answer, said
):
    monkeypatch.setattr(waiting, "_REFUSED_FOR_S", 0.3)
    shells.answer = answer
    _, provider = provided()
    with pytest.raises(CloudFailed, match="refuses the login of root") as caught:
        provider.create_servers()
    assert said in caught.value.details
    assert "'login_user'" in caught.value.remedy


def test_login_that_is_refused_until_the_key_is_there_succeeds(provided, shells):
    tries = []

    def answer(server):
        tries.append(server)
        if len(tries) < 4:
            (refused if len(tries) % 2 else asked_for_another)(server)

    shells.answer = answer
    assert provided()[1].create_servers()
    assert len(tries) == 4


def test_server_that_starts_anew_between_refusals_is_waited_for(provided, shells, monkeypatch):
    monkeypatch.setattr(waiting, "_REFUSED_FOR_S", 0.5)
    tries = []

    def answer(server):
        tries.append(server)
        if len(tries) == 2:
            time.sleep(0.6)  # longer than refusals are taken for, from the first one
            raise Unreachable(server, "it starts anew")
        if len(tries) < 4:
            refused(server)

    shells.answer = answer
    assert provided()[1].create_servers()
    assert len(tries) == 4


def test_server_with_private_addresses_only_is_told_soon_and_named_at_the_end(
    provided, cloud, recorder, monkeypatch
):
    monkeypatch.setattr(waiting, "_ADDRESS_S", 0.5)
    entity, provider = provided(timeout_s=10)
    provider.config = {**provider.config, "timeout_s": 2}
    cloud.fault("boot", "private")
    with pytest.raises(CloudFailed, match="do not run with an address of public") as caught:
        provider.create_servers()
    told = (f"rd-{entity.record.short}-server-0: state running, public_ips none, "
            "private_ips 10.0.0.1")
    assert caught.value.details == told
    assert "'ssh_interface'" in caught.value.remedy
    warnings = [event.title for event in recorder.events if str(event.kind) == "warning"]
    assert warnings == [f"{told}; it is waited for, as 'ssh_interface' is public_ips"]


def test_server_that_is_never_listed_is_named(provided, cloud):
    entity, provider = provided(timeout_s=10)
    provider.config = {**provider.config, "timeout_s": 1}
    cloud.fault("boot", "unlisted")
    with pytest.raises(CloudFailed, match="1 of 1 servers do not run") as caught:
        provider.create_servers()
    assert caught.value.details == f"rd-{entity.record.short}-server-0: the cloud does not list it"
