"""A server that knows a few commands and fails on any other."""

from rally_deploy.model import Server
from rally_deploy.ssh.base import NoObserver, Result, Shell


class FakeShell(Shell):
    """``answers``: part of a command or its input -> its output, or (status, output, errors).

    ``asked`` are the command lines, ``scripts`` the same with what went in.
    """

    def __init__(self, answers=(), server=None):
        super().__init__(server or Server("192.0.2.10", name="ctl"), NoObserver())
        self.answers = dict(answers)
        self.asked, self.scripts = [], []

    def execute(self, command, stdin, timeout_s, quiet):
        self.asked.append(command)
        text = command + "\n" + stdin.decode(errors="replace")
        self.scripts.append(text)
        for part, answer in self.answers.items():
            if part in text:
                answer = answer() if callable(answer) else answer
                status, out, err = answer if isinstance(answer, tuple) else (0, answer, "")
                return Result(command, status, out, err, 0.0)
        raise AssertionError(f"unknown command: {text}")
