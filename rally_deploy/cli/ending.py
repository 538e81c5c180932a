"""How every run ends: which exit code, what on stderr, and never a traceback on the screen."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime, timezone

import click

from rally_deploy.cli.settings import Settings
from rally_deploy.errors import Cancelled, RallyDeployError


def run(arguments: Sequence[str]) -> int:
    """Run ``rdeploy`` with these arguments and return its exit code."""
    from rally_deploy.cli.group import rdeploy

    settings = Settings()
    try:
        code = _run(rdeploy, arguments, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        _quiet_stdout()
        return 1
    return code


def _run(command: click.Command, arguments: Sequence[str], settings: Settings) -> int:
    try:
        result = command.main(
            list(arguments), prog_name="rdeploy", standalone_mode=False, obj=settings
        )
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt):
        return tell(Cancelled(), settings)
    except click.UsageError as error:
        error.show()
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except RallyDeployError as error:
        return tell(error, settings)
    except BrokenPipeError:
        raise
    except Exception as error:
        return tell(_internal(error), settings, error)
    return result if isinstance(result, int) else 0


def tell(
    error: RallyDeployError, settings: Settings, cause: BaseException | None = None
) -> int:
    """Print the error, and what can be done about it; return its exit code."""
    if settings.debug:
        say("".join(traceback.format_exception(cause or error)))
    if settings.json_lines:
        _json_line(error, settings)
    text = click.style(error.brief, fg="yellow" if isinstance(error, Cancelled) else "red")
    say(text)
    for line in error.details.rstrip().splitlines():
        say("  " + line)
    if error.remedy:
        say(f"Try: {error.remedy}")
    for line in settings.afterwards:
        say(line)
    settings.afterwards.clear()
    return error.exit_code


def _json_line(error: RallyDeployError, settings: Settings) -> None:
    click.echo(json.dumps({
        "type": "error", "deployment": settings.deployment_uuid or None,
        "exit_code": error.exit_code, "brief": error.brief, "details": error.details,
        "remedy": error.remedy,
    }))


def _internal(error: Exception) -> RallyDeployError:
    """What the user is told of a bug of ours: one line, and where the rest is."""
    what = f"internal error: {type(error).__name__}"
    try:
        from rally_deploy import paths

        stamp = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        path = paths.data_dir() / f"error-{stamp}-{os.getpid()}.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", errors="backslashreplace") as file:
            traceback.print_exception(error, file=file)
    except OSError as no_file:
        return RallyDeployError(f"{what} (its traceback could not be written: {no_file})",
                                remedy="the same command with 'rdeploy --debug'")
    return RallyDeployError(f"{what}, its traceback is in {path}")


def say(text: str) -> None:
    """A line on stderr, for people; a stderr that is gone ends nothing."""
    try:
        click.echo(text, err=True)
    except OSError:
        pass


def _quiet_stdout() -> None:
    """Nobody reads us any more: what is still buffered is dropped without a complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
