"""What a server says of itself, shells for all servers, and a cloud that answers calls."""

from rally_deploy.errors import CloudBroken

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
        self.answers, self.calls = answers, []

    def call(self, name, /, *, wait_s=120.0, **arguments):
        self.calls.append((name, arguments))
        answer = self.answers[name]
        answer = answer(**arguments) if callable(answer) else answer
        if isinstance(answer, CloudBroken):
            raise answer
        return answer
