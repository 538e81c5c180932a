import os

import pytest
from rd_hello import FolderProvider

from rally_deploy.testing.contract import ProviderContract


class TestFolderProvider(ProviderContract):
    plugin = FolderProvider

    @pytest.fixture
    def block(self, tmp_path):
        (tmp_path / "folders").mkdir()
        return {"type": "FolderProvider", "folder": str(tmp_path / "folders"), "amount": 3}

    def leftovers(self, block):
        return os.listdir(block["folder"])
