"""Errors of libcloud that another try does not mend."""

import pytest
from libcloud.common.exceptions import BaseHTTPError

from rally_deploy.serverprovider.libcloud.cloud import CloudFailed


def test_login_that_was_never_let_in_is_not_tried_again(provided):
    _, provider = provided()
    asked = []

    def refuse(driver):
        asked.append(driver)
        raise BaseHTTPError(401, "Unauthorized")

    with pytest.raises(CloudFailed, match="did not list sizes: Unauthorized"):
        provider._cloud.ask("list sizes", refuse)
    assert len(asked) == 1


def test_fault_that_the_cloud_does_not_tell_hides_no_error(provided, cloud):
    _, provider = provided()
    cloud.fault("boot", "error")
    cloud.fault("ex_get_node_details", "refused")
    with pytest.raises(CloudFailed, match="could not start .*server-0: it says no more"):
        provider.create_servers()


@pytest.mark.parametrize("fault", ["no service", "nova has no service"])
def test_cloud_without_a_service_for_volumes_is_told(provided, cloud, fault):
    _, provider = provided(volumes={"count": 1, "size": 1})
    cloud.fault("list_volumes", fault)
    with pytest.raises(CloudFailed, match="no service to list volumes") as caught:
        provider.create_servers()
    assert "leave out" in caught.value.remedy
    assert provider.deployment.ledger.alive() == []
