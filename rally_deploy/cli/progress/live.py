"""The live view on a terminal: what ended stays as a line, what runs is a tree below.

One thread of its own draws, a few times a second, whatever the number of events and output lines
in between: those who tell of them never wait for the terminal.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime, timezone

from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.text import Text

from rally_deploy.cli.progress.steps import RunningStep, RunningSteps
from rally_deploy.cli.progress.text import plain_text
from rally_deploy.cli.rendering import age, duration
from rally_deploy.cli.table import clean
from rally_deploy.estimate import Estimate, in_words
from rally_deploy.events import Event, Kind, Output
from rally_deploy.model import DeploymentRecord

_FRAME_S = 0.125
#: What is behind, of an output line, no terminal has room for.
_LONGEST = 2000
#: A nested step that was shorter leaves no line behind.
_WORTH_A_LINE_S = 2.0


class Live:
    """Draws on stderr."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._unicode = (self._console.encoding or "").lower().startswith("utf")
        self._steps = RunningSteps()
        self._ended: deque[Text] = deque()
        self._estimate = Estimate(())
        self._uuid, self._name, self._state = "", "", ""
        self._since = datetime.now(timezone.utc)
        self._frame = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, record: DeploymentRecord, estimate: Estimate) -> None:
        self._uuid, self._name, self._state = record.uuid, record.name, str(record.state)
        self._estimate = estimate
        self._since = datetime.now(timezone.utc)
        self._thread = threading.Thread(target=self._draw, name="live", daemon=True)
        self._thread.start()

    def event(self, event: Event) -> None:
        depth = self._steps.depth(event.step) if event.kind is Kind.STEP_DONE else 0
        self._steps.event(event)
        self._estimate.event(event)
        line = self._line_of(event, depth)
        if line is not None:
            self._ended.append(line)

    def output(self, output: Output) -> None:
        self._steps.output(output)

    def end(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=2)

    def _line_of(self, event: Event, depth: int) -> Text | None:
        """The line that stays on the screen; None for what needs none."""
        good, bad, note = ("✓", "✗", "•") if self._unicode else ("+", "x", "-")
        if event.kind is Kind.STATE:
            if event.deployment_uuid != self._uuid:
                return Text.assemble((f"a part of it: {event.title}", "dim"))
            self._state = event.title
            return Text.assemble((f"{self._name}: {event.title}", "bold"))
        if event.kind is Kind.STEP_DONE:
            if depth and (event.elapsed_s or 0) < _WORTH_A_LINE_S:
                return None
            return _step_line(f"{good} ", "green", event)
        if event.kind is Kind.STEP_FAILED:
            return _step_line(f"{bad} ", "red", event)
        if event.kind in (Kind.STEP_BEGIN, Kind.TIMING):
            return None
        styles = {
            Kind.WAITING: "cyan", Kind.NOTE: "cyan", Kind.WARNING: "yellow", Kind.ERROR: "red",
        }
        return _step_line(f"{note} ", styles[event.kind], event)

    def _draw(self) -> None:
        try:
            with RichLive(
                console=self._console, auto_refresh=False, transient=True,
                vertical_overflow="crop", redirect_stdout=False, redirect_stderr=False,
            ) as live:
                while not self._stop.wait(_FRAME_S):
                    self._print_ended()
                    live.update(self._picture(), refresh=True)
                live.update(Text(""), refresh=True)
                self._print_ended()
        except OSError:
            # The terminal is gone; the work is not.
            return

    def _print_ended(self) -> None:
        lines = [self._ended.popleft() for _ in range(len(self._ended))]
        if lines:
            self._console.print(Group(*lines), overflow="fold", soft_wrap=False)

    def _picture(self) -> Group:
        self._frame += 1
        now = datetime.now(timezone.utc)
        tree = self._steps.tree()
        room = max(1, self._console.size.height - 3)
        shown = tree if len(tree) <= room else tree[: room - 1]
        lines = [self._running(depth, step, now) for depth, step in shown]
        if len(shown) < len(tree):
            lines.append(_cut(Text(f"  and {len(tree) - len(shown)} more steps", "dim")))
        return Group(*lines, self._footer(now))

    def _running(self, depth: int, step: RunningStep, now: datetime) -> Text:
        marks = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if self._unicode else "|/-\\"
        mark = marks[self._frame % len(marks)]
        text = Text("  " * depth + mark + " ", "cyan")
        text.append(clean(step.title), "default")
        if step.server:
            text.append(f" [{clean(step.server)}]", "blue")
        text.append(" " + duration(age(step.begun, now)), "dim")
        if step.line:
            text.append("  " + plain_text(step.line[:_LONGEST]).lstrip(), "dim")
        return _cut(text)

    def _footer(self, now: datetime) -> Text:
        parts = [self._name, self._state, duration(age(self._since, now))]
        left_s = self._estimate.left_s(now)
        if left_s is not None:
            parts.append(in_words(left_s))
        return _cut(Text(", ".join(parts), "bold"))


def _step_line(mark: str, style: str, event: Event) -> Text:
    text = Text(mark, style)
    text.append(clean(event.title), style if event.kind in (Kind.WARNING, Kind.ERROR) else "")
    if event.server:
        text.append(f" [{clean(event.server)}]", "blue")
    if event.elapsed_s is not None:
        text.append(" " + duration(event.elapsed_s), "dim")
    if event.detail:
        text.append(" " + clean(event.detail.strip().splitlines()[0]), "red")
    return text


def _cut(text: Text) -> Text:
    """One line, however narrow the terminal is."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
