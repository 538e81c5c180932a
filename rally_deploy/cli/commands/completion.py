"""``rdeploy completion``."""

from __future__ import annotations

import click


@click.command(short_help="Tab completion for your shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """A script that completes commands, options, deployments and plugins with the tab key.

    \b
    bash: rdeploy completion bash > ~/.local/share/bash-completion/completions/rdeploy
    zsh:  rdeploy completion zsh > a folder of $fpath, as _rdeploy
    fish: rdeploy completion fish > ~/.config/fish/completions/rdeploy.fish
    """
    from click.shell_completion import get_completion_class

    from rally_deploy.cli.group import rdeploy

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(rdeploy, {}, "rdeploy", "_RDEPLOY_COMPLETE").source())
