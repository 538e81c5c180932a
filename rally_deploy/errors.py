"""The error tree. Each error says in brief what happened, the details, and what to do next.

RallyDeployError                exit code 1
  ConfigError                   2   the config file is wrong; holds every problem
  UsageError                    2   the command line is wrong
    UnknownPlugin                   no engine or provider of that name
  Cancelled                     3   ended by the user
  NoSuchDeployment              4
  DeploymentHeld                5   another process works on it
  IllegalTransition             1   that move is not in the table of states
  PluginBroken                  1   a plugin that cannot be imported
  StoreError                    1   the database: unreachable, newer than we are, no space
  SecretsError                  1   the key of the stored secrets is missing or another one
  WaitTimeout                   1   something did not become true in time
  EachFailed                    1   some of many items failed; holds all results and failures
  ResourceConflict              1   a thing of our name that is not ours
  LeftOver                      1   the removal of some resources failed
  CloudBroken                   1   the deployed cloud failed its proof
  HostError                     1   a server; holds which one
    Unreachable                     no route, refused, no answer in time
    AuthenticationFailed
    HostKeyMismatch                 another key than the pinned one
    ConnectionLost                  the link dropped in mid-command
    CommandFailed                   exit status not 0
    CommandTimeout
    NoSpace                         the server's disk is full
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rally_deploy.model import Server


class RallyDeployError(Exception):
    """The root: ``brief`` is one line, ``details`` may be many, ``remedy`` what to do next."""

    exit_code = 1

    def __init__(self, brief: str, details: str = "", remedy: str = "") -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = details
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.brief]
        if self.details:
            parts.append("\n".join("  " + line for line in self.details.rstrip().splitlines()))
        if self.remedy:
            parts.append(f"Try: {self.remedy}")
        return "\n".join(parts)


def told(error: BaseException) -> str:
    """An error as text. One that is not ours has its kind before it: a KeyError says but a key."""
    if isinstance(error, RallyDeployError):
        return str(error)
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def in_one_line(error: BaseException) -> str:
    """What happened and the last of the details, where a traceback, say, tells the reason."""
    if not isinstance(error, RallyDeployError):
        return str(error).partition("\n")[0]
    details = error.details.strip().splitlines()
    return f"{error.brief}: {details[-1].strip()}" if details else error.brief


@dataclass(frozen=True)
class Problem:
    """One mistake in a config: where, what, and what was probably meant."""

    path: str  # controller.provider.credentials[0].host
    message: str
    file: str = ""
    line: int = 0  # from 1; 0: unknown
    column: int = 0
    hint: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        where = f"{place}: " if place else ""
        path = f"{self.path}: " if self.path else ""
        return f"{where}{path}{self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(RallyDeployError):
    """The config is wrong. ``problems`` has every mistake that was found."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem], source: str = "") -> None:
        count = len(problems)
        what = f"{count} mistake{'s' if count != 1 else ''}"
        super().__init__(
            f"{what} in {source or 'the config'}",
            "\n".join(str(problem) for problem in problems),
            "mend what is named, then look again with 'rdeploy validate'; "
            "'rdeploy engines show NAME' and 'rdeploy providers show NAME' list the keys",
        )
        self.problems = tuple(problems)


class UsageError(RallyDeployError):
    exit_code = 2


class UnknownPlugin(UsageError):
    pass


class Cancelled(RallyDeployError):
    """Raised out of a step, a wait or a running command once the user asked to stop."""

    exit_code = 3

    def __init__(self, brief: str = "cancelled") -> None:
        super().__init__(brief)


class NoSuchDeployment(RallyDeployError):
    exit_code = 4

    def __init__(self, wanted: str, candidates: Sequence[str] = ()) -> None:
        if candidates:
            super().__init__(
                f"'{wanted}' is the beginning of more than one deployment",
                "\n".join(candidates),
                "give more characters of the uuid",
            )
        else:
            super().__init__(
                f"no deployment '{wanted}'", remedy="'rdeploy list --all' shows all of them"
            )


class DeploymentHeld(RallyDeployError):
    exit_code = 5

    def __init__(self, name: str, owner: str) -> None:
        super().__init__(
            f"deployment {name} is held by another process ({owner})",
            remedy=f"wait for it, or end it with 'rdeploy cancel {name}'",
        )


class IllegalTransition(RallyDeployError):
    pass


class PluginBroken(RallyDeployError):
    pass


class StoreError(RallyDeployError):
    pass


class SecretsError(RallyDeployError):
    pass


class WaitTimeout(RallyDeployError):
    pass


class ResourceConflict(RallyDeployError):
    pass


class LeftOver(RallyDeployError):
    pass


class CloudBroken(RallyDeployError):
    pass


class EachFailed(RallyDeployError):
    """Some of the items of one ``each`` failed.

    ``results`` maps each item's index to what it returned, ``failures`` to what it raised.
    """

    def __init__(
        self, total: int, results: dict[int, Any], failures: dict[int, tuple[str, Exception]]
    ) -> None:
        first = next(iter(failures.values()))[1]
        lines = [f"{label}: {told(error)}" for label, error in failures.values()]
        super().__init__(
            f"{len(failures)} of {total} failed",
            "\n".join(lines),
            getattr(first, "remedy", ""),
        )
        self.results = results
        self.failures = failures


class PartlyDeployed(RallyDeployError):
    """Some machines of a deployment failed; ``hosts`` are the computes of the others, all up."""

    def __init__(self, brief: str, details: str, remedy: str, hosts: Sequence[str]) -> None:
        super().__init__(brief, details, remedy)
        self.hosts = tuple(hosts)


class HostError(RallyDeployError):
    """Something about one server; ``server`` is that server."""

    def __init__(
        self, server: Server, brief: str, details: str = "", remedy: str = ""
    ) -> None:
        super().__init__(f"{server.label}: {brief}", details, remedy)
        self.server = server


class Unreachable(HostError):
    pass


class AuthenticationFailed(HostError):
    pass


class HostKeyMismatch(HostError):
    pass


class ConnectionLost(HostError):
    pass


class CommandTimeout(HostError):
    pass


class CommandFailed(HostError):
    """A command's exit status was not 0: ``status``, ``stdout`` and ``stderr`` are its own."""

    def __init__(
        self,
        server: Server,
        command: str,
        status: int,
        stdout: str = "",
        stderr: str = "",
        remedy: str = "",
    ) -> None:
        tail = (stderr.strip() or stdout.strip()).splitlines()[-12:]
        super().__init__(
            server,
            f"'{command}' ended with status {status}",
            "\n".join(tail),
            remedy or "the whole output is in 'rdeploy logs'",
        )
        self.command = command
        self.status = status
        self.stdout = stdout
        self.stderr = stderr


class NoSpace(CommandFailed):
    pass
