"""The certificates of a cloud that we made, as the file that its clients ask for."""

from __future__ import annotations

from dataclasses import replace

from rally_deploy.cli.options import write_private
from rally_deploy.cli.ssh_files import folder_of
from rally_deploy.model import Credentials


def with_ca_file(uuid: str, credentials: Credentials) -> Credentials:
    """Credentials that name such a file, beside the deployment's keys: 'destroy' removes both."""
    if not credentials.https_ca:
        return credentials
    path = folder_of(uuid) / "ca.pem"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, credentials.https_ca.rstrip("\n") + "\n")
    return replace(credentials, https_cacert=str(path))
