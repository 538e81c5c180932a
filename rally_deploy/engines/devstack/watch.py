"""What stack.sh prints, as steps: which phase it is in, and where its time went at the end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from rally_deploy.engines.devstack.node import Node
from rally_deploy.engines.devstack.progress import Phase, Progress

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: What is kept of the output for a look at why it failed: its trace is long, and after the failure
#: comes a dump of the machine.
LINES_KEPT = 20000

#: Components that took less are not in the note.
_WORTH_S = 1

#: How long the lines of before may take to come, once it is attached to again.
_CATCH_UP_S = 2.0


class Watch:
    """``with Watch(...)``: give it each line; the step of the last phase ends with it.

    :param again: the first lines are of phases that were told by an earlier run of ours already.
    """

    def __init__(
        self, deployment: Deployment, node: Node, again: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._deployment, self._node, self._clock = deployment, node, clock
        self._step = ExitStack()
        self._silent_until = clock() + (_CATCH_UP_S if again else 0.0)
        self._title = ""
        self.phase = ""  # the last one that was begun
        self.progress = Progress()
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._step.__exit__(kind, error, trace)

    def line(self, line: str) -> None:
        """Take one line of stack.sh's output."""
        self.lines.append(line)
        seen = self.progress.line(line)
        if isinstance(seen, Phase):
            self._step.close()
            self._title = self.phase = seen.title
        if self._title and self._clock() >= self._silent_until:
            title, self._title = self._title, ""
            self._step.enter_context(self._deployment.step(title, self._node.server))

    def tell_timing(self) -> None:
        """DevStack's own table of what its time went into, the longest first; no phase runs now.

        One note for people, and each component as an event for programs.
        """
        self._step.close()
        server = self._node.server
        found = sorted(self.progress.components, key=lambda part: -part.seconds)
        for part in found:
            self._deployment.timing(part.name, part.seconds, server)
        parts = [f"{part.name} {part.seconds} s" for part in found if part.seconds >= _WORTH_S]
        if self.progress.completed:
            parts.insert(0, f"{self.progress.completed.seconds} s in all")
        if parts:
            self._deployment.note(f"stack.sh took {', '.join(parts)}", server)
