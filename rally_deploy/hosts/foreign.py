"""What has a name of ours on a host and is not ours: told, never touched.

Scripts that find such a thing end with status 65 and show it on their standard error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rally_deploy.errors import CommandFailed, ResourceConflict
from rally_deploy.ssh.base import Shell

_STATUS = 65


@contextmanager
def told(shell: Shell, what: str, look: str, remove: str) -> Iterator[None]:
    """Turn that status into a ResourceConflict.

    :param what: the thing, as "an interface rd0"
    :param look: the command that shows it
    :param remove: the command that removes it, if its owner has forgotten it
    """
    try:
        yield
    except CommandFailed as error:
        if error.status != _STATUS:
            raise
        raise ResourceConflict(
            f"{shell.server.label}: there is {what} that this deployment did not make",
            error.stderr,
            f"look at it with '{look}'; if it is left over, remove it with '{remove}'",
        ) from error
