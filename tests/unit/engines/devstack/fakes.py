"""What a server says of itself, shells for all servers, and a cloud that answers calls."""

import ast
import json

from rally_deploy.errors import CloudBroken
from rally_deploy.ssh import remote_scripts
from rally_deploy.ssh.base import Result
from tests.unit.engines.fake_shell import FakeShell

LOOK = {
    "uid": "0", "hostname": "ctl", "systemd": "yes", "packages": "apt-get",
    "title": "Debian GNU/Linux 12 (bookworm)", "memory": "24105", "disk": "80000",
    "addresses": "192.0.2.10 172.24.4.1 ", "source": "192.0.2.10",
}


def look(**changed):
    """What the look at a server prints."""
    return "".join(f"{k}={v}\n" for k, v in {**LOOK, **changed}.items() if v is not None)


class FakeShells:
    """The same shell for every server."""

    def __init__(self, shell):
        self.shell = shell

    def get(self, server, observer, host_keys):
        return self.shell.observed_by(observer)

    def close(self):
        pass


class FakeCloud:
    """``answers``: a call's name -> what it returns, or what is to be called for that."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def call(self, name, /, *, wait_s=120.0, **arguments):
        self.asked.append((name, arguments))
        answer = self.answers[name]
        answer = answer(**arguments) if callable(answer) else answer
        if isinstance(answer, CloudBroken):
            raise answer
        return answer

    def calls(self, calls):
        return [self.call(one.name, **one.arguments) for one in calls]


class StackedShell(FakeShell):
    """A server whose stack.sh has ended well, and the cloud that its calls go to.

    :param written: what DevStack has written on it.
    :param looks: what it says of itself when it is looked at.
    """

    def __init__(self, server, written, cloud=None, **looks):
        super().__init__({
            "say uid": look(**{"addresses": server.host, "source": server.host, **looks}),
            "part stackenv": written, remote_scripts.STATUS.strip(): "ended 0\n",
            'echo "time=': "time=2026-11-21 16:00:00\n", "date +%s": "1000\n", "": "",
        }, server)
        self.cloud = cloud

    def execute(self, command, stdin, timeout_s, quiet):
        if not command.startswith("python3"):
            return super().execute(command, stdin, timeout_s, quiet)
        text = stdin.decode().splitlines()[-1].removeprefix("sys.exit(main(").removesuffix("))")
        results, failure = [], None
        for call in json.loads(ast.literal_eval(text))["calls"]:
            try:
                results.append(self.cloud.call(call["name"], **call["arguments"]))
            except CloudBroken as error:
                failure = {"call": call["name"], "status": 0, "text": error.details}
        answer = json.dumps({"results": results, "failure": failure})
        return Result(command, 0, answer, "", 0.0)


class ServerShells(FakeShells):
    """A shell of its own for each server: ``shells`` by the servers' addresses."""

    def __init__(self, *shells):
        self.shells = {shell.server.host: shell for shell in shells}

    def get(self, server, observer, host_keys):
        return self.shells[server.host].observed_by(observer)
