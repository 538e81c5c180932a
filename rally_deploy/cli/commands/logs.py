"""``rdeploy logs``."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rally_deploy.cli.options import deployment_argument
from rally_deploy.cli.progress.text import plain_text
from rally_deploy.cli.settings import Settings, pass_settings
from rally_deploy.errors import UsageError

if TYPE_CHECKING:
    from rally_deploy.deployer import Overview


@click.command(short_help="What its commands printed.")
@deployment_argument
@click.argument("server", required=False)
@click.option("-f", "--follow", "following", is_flag=True,
              help="Go on until nobody works on it any more.")
@pass_settings
def command(settings: Settings, wanted: str, server: str | None, following: bool) -> None:
    """The output of every command that was run for a deployment, with UTC times.

    Of all its servers, merged by time, or of one SERVER. It is kept on the machine that deployed.
    """
    from rally_deploy.cli.following import follow

    with settings.open_deployer() as deployer:
        overview = deployer.show(wanted)
        uuids = list(_uuids(overview))
        tails = _Tails(uuids, server or "")
        follow(deployer, overview.record.uuid, tails.show, following)
    if not tails.files:
        what = f"of server '{server}'" if server else "yet"
        known = sorted({path.stem for path in _log_files(uuids, "")})
        raise UsageError(
            f"no output {what}", remedy=f"one of: {', '.join(known)}" if server and known else ""
        )


def _uuids(overview: Overview) -> Iterator[str]:
    """Of a deployment and of all nested ones, however deep."""
    yield overview.record.uuid
    for child in overview.children:
        yield from _uuids(child)


def _log_files(uuids: Sequence[str], server: str) -> list[Path]:
    from rally_deploy import paths

    if server:
        files = [paths.log_file(uuid, server) for uuid in uuids]
    else:
        files = [path for uuid in uuids for path in sorted(paths.log_dir(uuid).glob("*.log"))]
    return [path for path in files if path.exists()]


class _Tails:
    """Shows what is new in some log files, those that come to be in between too."""

    def __init__(self, uuids: Sequence[str], server: str) -> None:
        self._uuids, self._server = uuids, server
        self.files: dict[Path, int] = {}  # how far each was read

    def show(self) -> None:
        for path in _log_files(self._uuids, self._server):
            self.files.setdefault(path, 0)
        for _, name, text in heapq.merge(*(self._new(path) for path in self.files)):
            who = "" if self._server else f" [{name}]"
            stamp, _, line = text.partition(" ")
            click.echo(f"{stamp}{who} {plain_text(line)}")

    def _new(self, path: Path) -> Iterator[tuple[str, str, str]]:
        """(stamp, server, line) of each whole line that was not shown yet."""
        with path.open("rb") as file:
            file.seek(self.files[path])
            for raw in _whole_lines(file):
                self.files[path] += len(raw)
                text = raw.decode(errors="replace").rstrip("\n")
                yield text.partition(" ")[0], path.stem, text


def _whole_lines(file: Iterable[bytes]) -> Iterator[bytes]:
    """Without a last one that is still being written."""
    for raw in file:
        if raw.endswith(b"\n"):
            yield raw
