"""``rdeploy events``."""

from __future__ import annotations

import click

from rally_deploy.cli.options import deployment_argument
from rally_deploy.cli.rendering import dump, event_values
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.events import Kind


@click.command(short_help="What happened in one, with times.")
@deployment_argument
@click.option("-f", "--follow", "following", is_flag=True,
              help="Go on until nobody works on it any more.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each event.")
@pass_settings
def command(settings: Settings, wanted: str, following: bool, as_json: bool) -> None:
    """Every step and note of a deployment and its parts, with UTC times, the oldest first.

    With --json also what each component of DevStack took ('timing', 'elapsed_s').
    """
    from rally_deploy.cli.following import follow
    from rally_deploy.cli.progress.plain import event_line

    last = 0
    with settings.open_deployer() as deployer:
        uuid = deployer.find(wanted).uuid

        def show() -> None:
            nonlocal last
            for event in deployer.store.events.list(uuid, after_id=last, children=True):
                last = max(last, event.id)
                if as_json:
                    click.echo(dump(event_values(event), lines=True))
                elif event.kind is not Kind.TIMING:
                    click.echo(event_line(event))

        follow(deployer, uuid, show, following)
