"""Around every command that works on a deployment: progress, signals, advice after an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click

from rally_deploy.cli import progress
from rally_deploy.cli.ending import say
from rally_deploy.cli.interrupt import ends_on_signals
from rally_deploy.cli.options import write_default
from rally_deploy.cli.rendering import dump, duration, record_values
from rally_deploy.cli.settings import Settings
from rally_deploy.deployer import Deployer
from rally_deploy.errors import Cancelled, RallyDeployError
from rally_deploy.estimate import Estimate, past_runs
from rally_deploy.events import Event, Kind
from rally_deploy.model import DeploymentRecord, State


class _Notes:
    """Passes on to the progress and keeps the notes: what an engine has to say at the end."""

    def __init__(self, shown: progress.Progress) -> None:
        self._shown = shown
        self.notes: list[Event] = []
        self.output = shown.output

    def event(self, event: Event) -> None:
        if event.kind in (Kind.NOTE, Kind.WARNING):
            self.notes.append(event)
        self._shown.event(event)


@dataclass
class Work:
    """One command at work."""

    deployer: Deployer
    settings: Settings
    shown: progress.Progress
    _notes: _Notes
    as_json: bool

    @property
    def notes(self) -> list[Event]:
        """What was noted so far, warnings too, in the order of time."""
        return self._notes.notes

    def begin(self, record: DeploymentRecord, start: State, end: State) -> None:
        """The deployment is known: remember it for the end, and show its progress."""
        self.settings.deployment_uuid = record.uuid
        self.shown.begin(record, self._estimate(record, start, end))

    def announce(self, record: DeploymentRecord) -> None:
        """The row is written: from here on the other commands know it."""
        values = {"type": "deployment", **record_values(record, False)}
        self.say(dump(values, lines=True) if self.as_json else
                 f"Deployment {record.name} {record.uuid}")

    def try_default(self, record: DeploymentRecord) -> None:
        """Make it the default deployment; that this fails must not end the work."""
        try:
            write_default(record.uuid)
        except (RallyDeployError, OSError) as error:
            say(f"not the default deployment: {error}")

    def _estimate(self, record: DeploymentRecord, start: State, end: State) -> Estimate:
        try:
            return Estimate(past_runs(self.deployer.store, record, start, end))
        except RallyDeployError:
            return Estimate(())

    def done(self, record: DeploymentRecord) -> None:
        """It ended well: no more progress; the final object of ``--json``."""
        self.shown.end()
        if self.as_json:
            self.say(dump({"type": "result", **record_values(record, False)}, lines=True))

    @staticmethod
    def say(text: str) -> None:
        """A line on stdout; a reader that is gone must not end what was begun."""
        try:
            click.echo(text)
        except OSError:
            pass


@contextmanager
def working(settings: Settings, as_json: bool) -> Iterator[Work]:
    """Open a deployer that is watched, and cancelled by signals."""
    shown = progress.choose(as_json)
    notes = _Notes(shown)
    with settings.open_deployer(notes) as deployer:
        work = Work(deployer, settings, shown, notes, as_json)
        try:
            with ends_on_signals(deployer):
                yield work
        except Exception as error:
            shown.end()
            _advise(error, work)
            raise
        finally:
            shown.end()


def _advise(error: Exception, work: Work) -> None:
    """What can be done with the deployment that an error left behind."""
    uuid = work.settings.deployment_uuid
    if not uuid:
        return
    try:
        record = work.deployer.find(uuid)
    except RallyDeployError:
        return
    add = work.settings.afterwards.append
    add(f"Deployment {record.name} ({record.short}) is {record.state}.")
    if record.state in (State.FAILED, State.CANCELLED):
        add(f"  rdeploy resume {record.short}   go on from here")
        if not isinstance(error, Cancelled):
            add(f"  rdeploy logs {record.short}     the output of its commands")
        add(f"  rdeploy destroy {record.short}  remove all that was made")


def took(record: DeploymentRecord) -> str:
    """`` in 3 min 5 s``, if the row tells."""
    if record.started_at and record.ready_at and record.ready_at >= record.started_at:
        return " in " + duration((record.ready_at - record.started_at).total_seconds())
    return ""
