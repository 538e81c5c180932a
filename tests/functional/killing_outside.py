"""``rdeploy`` that kills itself also at the calls of dnspython and of libcloud to the outside.

As ``rally_deploy.testing.killing``, whose variables it takes; no command runs on any server.
"""

import sys
from functools import wraps

from rally_deploy import deployer
from rally_deploy.ssh.base import Result, Shell
from rally_deploy.testing.killing import outside_call


class Answering(Shell):
    """A server on which every command succeeds, unless ``answer`` of its shells raises."""

    answer = None

    def execute(self, command, stdin, timeout_s, quiet):
        if self.answer:
            self.answer(self.server)
        return Result(command, 0, "", "", 0.0)


class AnsweringShells:
    """``answer``, if set, is called with a server before each of its commands succeeds."""

    answer = None

    def get(self, server, observer, host_keys):
        shell = Answering(server, observer)
        shell.answer = self.answer
        return shell

    def close(self):
        pass


def killing(call):
    """The call, as an outside call."""
    @wraps(call)
    def called(*arguments, **options):
        with outside_call():
            return call(*arguments, **options)
    return called


def main():
    from rally_deploy.cli import main as rdeploy

    try:
        import dns.query
        dns.query.tcp = killing(dns.query.tcp)
    except ImportError:
        pass
    try:
        from libcloud.common.base import Connection

        from rally_deploy.serverprovider.libcloud.cloud import Cloud
        from tests.unit.serverprovider.libcloud import kept
        Connection.request = killing(Connection.request)
        kept.known()
        Cloud.settle_s = 1.0  # the clouds of tests list at once what they have
    except ImportError:
        pass
    deployer._pool = AnsweringShells
    sys.argv[0] = "rdeploy"
    rdeploy()


if __name__ == "__main__":
    main()
