"""A cloud seen from one of its own servers.

The client is sent to the controller and run there by its Python: that reaches the endpoints
wherever we are (behind a jump host, say), needs no OpenStack client on either side, and costs a
fraction of a second where each ``openstack`` command takes two.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rally_deploy.errors import CloudBroken
from rally_deploy.hosts import cloud_client
from rally_deploy.hosts.cloud_client import Call
from rally_deploy.ssh.base import Shell


class RemoteCloud:
    """Calls of :class:`~rally_deploy.hosts.cloud_client.Cloud` made on a server.

    :param logs: where the logs of its services are, on the controller.
    """

    def __init__(
        self, shell: Shell, login: Mapping[str, Any], endpoints: Mapping[str, str] | None = None,
        logs: str = "the services' logs under /var/log",
    ) -> None:
        self._shell, self._logs = shell, logs
        self._login = {**login, "endpoints": dict(endpoints or {})}

    def call(self, name: str, /, *, wait_s: float = 120.0, **arguments: Any) -> Any:
        """One call and its result. CloudBroken holds what the cloud said if it failed."""
        return self.calls([Call(name, arguments)], wait_s)[0]

    def calls(self, calls: Sequence[Call], timeout_s: float = 120.0) -> list[Any]:
        """Several calls, one after the other, with one log-in; ends at the first that fails."""
        asked = json.dumps({
            "login": self._login,
            "calls": [{"name": c.name, "arguments": dict(c.arguments)} for c in calls],
        })
        # The password is in what goes by stdin, not on the command line.
        source = f"{inspect.getsource(cloud_client)}\nsys.exit(main({asked!r}))\n"
        done = self._shell.run(
            ["python3", "-"], stdin=source, timeout_s=timeout_s + 30, quiet=True
        )
        answer = json.loads(done.stdout.strip().splitlines()[-1])
        if answer["failure"]:
            raise CloudBroken(
                f"{answer['failure']['call'].replace('_', ' ')} failed",
                answer["failure"]["text"],
                f"see {self._logs} on the controller, then 'rdeploy resume'",
            )
        return list(answer["results"])
