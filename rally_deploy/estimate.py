"""How much longer a run takes, from the events of past runs; silence where nothing is known.

A past run is a list of milestones: how long it still went on after a step of that title first
began. A step of the same title in the present run says then how much is left, however much runs
in parallel. Of several past runs the median counts.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

from rally_deploy.events import Event, Kind
from rally_deploy.model import DeploymentRecord, State

if TYPE_CHECKING:
    from rally_deploy.store import Store

#: More past runs than this say nothing new.
_RUNS = 5
#: So late may even the shortest step be.
_LATE_S = 5.0

#: milestone -> seconds that the run still took from there on, in the order of its time
Run = Mapping[str, float]


def milestone(event: Event) -> str:
    """What a step is called in any deployment: our tag and numbers of its title left out."""
    return re.sub(r"rd-[0-9a-f]{8}|\d+", "#", event.title)


def past_run(events: Sequence[Event], uuid: str, start: State, end: State) -> Run | None:
    """The last run of this deployment from one state to another; None if it never got there."""
    began: datetime | None = None
    run: dict[str, datetime] = {}
    finished: Run | None = None
    for event in events:
        own = event.kind is Kind.STATE and event.deployment_uuid == uuid
        if own and event.title == start:
            began, run = event.at, {"": event.at}
        elif own and event.title == end and began:
            finished = {key: (event.at - at).total_seconds() for key, at in run.items()}
            began = None
        elif event.kind is Kind.STEP_BEGIN and began:
            run.setdefault(milestone(event), event.at)
    return finished


def past_runs(store: Store, record: DeploymentRecord, start: State, end: State) -> list[Run]:
    """The latest runs of deployments like this one: of the same config, else of its engine."""
    others = [
        other for other in store.deployments.list(all=True)
        if other.engine == record.engine and other.parent_uuid is None and other.started_at
    ]
    others.sort(key=lambda other: other.updated_at, reverse=True)
    config = store.deployments.config(record.uuid)
    same: list[Run] = []
    alike: list[Run] = []
    for other in others[: 4 * _RUNS]:
        run = past_run(store.events.list(other.uuid, children=True), other.uuid, start, end)
        if run:
            is_same = store.deployments.config(other.uuid) == config
            (same if is_same else alike).append(run)
        if len(same) == _RUNS:
            break
    return (same or alike)[:_RUNS]


class Estimate:
    """Fed with the events of the present run; thread-safe."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._runs = list(runs)
        self._lock = threading.Lock()
        self._seen: dict[str, datetime] = {}

    def event(self, event: Event) -> None:
        if event.kind is Kind.STEP_BEGIN:
            with self._lock:
                self._seen.setdefault(milestone(event), event.at)
        elif event.kind is Kind.STATE:
            with self._lock:
                self._seen.setdefault("", event.at)

    def left_at(self, event: Event) -> float | None:
        """Tell it this event; returns what is left if that is a step's begin."""
        self.event(event)
        return self.left_s(event.at) if event.kind is Kind.STEP_BEGIN else None

    def left_s(self, now: datetime) -> float | None:
        """Seconds that are probably left; None if no past run is like this one."""
        with self._lock:
            seen = dict(self._seen)
        answers = [left for run in self._runs if (left := _left(run, seen, now)) is not None]
        return median(answers) if answers else None


def _left(run: Run, seen: Mapping[str, datetime], now: datetime) -> float | None:
    reached = [key for key in run if key in seen]
    if not reached:
        return None
    # The one that was nearest to the end then; what lasts longer now than then is at its end.
    last = min(reached, key=lambda key: run[key])
    coming = max((run[key] for key in run if run[key] < run[last]), default=0.0)
    since = (now - seen[last]).total_seconds()
    expected = run[last] - coming
    if since <= expected:
        return run[last] - since
    # Late, so that run says less and less of this one; at twice its time, nothing.
    return coming if coming and since <= 2 * expected + _LATE_S else None


def in_words(left_s: float) -> str:
    """``about 3 min left``: no more digits than the past can give."""
    if left_s < 10:
        return "a few seconds left"
    if left_s < 55:
        return f"about {max(10, round(left_s, -1)):.0f} s left"
    if left_s < 5400:
        return f"about {max(1, round(left_s / 60))} min left"
    return f"about {left_s / 3600:.1f} h left"
