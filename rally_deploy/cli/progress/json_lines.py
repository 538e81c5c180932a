"""Every event as one line of JSON on stdout."""

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

    def begin(self, record: DeploymentRecord, estimate: Estimate) -> None:
        pass

    def event(self, event: Event) -> None:
        with self._lock:
            try:
                click.echo(dump(event_values(event), lines=True))
            except OSError:
                pass

    def output(self, output: Output) -> None:
        pass

    def end(self) -> None:
        pass
