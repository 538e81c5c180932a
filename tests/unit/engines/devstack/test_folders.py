"""DEST and DATA_DIR: where stack.sh will put what it makes, known before it runs."""

import pytest

from rally_deploy.engines.devstack import folders
from rally_deploy.errors import RallyDeployError

OWN = ("/opt/stack", "/opt/stack/data")


@pytest.mark.parametrize(("local_conf", "found"), [
    ({}, OWN),
    ({"VIRT_DRIVER": "fake"}, OWN),
    # DevStack has set DATA_DIR before it reads local.conf.
    ({"DEST": "/srv/x"}, ("/srv/x", "/opt/stack/data")),
    ({"DEST": "/srv/x", "DATA_DIR": "$DEST/data"}, ("/srv/x", "/srv/x/data")),
    ({"DATA_DIR": "${DEST}/data", "DEST": "/srv/x"}, ("/srv/x", "/opt/stack/data")),
    ({"DEST": "$HOME/x", "DATA_DIR": "~/d/"}, ("/home/ops/x", "/home/ops/d")),
    ({"[[local|localrc]]": {"DEST": "//srv//x"}}, ("/srv/x", "/opt/stack/data")),
    ({"[[local|localrc]]": "DATA_DIR='/srv/d' # here"}, ("/opt/stack", "/srv/d")),
    ('[[local|localrc]]\nexport DEST="/srv/x"\n[[post-config|$X]]\nDEST=no\n',
     ("/srv/x", "/opt/stack/data")),
])
def test_folders_are_those_that_bash_would_have(local_conf, found):
    known = folders.of(local_conf, "/home/ops")

    assert (known.dest, known.data) == found
    assert known.elsewhere == sorted(set(found) - set(OWN))


def test_folder_that_only_the_server_knows_is_refused_before_anything_runs():
    with pytest.raises(RallyDeployError, match="not known where DevStack") as caught:
        folders.of({"DEST": "$(mktemp -d)"}, "/home/ops")

    assert "DEST must be an absolute path" in caught.value.details
