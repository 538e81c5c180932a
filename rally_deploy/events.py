"""What happens while a deployment moves: steps that begin and end, notes, and output lines.

Steps and notes are stored and shown; output lines go to a log file per server and to whoever
watches, never into the database.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Kind(str, enum.Enum):
    """What an event tells."""

    STATE = "state"  # the deployment moved; title is the new state
    STEP_BEGIN = "step-begin"
    STEP_DONE = "step-done"
    STEP_FAILED = "step-failed"  # detail is the error's text
    WAITING = "waiting"  # for what a step still waits, and why
    NOTE = "note"
    TIMING = "timing"  # how long one kind of work took in all; for programs only
    WARNING = "warning"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Event:
    """One thing that happened, with every secret masked."""

    deployment_uuid: str
    at: datetime  # UTC
    kind: Kind
    title: str
    server: str = ""  # the server's label
    step: str = ""  # identifies a step's begin and end
    parent_step: str = ""
    elapsed_s: float | None = None  # of a step that ended, and of a timing
    detail: str = ""
    id: int = 0  # given by the store, rising


@dataclass(frozen=True)
class Output:
    """One line that a command printed."""

    deployment_uuid: str
    server: str
    step: str
    line: str


class Watcher(Protocol):
    """Somebody who looks on live; called from many threads, must not block for long."""

    def event(self, event: Event) -> None: ...

    def output(self, output: Output) -> None: ...


class NoWatcher:
    """Looks away."""

    def event(self, event: Event) -> None:
        pass

    def output(self, output: Output) -> None:
        pass
