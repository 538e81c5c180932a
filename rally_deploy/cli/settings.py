"""What every command of one run shares: its database, its mood, what to say at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rally_deploy.deployer import Deployer
    from rally_deploy.events import Watcher
    from rally_deploy.store import Store


@dataclass
class Settings:
    """The global options, and what the ending of a run has to know."""

    db: str = ""
    debug: bool = False
    json_lines: bool = False  # an error is one more line on stdout, too
    deployment_uuid: str = ""  # that the command worked on, for the error's JSON line
    afterwards: list[str] = field(default_factory=list)  # lines to print after an error

    def open_store(self) -> Store:
        from rally_deploy.store import Store, default_url
        from rally_deploy.vault import Vault

        return Store.open(self.db or default_url(), Vault())

    def open_deployer(self, watcher: Watcher | None = None) -> Deployer:
        from rally_deploy.deployer import Deployer

        return Deployer(self.open_store(), watcher=watcher)


#: Gives the command's function the settings as its first parameter.
pass_settings = click.make_pass_decorator(Settings, ensure=True)
