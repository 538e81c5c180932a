"""A server that also takes files, and what it says of itself."""

import io
import tarfile

from rally_deploy.ssh.base import Result
from tests.unit.engines import fake_shell

LOOK = {
    "uid": "0", "hostname": "ctl", "systemd": "yes", "arch": "amd64", "cores": "2",
    "id": "debian", "version": "12", "title": "Debian GNU/Linux 12 (bookworm)",
    "memory": "24105", "disk": "80000", "installed": "", "addresses": "192.0.2.10 172.24.4.1 ",
    "source": "192.0.2.10",
}


class FakeShell(fake_shell.FakeShell):
    """Keeps the files that are sent to it: path -> (text, mode, owner)."""

    def __init__(self, answers=(), server=None):
        super().__init__(answers, server)
        self.files = {}

    def execute(self, command, stdin, timeout_s, quiet):
        if not command.startswith("tar "):
            return super().execute(command, stdin, timeout_s, quiet)
        self.asked.append(command)
        with tarfile.open(fileobj=io.BytesIO(stdin)) as archive:
            for entry in archive:
                self.files["/" + entry.name] = (
                    archive.extractfile(entry).read().decode(), entry.mode,
                    f"{entry.uname}:{entry.gname}")
        return Result(command, 0, "", "", 0.0)


def look(**changed):
    """What the look at a server prints."""
    return "".join(f"{k}={v}\n" for k, v in {**LOOK, **changed}.items())
