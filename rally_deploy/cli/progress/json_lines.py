"""Every event as one line of JSON on stdout.

``left_s`` of a step's begin: seconds until the end of all, from past runs; else null.
"""

from __future__ import annotations

import threading

import click

from rally_deploy.cli.rendering import dump, event_values
from rally_deploy.estimate import Estimate
from rally_deploy.events import Event, Output
from rally_deploy.model import DeploymentRecord


class JsonLines:
    """A reader that is gone ends nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._estimate = Estimate(())

    def begin(self, record: DeploymentRecord, estimate: Estimate) -> None:
        self._estimate = estimate

    def event(self, event: Event) -> None:
        with self._lock:
            left_s = self._estimate.left_at(event)
            values = {
                **event_values(event), "left_s": None if left_s is None else round(left_s, 1),
            }
            try:
                click.echo(dump(values, lines=True))
            except OSError:
                pass

    def output(self, output: Output) -> None:
        pass

    def end(self) -> None:
        pass
