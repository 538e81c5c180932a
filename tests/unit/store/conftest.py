import subprocess
import sys

import pytest

from rally_deploy.store import Store
from rally_deploy.vault import Vault


@pytest.fixture(scope="session")
def vault():
    return Vault("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")


@pytest.fixture(scope="session")
def dead_owner():
    """The identity of a process that has ended."""
    code = "from rally_deploy import lease; print(lease.owner_id())"
    return subprocess.check_output([sys.executable, "-c", code], text=True).strip()


@pytest.fixture
def empty_url(tmp_path):
    return f"sqlite:///{tmp_path / 'empty.sqlite'}"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'rdeploy.sqlite'}"


@pytest.fixture
def store(url, vault):
    store = Store.open(url, vault)
    yield store
    store.close()
