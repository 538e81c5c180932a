"""Fakes of what a shell is given, and a shell that runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rally_deploy.model import Server
from rally_deploy.ssh.base import Result, Shell


class Watcher:
    """An observer that keeps all lines; set ``error`` to end what runs."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self.lines: list[str] = []
        self.error: Exception | None = None
        self.on_line: Callable[[str], None] | None = None
        self._secrets = secrets

    def line(self, server: Server, line: str) -> None:
        self.lines.append(line)
        if self.on_line:
            self.on_line(line)

    def check(self) -> None:
        if self.error:
            raise self.error

    def secrets(self) -> Sequence[str]:
        return self._secrets


class PinnedKeys(dict[str, str]):
    """Host keys as a deployment pins them."""

    def pin(self, identity: str, key: str) -> str:
        return self.setdefault(identity, key)


class ScriptedShell(Shell):
    """Answers every command by ``answer(command, stdin) -> (status, stdout, stderr)``."""

    def __init__(
        self,
        server: Server,
        answer: Callable[[str, bytes], tuple[int, str, str]] = lambda command, stdin: (0, "", ""),
        observer: Watcher | None = None,
    ) -> None:
        super().__init__(server, observer or Watcher())
        self._answer = answer
        self.commands: list[str] = []
        self.stdins: list[bytes] = []

    def execute(self, command: str, stdin: bytes, timeout_s: float, quiet: bool) -> Result:
        self.commands.append(command)
        self.stdins.append(stdin)
        status, stdout, stderr = self._answer(command, stdin)
        return Result(command, status, stdout, stderr, 0.0)


LOCAL = Server(host="localhost", connection="local")
