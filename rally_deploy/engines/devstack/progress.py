"""What stack.sh is at, from its output: its phases, and its timing table at the end.

stack.sh names a phase by ``echo_summary``. That goes into the summary file, and to its output only
if there is no LOGFILE; but with its trace on, as it is by default, the call itself is seen::

    2026-11-21 16:02:13.669 | + ./stack.sh:main:779         :   echo_summary 'Starting Keystone'

Both forms are read here, of the output, of LOGFILE and of its summary. Times are the log's own
where it has time stamps, so that a log which is read later, or again, tells the same.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) \|(?: |\Z)")
#: A traced command: plus signs, file, function, line number, command.
TRACE = re.compile(r"\++ (\S+?):(\w+):(\d+) *:   (.*)")
_TIMING = re.compile(r"(\S.*?) +(-?\d+)\s*\Z")
_COMPLETED = re.compile(r"stack\.sh completed in (\d+) seconds")
_FAILED = re.compile(r"stack\.sh failed\b|Error on exit\Z")

#: The phases in their order, as stack.sh and its libraries of 2025.1 to 2026.1 name them.
PHASES = (
    "Installing package prerequisites", "Starting RabbitMQ", "Installing OpenStack project source",
    "Installing Tempest", "Starting rsyslog", "Configuring and starting MySQL",
    "Configuring and starting PostgreSQL", "Starting Keystone", "Configuring Horizon",
    "Configuring Glance", "Configuring Neutron", "Configuring Swift", "Configuring Cinder",
    "Configuring placement", "Configuring Nova", "Starting Swift", "Starting Nova API",
    "Starting OVN services", "Starting Neutron", "Starting Placement",
    "Creating initial neutron network elements", "Starting Nova", "Starting Cinder",
    "Starting Glance", "Uploading images", "Starting Horizon", "Initializing Tempest",
    "Installing Tempest Plugins", "Configuring lvm.conf global device filter",
)
#: Summary lines that are no phase.
_NO_PHASE = ("stack.sh log ", "stack.sh completed ", "SKIPPING ", "Skip ", "set lvm.conf ")


@dataclass(frozen=True)
class Phase:
    """stack.sh has begun a phase."""

    title: str
    elapsed_s: float  # since its first line
    before: str = ""  # the phase that ended by this
    before_s: float = 0.0  # and how long that took


@dataclass(frozen=True)
class Component:
    """A line of the timing table: all the time that one kind of work took."""

    name: str  # osc, pip_install, apt-get, git_timed, async_wait, dbsync ...
    seconds: int


@dataclass(frozen=True)
class Completed:
    """stack.sh has come to its end."""

    seconds: int


@dataclass(frozen=True)
class Failed:
    """stack.sh gives up; what follows is a dump of the machine."""

    elapsed_s: float


PhaseEvent = Phase | Component | Completed | Failed


class Progress:
    """Give it every line, in order; it says when something has begun or ended."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: datetime | None = None
        self._last: datetime | None = None
        self._began = clock()
        self._phase_at = 0.0
        self._table = ""  # "", "head", "body", "end"
        self.phase = ""
        #: The function of stack.sh itself that was called last: install_database, start_nova ...
        self.doing = ""
        self.durations: dict[str, float] = {}
        self.components: list[Component] = []
        self.completed: Completed | None = None
        self.failed = False

    @property
    def elapsed_s(self) -> float:
        """Since the first line: by the log's own time stamps if it has some."""
        if self._first and self._last:
            return (self._last - self._first) / timedelta(seconds=1)
        return self._clock() - self._began

    def line(self, text: str) -> PhaseEvent | None:
        """Read one line; returns what it tells, if it tells something."""
        stamp = STAMP.match(text)
        if stamp:
            self._last = datetime.strptime(stamp[1], "%Y-%m-%d %H:%M:%S.%f")
            self._first = self._first or self._last
            text = text[stamp.end():]
        text = text.rstrip()
        trace = TRACE.match(text)
        if trace:
            return self._traced(trace[1], trace[2], trace[4])
        if self._table or text.startswith(("=====", "DevStack Component Timing")):
            return self._table_line(text)
        completed = _COMPLETED.match(text)
        if completed:
            return self._complete(int(completed[1]))
        if _FAILED.match(text) and not self.failed:
            self.failed = True
            return Failed(self.elapsed_s)
        # Without a trace only the summary's lines have a stamp; pip begins lines like theirs.
        return self._begin(text) if stamp and text in PHASES else None

    def _traced(self, file: str, function: str, command: str) -> PhaseEvent | None:
        if command.startswith("echo_summary "):
            try:
                words = shlex.split(command)[1:]
            except ValueError:
                words = command.split()[1:]
            return self._begin(" ".join(words))
        name = command.split(" ", 1)[0]
        own = function == "main" and file.endswith("stack.sh")
        if own and "_" in name and name.isidentifier():
            self.doing = name
        return None

    def _begin(self, title: str) -> Phase | None:
        if title == self.phase or title in self.durations or title.startswith(_NO_PHASE):
            return None
        now = self.elapsed_s
        before, took = self._end_phase(now)
        self.phase, self._phase_at = title, now
        return Phase(title, now, before, took)

    def _end_phase(self, now: float) -> tuple[str, float]:
        took = now - self._phase_at
        if self.phase:
            self.durations[self.phase] = took
        return self.phase, took if self.phase else 0.0

    def _complete(self, seconds: int) -> Completed | None:
        if self.completed:
            return None
        self._end_phase(self.elapsed_s)
        self.completed = Completed(seconds)
        return self.completed

    def _table_line(self, text: str) -> PhaseEvent | None:
        """Title between rulers, components, a ruler, the rest of the time, a ruler, the sum."""
        if text.startswith("DevStack Component Timing"):
            self._table = "head"
        elif text.startswith("-----"):
            self._table = "rest" if self._table == "body" else self._table
        elif text.startswith("====="):
            self._table = "body" if self._table == "head" else self._table
        elif self._table in ("body", "rest"):
            return self._table_row(text)
        return None

    def _table_row(self, text: str) -> PhaseEvent | None:
        row = _TIMING.match(text)
        if row is None:
            self._table = ""
            return None
        if row[1] == "Total runtime":
            self._table = ""
            return self._complete(int(row[2]))
        if self._table == "rest":
            return None
        self.components.append(Component(row[1], int(row[2])))
        return self.components[-1]
