"""What a running command shows of its steps: live on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import sys
from typing import Protocol

from rally_deploy.estimate import Estimate
from rally_deploy.events import Event, Output
from rally_deploy.model import DeploymentRecord


class Progress(Protocol):
    """A watcher with a beginning and an end."""

    def begin(self, record: DeploymentRecord, estimate: Estimate) -> None:
        """From here on it may draw: the deployment is known."""

    def event(self, event: Event) -> None: ...

    def output(self, output: Output) -> None: ...

    def end(self) -> None:
        """Everything is shown when this returns, and nothing is drawn any more."""


def choose(as_json: bool) -> Progress:
    """JSON lines if asked for, a live view on a terminal, else plain lines (both on stderr)."""
    if as_json:
        from rally_deploy.cli.progress.json_lines import JsonLines

        return JsonLines()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from rally_deploy.cli.progress.live import Live

        return Live()
    from rally_deploy.cli.progress.plain import Plain

    return Plain()
