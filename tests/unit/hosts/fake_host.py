"""A host in memory that knows the commands of LxcProvider, and fails on any other one."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
import threading

from rally_deploy.hosts import (
    apt_sources,
    forward,
    lxc,
    lxc_base_scripts,
    lxc_scripts,
    lxc_seed,
    lxc_stocked,
    network,
    tunnel,
)
from rally_deploy.ssh import remote_scripts
from rally_deploy.ssh.base import Result, Shell


class Hosts:
    """The outside of a test: implements ``deployment.Shells`` for any number of hosts.

    :param missing: packages that a host lacks until they are installed.
    """

    def __init__(self, missing=(), lxc_version="5.0.2", uid="0", types=("vxlan",)):
        self.missing, self.types = set(missing), types
        self.lxc_version, self.uid = lxc_version, uid
        self.things = {}  # host's label -> names of what exists there
        self.commands = []  # (host's label, what, arguments)
        self.refused = {}  # what, or (host's label or first argument, what) -> (status, stderr)
        self.images = {}  # (host's label, name) -> facts of the bases beside the plain one
        self.release = "debian 12"  # of the bases
        self.stock_fails = ""  # what the making of such a base says
        self.plain = {}  # host's label -> its plain base
        self.jobs = {}  # (host's label, name) -> its status and log
        self.running = {}  # host's label -> names of the containers that run
        self.seed = "overlay"  # how clones can be made
        self.memory = 8_000_000_000  # of a host, in bytes; a container takes 120 MB of it
        self.files = {}  # (server's label, path) -> content
        self.lock = threading.Lock()

    def get(self, server, observer, host_keys):
        return FakeHost(self, server, observer)

    def close(self):
        pass

    def whats(self, host=None):
        return [what for label, what, _ in self.commands if host in (None, label)]


class FakeHost(Shell):
    def __init__(self, hosts, server, observer):
        super().__init__(server, observer)
        self.hosts = hosts

    def execute(self, command, stdin, timeout_s, quiet):
        words, text = shlex.split(command), stdin.decode(errors="replace")
        if words[0] == "sh" and words[1] == "-s":
            what, arguments = _what(text), words[3:]
        elif words[0] == "tar":
            what, arguments = "tar", [stdin]
        elif words[0] == "sh" and words[3:4] == ["lock"]:
            what, arguments = "install", [w for w in words if w in self.hosts.missing]
        elif words[0] == "sh" and words[3:4] == ["follow"]:
            what, arguments = "follow", words[4:]
        else:
            what, arguments = words[0], words[1:]
        asked = [(self.server.label, what), *((a, what) for a in arguments[:1]), what]
        refused = next((self.hosts.refused[w] for w in asked if w in self.hosts.refused), None)
        with self.hosts.lock:
            self.hosts.commands.append((self.server.label, what, arguments))
            if refused:
                status, said = refused
                return Result(command, status, "", said, 0.0)
            said = getattr(self, "do_" + what.replace("-", "_"))(*arguments)
        if said is False:
            return Result(command, 1, "", "", 0.0)
        return Result(command, 0, said or "", "", 0.0)

    @property
    def things(self):
        return self.hosts.things.setdefault(self.server.label, set())

    @property
    def running(self):
        return self.hosts.running.setdefault(self.server.label, set())

    def do_look(self, *needs):
        lines = ["os debian bookworm", f"uid {self.hosts.uid}", f"lxc {self.hosts.lxc_version}",
                 "ubuntu noble", "ubuntu jammy"]
        return "\n".join([*lines, *(f"missing {name}" for name in sorted(self.hosts.missing))])

    def do_install(self, *packages):
        self.hosts.missing -= set(packages)

    def do_has_image(self, name):
        """The plain one is always there: it is the first that is asked for."""
        plain = self.hosts.plain.setdefault(self.server.label, name)
        return name == plain or (self.server.label, name) in self.hosts.images

    def do_release(self, name):
        return self.hosts.release

    def do_start_job(self, folder, tombstone, anew, name, plain, facts, *_):
        said = self.hosts.stock_fails
        self.hosts.jobs[self.server.label, folder] = (100 if said else 0, said)
        assert plain == self.hosts.plain[self.server.label]
        self.things.add(name)
        if not said:
            self.hosts.images[self.server.label, name] = json.loads(facts)

    def do_follow(self, folder, known):
        for line in self.hosts.jobs[self.server.label, folder][1].splitlines():
            self.observer.line(self.server, line)

    def do_job_status(self, folder):
        return f"ended {self.hosts.jobs[self.server.label, folder][0]}"

    def do_end_job(self, folder, tombstone):
        pass

    def do_forget_job(self, folder, tombstone):
        self.hosts.jobs.pop((self.server.label, folder), None)

    def do_end_build(self, name):
        if (self.server.label, name) not in self.hosts.images:
            self.things.discard(name)

    def do_make_network(self, name, bridge, mac, *candidates):
        self.things.add(name)
        return f"network {candidates[0]}"

    def do_make(self, name, base, *_):
        assert self.hosts.seed == "overlay" or base not in self.running
        self.things.add(name)
        return "clone overlay"

    def do_make_forward(self, name, to, port):
        taken = sum("ssh-" in thing for thing in self.things)
        self.things.add(name)
        return f"port {int(port) + taken}"

    def do_make_tunnel(self, name):
        self.things.add(name)
        return "through rdx"

    def do_remove(self, name, *_):
        self.things.discard(name)
        self.running.discard(name)

    def do_start(self, name):
        assert name in self.things
        self.running.add(name)

    def do_stop(self, name, timeout):
        self.running.discard(name)

    def do_freeze(self, name, folder):
        assert name not in self.running
        return f"seed {self.hosts.seed}"

    def do_memory(self, *names):
        sizes = "".join(f"anonymous {100 + n}000000\n" for n, _ in enumerate(names))
        return sizes + f"available {self.hosts.memory - 120_000_000 * len(self.running)}"

    def do_list_services(self, path):
        pass

    def do_wait_for_services(self, seconds, path):
        pass

    def do_tar(self, archive):
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            for entry in opened:
                content = opened.extractfile(entry).read().decode()
                self.hosts.files[self.server.label, f"/{entry.name}"] = content

    def do_wait(self, seconds, *addresses):
        pass

    def do_tunnel_types(self):
        return "\n".join(self.hosts.types)

    def do_ip(self, *words):
        if words[:3] == ("-4", "route", "get"):
            if words[3] == self.server.host:
                return f"local {words[3]} dev lo src {words[3]} uid 0\n"
            return f"{words[3]} dev eth0 src {self.server.host} uid 0\n"
        if words[:5] == ("-4", "route", "show", "default", *words[4:5]):
            return "default via 10.9.0.254 dev br0\n"
        return "3: br0    inet 10.9.0.1/24 scope global br0\n"

    def do_lxc_info(self, *_):
        return "10.9.0.77\n"

    def do_true(self):
        pass


def _what(script):
    """Which of our scripts this is."""
    known = {
        lxc._LOOK: "look", apt_sources._READ: "sources",
        network._MAKE: "make_network", network._DELETE: "remove", lxc_scripts.MAKE: "make",
        lxc_scripts.START: "start", lxc_scripts.WAIT: "wait", lxc_scripts.DELETE: "remove",
        forward._MAKE: "make_forward", forward._DELETE: "remove",
        lxc_scripts.STOP: "stop", lxc_seed._FREEZE: "freeze", lxc_seed._MEMORY: "memory",
        lxc_seed._LIST_SERVICES: "list_services",
        lxc_seed._WAIT_FOR_SERVICES: "wait_for_services",
        lxc_stocked._RELEASE: "release", lxc_base_scripts.END_BUILD: "end_build",
        remote_scripts.STATUS: "job_status", remote_scripts.END: "end_job",
        remote_scripts.FORGET: "forget_job",
        tunnel._PROBE: "tunnel_types", tunnel._DELETE: "remove",
    }
    for text, what in known.items():
        if text.strip() in script:
            return what
    if "setsid sh -c" in script:
        return "start_job"
    if "ip link add" in script and "alias" in script:
        return "make_tunnel"
    if "test -e" in script and "rdeploy-image.json" in script:
        return "has_image"
    raise AssertionError(f"no such script is known:\n{script}")
