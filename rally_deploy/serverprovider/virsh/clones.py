"""Clones: defined, started, watched."""

from __future__ import annotations

from typing import Any

from rally_deploy.errors import ResourceConflict
from rally_deploy.model import Resource
from rally_deploy.serverprovider.virsh.link import Hypervisor
from rally_deploy.serverprovider.virsh.refusal import (
    NO_DOMAIN,
    NOT_NOW,
    CloneFailed,
    HypervisorError,
    LinkLost,
    NotPermitted,
    PoolFull,
)

_RUNNING, _BLOCKED, _PAUSED, _NO_STATE = 1, 2, 3, 0
_PAUSED_BY_IO_ERROR = 5
_NO_SPACE = 2  # VIR_DOMAIN_DISK_ERROR_NO_SPACE
_STATES = {3: "paused", 4: "shutting down", 5: "shut off", 6: "crashed", 7: "suspended"}


def define(hypervisor: Hypervisor, xml: str, name: str) -> Any:
    """The new domain. ResourceConflict if another one has its name: nothing was made then."""
    try:
        with hypervisor.doing(f"define the domain {name}"):
            return hypervisor.libvirt.defineXML(xml)
    except HypervisorError as error:
        if hypervisor.find(NO_DOMAIN, hypervisor.libvirt.lookupByName, name) is None:
            raise
        raise ResourceConflict(
            f"there is a domain {name} already that is not ours", error.details,
            f"look at it: 'virsh -c {hypervisor.way.uri} dominfo {name}'; it was not touched",
        ) from error


def start(hypervisor: Hypervisor, domain: Any, name: str) -> None:
    """Start it, if it does not run."""
    with hypervisor.doing(f"look at the domain {name}"):
        if domain.isActive():
            return
    try:
        with hypervisor.doing(f"start the domain {name}"):
            domain.create()
    except (LinkLost, NotPermitted, PoolFull):
        raise
    except HypervisorError as error:
        with hypervisor.doing(f"look at the domain {name}"):
            if error.code == NOT_NOW and domain.isActive():
                return
        raise CloneFailed(
            f"the clone {name} does not start", error.details,
            "the hypervisor may lack memory, or what the template's definition names (a host "
            "device, a CPU model, KVM): try to start the template itself; then 'rdeploy resume'",
            code=error.code,
        ) from error


def require_running(hypervisor: Hypervisor, domain: Any, name: str) -> None:
    """CloneFailed (PoolFull if that is why) unless it runs."""
    with hypervisor.doing(f"look at the domain {name}"):
        state, reason = domain.state()
        if state in (_RUNNING, _BLOCKED, _NO_STATE):
            return
        if state == _PAUSED and reason == _PAUSED_BY_IO_ERROR:
            full = [disk for disk, why in domain.diskErrors().items() if why == _NO_SPACE]
            raise (PoolFull if full else CloneFailed)(
                f"the clone {name} was halted: its disk cannot be written",
                f"no space for {', '.join(full)}" if full else "",
                "free some space in the storage pool, then 'rdeploy resume'",
            )
        if state == _PAUSED:
            return  # somebody looks at it, or libvirt itself, for a moment
    raise CloneFailed(
        f"the clone {name} is {_STATES.get(state, 'not running')}",
        remedy="does the template boot and stay up? its console and libvirt's log of the domain "
               "tell more; 'rdeploy resume' starts it again",
    )


def domain_of(hypervisor: Hypervisor, row: Resource) -> Any:
    """The domain of a row; None if it is not there any more."""
    return hypervisor.find(NO_DOMAIN, hypervisor.libvirt.lookupByUUIDString, row.facts["uuid"])
