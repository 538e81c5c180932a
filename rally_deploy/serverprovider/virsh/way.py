"""The way to a hypervisor: ``connection`` as libvirt's URI, and the SSH host on the way."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

#: Of OpenSSH's transport: who gives one of these wants to have it in his own way.
_OWN_WAY = frozenset({"command", "keyfile", "known_hosts", "known_hosts_verify"})


@dataclass(frozen=True)
class Way:
    """How to reach a hypervisor. ``host`` is set if we make the way there, over SSH."""

    uri: str
    user: str = ""
    host: str = ""
    port: int = 22

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"{self.user}@{self.host}" if self.host else self.uri

    def uri_by(self, wrapper: str) -> str:
        """The URI by which libvirt goes through this program of ours instead of ssh."""
        begin, mark, query = self.uri.partition("?")
        # no_tty: OpenSSH must never ask on a terminal. libvirt knows no "+" for a blank.
        ours = urlencode({"command": wrapper, "no_tty": "1"}, safe="/", quote_via=quote)
        return f"{begin}?{query}&{ours}" if mark and query else f"{begin}?{ours}"


def parse(connection: str) -> Way:
    """The way that ``connection`` means: user@host[:port], or a libvirt URI. Raises ValueError."""
    if "://" not in connection:
        connection = f"qemu+ssh://{connection}/system"
    parts = urlsplit(connection)
    driver, _, transport = parts.scheme.partition("+")
    if not driver:
        raise ValueError("a libvirt URI begins with a driver: qemu:///system")
    if transport != "ssh" or not parts.hostname:
        if transport and transport not in ("ssh", "unix") and not parts.hostname:
            raise ValueError(f"the transport {transport} needs a host: {driver}+{transport}://HOST/")
        return Way(connection)
    if _OWN_WAY & {key for key, _ in parse_qsl(parts.query)}:
        return Way(connection)
    try:
        port = parts.port or 22
    except ValueError as error:
        raise ValueError("the port has to be a number from 1 to 65535") from error
    if parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
        raise ValueError("neither user nor host can begin with a dash")
    path = parts.path if parts.path not in ("", "/") else "/system"
    query = "&".join(
        f"{key}={quote(value)}" for key, value in parse_qsl(parts.query) if key != "no_tty"
    )
    uri = f"{parts.scheme}://{parts.netloc}{path}" + (f"?{query}" if query else "")
    return Way(uri, parts.username or "", parts.hostname, port)
