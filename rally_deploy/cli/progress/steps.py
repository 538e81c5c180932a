"""The steps that run right now, as a tree, from the events and output lines of many threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

from rally_deploy.events import Event, Kind, Output

_ENDS = frozenset({Kind.STEP_DONE, Kind.STEP_FAILED})


@dataclass
class RunningStep:
    """A step between its begin and its end."""

    step: str
    parent: str
    title: str
    server: str
    begun: datetime
    line: str = ""  # the last that was printed in it


class RunningSteps:
    """Thread-safe; an output line costs one look into a dictionary."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[str, RunningStep] = {}

    def event(self, event: Event) -> None:
        with self._lock:
            if event.kind is Kind.STEP_BEGIN:
                self._steps[event.step] = RunningStep(
                    event.step, event.parent_step, event.title, event.server, event.at
                )
            elif event.kind in _ENDS:
                self._steps.pop(event.step, None)

    def output(self, output: Output) -> None:
        step = self._steps.get(output.step)
        if step:
            step.line = output.line

    def depth(self, step: str) -> int:
        """How many running steps are around this one."""
        with self._lock:
            count, at = 0, self._steps.get(step)
            while at and at.parent in self._steps:
                count, at = count + 1, self._steps[at.parent]
            return count

    def tree(self) -> list[tuple[int, RunningStep]]:
        """(depth, step) of each, a step before those in it, the longest running first."""
        with self._lock:
            inside: dict[str, list[RunningStep]] = {}
            for step in self._steps.values():
                parent = step.parent if step.parent in self._steps else ""
                inside.setdefault(parent, []).append(step)
        found: list[tuple[int, RunningStep]] = []

        def walk(parent: str, depth: int) -> None:
            for step in inside.get(parent, ()):
                found.append((depth, step))
                walk(step.step, depth + 1)

        walk("", 0)
        return found
