"""One connection to libvirt, for all threads of a create or a destroy."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import RallyDeployError
from rally_deploy.model import Server
from rally_deploy.serverprovider.virsh import events, refusal, schema
from rally_deploy.serverprovider.virsh.refusal import (
    AUTH_FAILED,
    SYSTEM_ERROR,
    HostKeyRefused,
    HypervisorError,
    HypervisorUnreachable,
    NotPermitted,
)
from rally_deploy.serverprovider.virsh.way import Way, parse
from rally_deploy.serverprovider.virsh.wrapper import ssh_wrapper

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

#: A hypervisor that says nothing for this long (seconds between looks, looks) is gone.
_KEEPALIVE = (5, 4)

_NOBODY_LISTENS = frozenset({errno.ENOENT, errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE})

_SOCKETS = tuple(
    f"{folder}/libvirt/{name}" for folder in ("/run", "/var/run")
    for name in ("virtqemud-sock", "libvirt-sock")
)

# What is wrong on the other side once SSH has let us in.
_LOOK = """
for s; do if [ -S $s ]; then if [ -w $s ]; then echo there; else echo denied; fi; fi; done
if pidof libvirtd virtqemud >/dev/null; then echo runs; fi
"""


class Hypervisor:
    """An open connection. Its libvirt object may be used from many threads."""

    def __init__(self, way: Way, connection: Any) -> None:
        self.way, self.libvirt = way, connection

    def alive(self) -> bool:
        import libvirt

        try:
            return bool(self.libvirt.isAlive())
        except libvirt.libvirtError:
            return False

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """libvirt's errors as ours; ``what`` is what was tried."""
        with refusal.told(what, self.alive):
            yield

    def find(self, absent: int, lookup: Callable[..., Any], *arguments: Any) -> Any:
        """What a lookup finds; None if libvirt's answer is ``absent``, its number for that."""
        import libvirt

        try:
            return lookup(*arguments)
        except libvirt.libvirtError as error:
            if error.get_error_code() == absent:
                return None
            raise refusal.of(error, f"look for {arguments[0]}", self.alive) from error

    def close(self) -> None:
        import libvirt

        try:
            self.libvirt.close()
        except libvirt.libvirtError:
            pass  # a dead link is closed already


def open_hypervisor(deployment: Deployment, config: Mapping[str, Any]) -> Hypervisor:
    """Connect; HypervisorUnreachable, NotPermitted, or an error of SSH's if that fails."""
    way = parse(config["connection"])
    events.run()
    if not way.wrapped:
        return _open(way, way.uri, config)
    host = host_of(way, config)
    # Our own login first: it pins the host's key, and its errors tell what is wrong.
    deployment.ssh(host).run(["true"], quiet=True)
    key_file, password = host.key, host.password
    with ssh_wrapper(key_file, password, deployment.host_key(host)) as wrapper:
        try:
            return _open(way, way.uri_by(wrapper), config)
        except HypervisorError as error:
            raise _over_there(deployment, way, host, error) from error


def host_of(way: Way, config: Mapping[str, Any]) -> Server:
    """The machine that libvirt is on, as a server to log in to."""
    return Server(
        host=way.host, user=way.user or os.environ.get("USER") or "root", port=way.port,
        key=schema.file_of(config, "connection_key") or way.key or None,
        password=config.get("connection_password"),
    )


def _open(way: Way, uri: str, config: Mapping[str, Any]) -> Hypervisor:
    import libvirt

    asked: list[str] = []

    def answer(credentials: list[list[Any]], _: object) -> int:
        # libssh's transport asks again and again for a password that was wrong.
        password = config.get("connection_password")
        if asked or not password:
            return -1
        for credential in credentials:
            asked.append(credential[1])
            is_name = credential[0] in (libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_USERNAME)
            credential[4] = way.user if is_name else password
        return 0

    kinds = [libvirt.VIR_CRED_AUTHNAME, libvirt.VIR_CRED_PASSPHRASE, libvirt.VIR_CRED_NOECHOPROMPT]
    try:
        connection = libvirt.openAuth(uri, [kinds, answer, None], 0)
    except libvirt.libvirtError as error:
        raise _cannot_open(way, refusal.of(error, f"connect to {way.label}")) from error
    hypervisor = Hypervisor(way, connection)
    try:
        connection.setKeepAlive(*_KEEPALIVE)
    except libvirt.libvirtError:
        pass  # a driver inside of our own process has no link that could die
    return hypervisor


def _cannot_open(way: Way, error: HypervisorError) -> HypervisorError:
    # No number of libvirt's is for that alone: a wrong login and others share them.
    if "host key verification" in error.details.lower():
        return HostKeyRefused(
            f"cannot connect to {way.label}: the host key of {way.host} is not known, or is "
            "another one than before", error.details,
            "compare it with that machine's own, then put it into the file that the URI names as "
            "'known_hosts' (default: ~/.config/libvirt/known_hosts with libssh2, else "
            f"~/.ssh/known_hosts); 'ssh-keygen -R {way.host}' removes the old one",
            code=error.code, errno=error.errno,
        )
    if isinstance(error, NotPermitted):
        if error.code == AUTH_FAILED:
            error.remedy = "check user and 'connection_password'; " + error.remedy
        return error
    if error.code == SYSTEM_ERROR and error.errno in _NOBODY_LISTENS:
        return _down(way, error.details)
    return HypervisorError(
        f"cannot connect to {way.label}", error.details,
        "try it with 'virsh -c URI list'; check the URI, and that libvirtd runs there",
        code=error.code, errno=error.errno,
    )


def _down(way: Way, details: str) -> HypervisorUnreachable:
    return HypervisorUnreachable(
        f"libvirtd does not run on {way.label}", details,
        "install it (libvirt-daemon-system) or start it there: 'systemctl start libvirtd'",
    )


def _over_there(
    deployment: Deployment, way: Way, host: Server, error: HypervisorError
) -> HypervisorError:
    """SSH works: then it is libvirt itself, which only a look on that machine tells."""
    try:
        seen = deployment.ssh(host).script(_LOOK, *_SOCKETS, check=False, quiet=True).stdout
    except RallyDeployError:
        return error
    if "there" in seen and ("runs" in seen or isinstance(error, NotPermitted)):
        return error
    if "denied" in seen and "there" not in seen:
        return NotPermitted(
            f"user {host.user} may not use libvirt on {way.host}", error.details,
            f"'usermod -aG libvirt {host.user}' there, or connect as root",
        )
    return _down(way, error.details)
