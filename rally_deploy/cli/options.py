"""Arguments and options that several commands share, and the default deployment."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from rally_deploy import paths
from rally_deploy.cli.settings import Settings
from rally_deploy.errors import RallyDeployError, UsageError

_LONGEST_NAME = 100

F = TypeVar("F", bound=Callable[..., Any])


class ConfigFile(click.Path):
    """Completed as a file's name by the shell; whether it can be read is the config's affair."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Any:
        return value


def _errors_too(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    """From the first moment on an error is a line of JSON, too."""
    ctx.ensure_object(Settings).json_lines = value
    return value


json_option = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
json_lines_option = click.option(
    "--json", "as_json", is_flag=True, callback=_errors_too, is_eager=True,
    help="One line of JSON for every event, and one for the result.",
)
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
timeout_option = click.option(
    "--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
    help="Give up after so long; what was made stays and can be resumed.",
)
wait_option = click.option(
    "--wait", is_flag=True,
    help="Wait for a free place where a provider's 'max_nodes' are all there, instead of failing.",
)
output_option = click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write it to this file, readable by you only, instead of the screen.",
)
user_option = click.option(
    "--user", metavar="NAME", help="This user of the cloud; the administrator by default."
)


def deployment_argument(function: F) -> F:
    """``[UUID]``: the parameter ``wanted``, the default deployment where it is left out."""
    return click.argument(
        "wanted", metavar="[UUID]", required=False, callback=_or_default,
        shell_complete=complete_deployment,
    )(function)


def _or_default(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str:
    if value or ctx.resilient_parsing:
        return value or ""
    default = read_default()
    if not default:
        raise UsageError(
            "which deployment?", remedy="name one, or choose a default with 'rdeploy use UUID'"
        )
    return default


def check_name(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    """A name that can be typed, shown on one line, and told from an option and from a part."""
    if value and (len(value) > _LONGEST_NAME or not value.isprintable() or value != value.strip()
                  or value.startswith("-") or "/" in value):
        raise click.BadParameter(
            f"{value[:_LONGEST_NAME]!r} is no name: at most {_LONGEST_NAME} characters on one "
            "line, no '/', no '-' and no blank at its beginning"
        )
    return value


def _default_file() -> Path:
    return paths.config_dir() / "default-deployment"


def read_default() -> str:
    """The default deployment's uuid; empty if there is none."""
    try:
        return _default_file().read_text().strip()
    except OSError:
        return ""


def write_default(uuid: str) -> None:
    """Make it the default deployment; none for an empty uuid."""
    if uuid:
        write_private(_default_file(), uuid + "\n")
    else:
        _default_file().unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at no moment anybody else, and at once."""
    # A device or a pipe is written to as it is; it could not be replaced.
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error


def give(text: str, output: Path | None) -> None:
    """Print the text, or write it to the file that the user asked for."""
    if output is None:
        click.echo(text, nl=False)
    else:
        write_private(output, text)


def complete_deployment(
    ctx: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The names and uuids that begin so; nothing at all if the database cannot be read."""
    # The group's function does not run while the shell asks, so its options are not set.
    top = ctx.find_root()
    settings = Settings(db=top.params.get("db") or "")
    try:
        store = settings.open_store()
        try:
            records = store.deployments.list()
        finally:
            store.close()
    except RallyDeployError:
        return []
    items = [CompletionItem(r.name, help=f"{r.engine}, {r.state}") for r in records
             if r.name.startswith(incomplete)]
    if incomplete:
        items += [CompletionItem(r.uuid, help=r.name) for r in records
                  if r.uuid.startswith(incomplete)]
    return items


def confirm(question: str, yes: bool) -> None:
    """Ask on a terminal; go on without where nobody could answer (CI, a pipe)."""
    if yes or not os.isatty(0):
        return
    click.confirm(question, abort=True, err=True)
