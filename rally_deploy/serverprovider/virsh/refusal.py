"""What libvirt says no to, as errors that tell what to do.

HypervisorError            anything of libvirt; ``code`` is its own number
  HypervisorUnreachable    nobody listens there: libvirtd does not run
  HostKeyRefused           the machine's SSH host key is not the one that libvirt knows
  NotPermitted             it listens, but not to us
  LinkLost                 the connection broke in mid-work
  TemplateUnfit            it is missing, it runs, it has no disk to clone
  NetworkUnfit             the clones' network is missing or inactive
  PoolUnfit                the storage pool is missing or inactive
  PoolFull                 no space for the clones' disks
  CloneFailed              a clone does not start, ends, or does not let us in
  NoAddress                a clone that runs has no address
  AddressShared            two clones with one address
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rally_deploy.errors import RallyDeployError

# libvirt's numbers, which are a part of its interface: no import of the library for them.
INVALID_ARGUMENT = 8
OPERATION_FAILED = 9
OPERATION_DENIED = 29
SYSTEM_ERROR = 38
RPC = 39
NO_DOMAIN = 42
NO_NETWORK = 43
AUTH_FAILED = 45
NO_POOL = 49
NO_VOLUME = 50
NOT_NOW = 55  # off, running, or still being made: not the state for this operation
TIMED_OUT = 68  # another operation holds the thing
AUTH_CANCELLED = 79
NO_METADATA = 80
ACCESS_DENIED = 88
VOLUME_EXISTS = 90
AUTH_UNAVAILABLE = 94

_NOT_PERMITTED = frozenset({
    OPERATION_DENIED, AUTH_FAILED, AUTH_CANCELLED, ACCESS_DENIED, AUTH_UNAVAILABLE,
})


class HypervisorError(RallyDeployError):
    """A call of libvirt that failed. ``code`` is libvirt's number, ``errno`` the system's or 0."""

    def __init__(
        self, brief: str, details: str = "", remedy: str = "", *, code: int = 0, errno: int = 0
    ) -> None:
        super().__init__(brief, details, remedy)
        self.code, self.errno = code, errno


class HypervisorUnreachable(HypervisorError):
    pass


class HostKeyRefused(HypervisorError):
    pass


class NotPermitted(HypervisorError):
    pass


class LinkLost(HypervisorError):
    pass


class TemplateUnfit(HypervisorError):
    pass


class NetworkUnfit(HypervisorError):
    pass


class PoolUnfit(HypervisorError):
    pass


class PoolFull(HypervisorError):
    pass


class CloneFailed(HypervisorError):
    pass


class NoAddress(CloneFailed):
    pass


class AddressShared(CloneFailed):
    pass


@contextmanager
def told(what: str, alive: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Turns libvirt's errors into ours; ``what`` is what was tried.

    :param alive: whether the connection still works.
    """
    import libvirt

    try:
        yield
    except libvirt.libvirtError as error:
        raise of(error, what, alive) from error


def of(error: Any, what: str, alive: Callable[[], bool] = lambda: True) -> HypervisorError:
    """Our error for one of libvirt's."""
    code, number = error.get_error_code() or 0, error.get_int1() or 0
    text = error.get_error_message() or str(error)
    numbers = {"code": code, "errno": number if code == SYSTEM_ERROR else 0}
    if not alive():
        return LinkLost(
            f"{what}: the connection to libvirt is lost", text,
            "look whether the hypervisor is up and libvirtd runs, then 'rdeploy resume'",
            **numbers,
        )
    if code in _NOT_PERMITTED or (code == SYSTEM_ERROR and number in (errno.EACCES, errno.EPERM)):
        return NotPermitted(
            f"{what}: libvirt does not permit it", text,
            "the user of the connection has to be allowed to manage libvirt: root, or a member of "
            "the group 'libvirt' ('usermod -aG libvirt USER', then a new login)", **numbers,
        )
    if code == SYSTEM_ERROR and number == errno.ENOSPC:
        return PoolFull(f"{what}: no space left", text, "free some space on the hypervisor, then "
                        "'rdeploy resume'", **numbers)
    return HypervisorError(
        f"{what}: libvirt refuses", text,
        "libvirt's log on the hypervisor (journalctl -u libvirtd) tells more", **numbers,
    )
