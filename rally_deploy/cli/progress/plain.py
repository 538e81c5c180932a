"""One plain line with its time for every event, for logs and CI."""

from __future__ import annotations

import threading

from rally_deploy.cli.ending import say
from rally_deploy.cli.rendering import duration, iso
from rally_deploy.cli.table import clean
from rally_deploy.estimate import Estimate
from rally_deploy.events import Event, Kind, Output
from rally_deploy.model import DeploymentRecord

_WORDS = {
    Kind.STATE: "state", Kind.STEP_BEGIN: "begin", Kind.STEP_DONE: "done",
    Kind.STEP_FAILED: "failed", Kind.WAITING: "still", Kind.NOTE: "note",
    Kind.WARNING: "warning", Kind.ERROR: "error",
}


def event_line(event: Event) -> str:
    """``2026-01-31T12:00:00Z done    install packages [web-1] 3.1 s``."""
    parts = [iso(event.at) or "", f"{_WORDS[event.kind]:<7}", clean(event.title)]
    if event.server:
        parts.append(f"[{clean(event.server)}]")
    if event.elapsed_s is not None:
        parts.append(duration(event.elapsed_s))
    if event.detail:
        parts.append("- " + clean(event.detail.strip().splitlines()[0]))
    return " ".join(parts)


class Plain:
    """Lines on stderr, whole ones, in the order of the events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def begin(self, record: DeploymentRecord, estimate: Estimate) -> None:
        pass

    def event(self, event: Event) -> None:
        with self._lock:
            say(event_line(event))

    def output(self, output: Output) -> None:
        pass

    def end(self) -> None:
        pass
