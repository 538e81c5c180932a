"""One plain line with its time for every event, for logs and CI."""

from __future__ import annotations

import threading

from rally_deploy.cli.ending import say
from rally_deploy.cli.rendering import duration, iso
from rally_deploy.cli.table import clean
from rally_deploy.estimate import Estimate, in_words
from rally_deploy.events import Event, Kind, Output
from rally_deploy.model import DeploymentRecord

_WORDS = {
    Kind.STATE: "state", Kind.STEP_BEGIN: "begin", Kind.STEP_DONE: "done",
    Kind.STEP_FAILED: "failed", Kind.WAITING: "still", Kind.NOTE: "note",
    Kind.TIMING: "timing", Kind.WARNING: "warning", Kind.ERROR: "error",
}


def event_line(event: Event, left_s: float | None = None) -> str:
    """``2026-01-31T12:00:00Z done    install packages [web-1] 3.1 s``.

    :param left_s: until the end of all; a begin then ends in ``, about 3 min left``.
    """
    parts = [iso(event.at) or "", f"{_WORDS[event.kind]:<7}", clean(event.title)]
    if event.server:
        parts.append(f"[{clean(event.server)}]")
    if event.elapsed_s is not None:
        parts.append(duration(event.elapsed_s))
    if event.detail:
        parts.append("- " + clean(event.detail.strip().splitlines()[0]))
    line = " ".join(parts)
    return line if left_s is None else f"{line}, {in_words(left_s)}"


class Plain:
    """Lines on stderr, whole ones, in the order of the events."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._estimate = Estimate(())

    def begin(self, record: DeploymentRecord, estimate: Estimate) -> None:
        self._estimate = estimate

    def event(self, event: Event) -> None:
        if event.kind is Kind.TIMING:
            return
        with self._lock:
            say(event_line(event, self._estimate.left_at(event)))

    def output(self, output: Output) -> None:
        pass

    def end(self) -> None:
        pass
