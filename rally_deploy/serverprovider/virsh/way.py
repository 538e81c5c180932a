"""The way to a hypervisor: ``connection`` as libvirt's URI, and the SSH host on the way."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

#: Transports by which libvirt itself logs in to the machine.
_SSH = frozenset({"ssh", "libssh", "libssh2"})

#: Of OpenSSH's transport: who gives one of these wants to have it in his own way.
_OWN_WAY = frozenset({"command", "keyfile", "known_hosts", "known_hosts_verify"})


@dataclass(frozen=True)
class Way:
    """How to reach a hypervisor. ``host`` is the machine that it is on; empty: this one."""

    uri: str
    user: str = ""
    host: str = ""
    port: int = 22
    key: str = ""  # private key file that the URI names
    by_ssh: bool = False  # SSH leads to the host, so that we can go through it to its guests
    wrapped: bool = False  # libvirt goes there by a program of ours in place of ssh

    @property
    def label(self) -> str:
        """What a person calls it."""
        return f"{self.user}@{self.host}" if self.wrapped else self.uri

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
    if not parts.hostname:
        if transport and transport not in ("ssh", "unix"):
            raise ValueError(f"the transport {transport} needs a host: {driver}+{transport}://HOST/")
        return Way(connection)
    if transport not in _SSH:
        return Way(connection, host=parts.hostname)
    try:
        port = parts.port or 22
    except ValueError as error:
        raise ValueError("the port has to be a number from 1 to 65535") from error
    user, query = parts.username or "", parse_qsl(parts.query)
    if parts.hostname.startswith("-") or user.startswith("-"):
        raise ValueError("neither user nor host can begin with a dash")
    if transport != "ssh" or _OWN_WAY & dict(query).keys():
        key = dict(query).get("keyfile", "")
        return Way(connection, user, parts.hostname, port, key, by_ssh=True)
    path = parts.path if parts.path not in ("", "/") else "/system"
    kept = "&".join(f"{key}={quote(value)}" for key, value in query if key != "no_tty")
    uri = f"{parts.scheme}://{parts.netloc}{path}" + (f"?{kept}" if kept else "")
    return Way(uri, user, parts.hostname, port, by_ssh=True, wrapped=True)
