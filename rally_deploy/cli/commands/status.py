"""``rdeploy status``."""

from __future__ import annotations

import click

from rally_deploy.cli.options import deployment_argument, json_option
from rally_deploy.cli.rendering import age, dump, duration, iso, record_values
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.cli.table import clean


@click.command(short_help="Where one stands, and what runs in it.")
@deployment_argument
@json_option
@pass_settings
def command(settings: Settings, wanted: str, as_json: bool) -> None:
    """Its state, and the steps that run right now, with how long each has been running."""
    from rally_deploy.cli.progress.steps import RunningSteps
    from rally_deploy.model import MOVING

    steps = RunningSteps()
    with settings.open_deployer() as deployer:
        record = deployer.find(wanted)
        stale = deployer.is_stale(record)
        if record.state in MOVING and not stale:
            for event in deployer.store.events.list(record.uuid, children=True):
                # A process that was killed never ended its steps.
                if record.started_at is None or event.at >= record.started_at:
                    steps.event(event)
    running = steps.tree()
    if as_json:
        click.echo(dump({
            **record_values(record, stale),
            "running": [
                {"title": step.title, "server": step.server, "depth": depth,
                 "begun_at": iso(step.begun), "elapsed_s": round(age(step.begun), 1)}
                for depth, step in running
            ],
        }))
        return
    click.echo(f"{record.name} {record.uuid} {record.state}{' (stale)' if stale else ''}")
    for depth, step in running:
        where = f" [{clean(step.server)}]" if step.server else ""
        click.echo(f"{'  ' * (depth + 1)}{clean(step.title)}{where} {duration(age(step.begun))}")
    for line in record.error.splitlines():
        click.echo(f"  {clean(line)}")
