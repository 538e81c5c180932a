"""QEMU's agent in the guests: asked so that it cannot hold us up, and what it says if it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

#: Where libvirt looks if it asks the agent for addresses.
SOURCE = 1

#: How a template lets libvirt speak to it.
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"

_ANSWERS_WITHIN_S = 5

_FOR_EVER = -2  # VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, as libvirt has it at a domain's start


@contextmanager
def answers_bounded(domains: Iterable[Any]) -> Iterator[None]:
    """In here a question to an agent ends also if the agent hangs, with an error of libvirt's.

    After it libvirt waits as long as it likes again: to freeze a guest's file systems takes long.
    """
    domains = list(domains)
    _set(domains, _ANSWERS_WITHIN_S)
    try:
        yield
    finally:
        _set(domains, _FOR_EVER)


def _set(domains: Iterable[Any], seconds: int) -> None:
    import libvirt

    for domain in domains:
        try:
            domain.agentSetResponseTimeout(seconds)
        except libvirt.libvirtError:
            pass  # an older libvirt, or another driver than QEMU's; or the domain has just ended


@dataclass(frozen=True)
class Word:
    """What a guest's agent tells of its addresses, for a person to read."""

    answers: bool
    text: str


def ask(domain: Any) -> Word:
    """Ask the agent once more, where nothing has told an address."""
    import libvirt

    try:
        found = domain.interfaceAddresses(SOURCE) or {}
    except libvirt.libvirtError as error:
        return Word(False, f"QEMU's guest agent does not answer: {error}")
    told = [
        f"{name} ({(one.get('hwaddr') or 'no MAC').lower()}) has "
        + (", ".join(entry["addr"] for entry in one.get("addrs") or ()) or "no address")
        for name, one in found.items() if name != "lo"
    ]
    return Word(True, f"QEMU's guest agent answers: {'; '.join(told) or 'no interface'}")
