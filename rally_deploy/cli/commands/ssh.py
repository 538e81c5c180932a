"""``rdeploy ssh``."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import click

from rally_deploy.cli.options import deployment_argument, write_private
from rally_deploy.cli.settings import Settings
from rally_deploy.errors import UsageError

if TYPE_CHECKING:
    from rally_deploy.cli.ssh_files import SshFiles
    from rally_deploy.model import Server

_REMOTE = "rally_deploy.remote_command"


class _WithRemoteCommand(click.Command):
    """Keeps what is behind ``--`` apart: it is no UUID and no SERVER if these are left out."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_REMOTE] = args[at + 1:]
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


@click.command(cls=_WithRemoteCommand, short_help="Log in to a server, or run a command there.")
@deployment_argument
@click.argument("server", required=False)
@click.pass_context
def command(ctx: click.Context, wanted: str, server: str | None) -> NoReturn:
    """Log in to a server of a deployment with OpenSSH, or run a command there.

    SERVER is its name, its address, or a part of either that no other has; the first server if it
    is left out. A COMMAND that is one word goes to the server's shell as it is ('ls /etc | wc');
    of more words each is quoted. On a server that is this machine a shell is started.
    """
    from rally_deploy.cli.ssh_files import all_servers, write_ssh_files

    remote: list[str] = ctx.meta[_REMOTE]
    with ctx.ensure_object(Settings).open_deployer() as deployer:
        overview = deployer.show(wanted)
        servers = all_servers(overview)
        if not servers:
            raise UsageError(f"{overview.record.name} has no servers",
                             remedy=f"'rdeploy show {overview.record.short}' tells what it has")
        chosen = choose_server(servers, server or "")
        line = remote[0] if len(remote) == 1 else shlex.join(remote)
        if chosen.connection == "local":
            _run_here(line)
        files = write_ssh_files(deployer, overview.record.uuid, [chosen])
    _run_ssh(chosen, files, line)


def choose_server(servers: Sequence[Server], wanted: str) -> Server:
    """By name or address, or a part of one that is unique; the first one for ''."""
    exact = [s for s in servers if not wanted or wanted in (s.name, s.host)]
    if exact:
        return exact[0]
    some = [s for s in servers if wanted in s.name or wanted in s.host]
    if len(some) != 1:
        raise UsageError(
            f"'{wanted}' is in the names of {len(some)} servers" if some
            else f"no server '{wanted}'",
            "\n".join(s.label for s in some or servers), "name one of these",
        )
    return some[0]


def _run_here(line: str) -> NoReturn:
    shell = os.environ.get("SHELL") or "/bin/sh"
    _become([shell, "-c", line] if line else [shell], os.environ)


def _run_ssh(server: Server, files: SshFiles, line: str) -> NoReturn:
    ssh = shutil.which("ssh")
    if not ssh:
        raise UsageError("there is no ssh here", remedy="apt-get install openssh-client")
    words = [ssh, "-F", str(files.config), files.alias(server)]
    _become(words + (["--", line] if line else []), _environment(server, files))


def _environment(server: Server, files: SshFiles) -> Mapping[str, str]:
    """With what answers OpenSSH's question for a password, where a server has one.

    The passwords go by the environment, which nobody else can read; the script has none.
    """
    passwords = [
        (f"{host.server.user}@{name}", host.server.password)
        # The question names the host by the alias of its key, if it has one.
        for host in files.hosts for name in (host.alias, host.server.host)
        if host.server.password
    ]
    if not passwords:
        return os.environ
    script = files.config.with_name("askpass")
    cases = [
        f"{shlex.quote(who)}[\\'\\)]*) printf '%s\\n' \"$RDEPLOY_PASSWORD_{n}\";;"
        for n, (who, _) in enumerate(passwords)
    ]
    write_private(script, "\n".join(
        ["#!/bin/sh", 'case "${1#\\(}" in', *cases, "*) exit 1;;", "esac", ""]
    ))
    script.chmod(0o700)
    return {
        **os.environ, "SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force",
        "DISPLAY": os.environ.get("DISPLAY", ":"),
        **{f"RDEPLOY_PASSWORD_{n}": word or "" for n, (_, word) in enumerate(passwords)},
    }


def _become(words: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """The command takes our place: our terminal, our signals, our exit code."""
    os.execve(words[0], list(words), dict(environ))
