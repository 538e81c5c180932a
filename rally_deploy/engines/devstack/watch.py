"""What stack.sh prints, as steps: which phase it is in, and where its time went at the end."""

from __future__ import annotations

import re
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from rally_deploy.engines.devstack.node import Node

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

_PHASE = re.compile(r"^\+ .*:\s+echo_summary (.+)$")


class Watch:
    """``with Watch(...)``: give it each line; the step of the last phase ends with it."""

    def __init__(self, deployment: Deployment, node: Node) -> None:
        self._deployment, self._node = deployment, node
        self._step = ExitStack()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._step.__exit__(kind, error, trace)

    def line(self, line: str) -> None:
        found = _PHASE.match(line)
        if found:
            self._step.close()
            self._step.enter_context(
                self._deployment.step(found[1].strip("'"), self._node.server))

    def tell_timing(self) -> None:
        pass
