"""A server that knows a few commands and fails on any other."""

import io
import tarfile

from rally_deploy.model import Server
from rally_deploy.ssh.base import Result, Shell

LOOK = {
    "uid": "0", "hostname": "ctl", "systemd": "yes", "arch": "amd64", "cores": "2",
    "id": "debian", "version": "12", "title": "Debian GNU/Linux 12 (bookworm)",
    "memory": "24105", "disk": "80000", "installed": "", "addresses": "192.0.2.10 172.24.4.1 ",
    "source": "192.0.2.10",
}


class Silence:
    def line(self, server, line):
        pass

    def check(self):
        pass

    def secrets(self):
        return ()


class FakeShell(Shell):
    """``answers``: part of a command or script -> its output, or (status, output, errors)."""

    def __init__(self, answers=(), server=None):
        super().__init__(server or Server("192.0.2.10", name="ctl"), Silence())
        self.answers = dict(answers)
        self.asked, self.files, self.scripts = [], {}, []

    def execute(self, command, stdin, timeout_s, quiet):
        self.asked.append(command)
        if command.startswith("tar "):
            with tarfile.open(fileobj=io.BytesIO(stdin)) as archive:
                for entry in archive:
                    self.files["/" + entry.name] = (
                        archive.extractfile(entry).read().decode(), entry.mode,
                        f"{entry.uname}:{entry.gname}")
            return Result(command, 0, "", "", 0.0)
        text = command + "\n" + stdin.decode(errors="replace")
        self.scripts.append(text)
        for part, answer in self.answers.items():
            if part in text:
                answer = answer() if callable(answer) else answer
                status, out, err = answer if isinstance(answer, tuple) else (0, answer, "")
                return Result(command, status, out, err, 0.0)
        raise AssertionError(f"unknown command: {text}")


def look(**changed):
    """What the look at a server prints."""
    return "".join(f"{k}={v}\n" for k, v in {**LOOK, **changed}.items())
