"""``rdeploy`` itself: its global options, and its commands, each imported on first use."""

from __future__ import annotations

import importlib
import os

import click

from rally_deploy import __version__
from rally_deploy.cli.settings import Settings

#: One module of the same name in ``cli/commands`` each, in the order in which help shows them.
COMMANDS = (
    "create", "destroy", "recreate", "resume", "cancel",
    "list", "show", "status", "config", "events", "logs", "check", "use",
    "openrc", "clouds-yaml", "ssh", "ssh-config",
    "validate", "plan", "engines", "providers",
    "images", "sweep", "completion",
)


class LazyGroup(click.Group):
    """Knows its commands by name alone; help, and nothing else, imports all of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        found = importlib.import_module(f"rally_deploy.cli.commands.{module}").command
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"No such command '{args[0]}'.{meant}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--db", metavar="URL", envvar="RDEPLOY_DB", show_envvar=True,
              help="The database of the deployments; an SQLite file of yours by default.")
@click.option("--debug", is_flag=True, envvar="RDEPLOY_DEBUG", show_envvar=True,
              help="Show a traceback with every error.")
@click.version_option(__version__, prog_name="rdeploy")
@click.pass_context
def rdeploy(ctx: click.Context, db: str | None, debug: bool) -> None:
    """Deploy OpenStack clouds from one config file, and take them back without a trace.

    UUID is a deployment's name, its uuid, or a unique beginning of it. Where it is left out, the
    default deployment is meant ('rdeploy use').

    Exit codes: 0 done, 1 failed, 2 wrong config or usage, 3 cancelled, 4 no such deployment,
    5 held by another process.
    """
    if "NO_COLOR" in os.environ:
        ctx.color = False
    settings = ctx.ensure_object(Settings)
    settings.db, settings.debug = db or "", debug
