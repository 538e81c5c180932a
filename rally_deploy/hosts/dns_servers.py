"""Two ways to have a name in DNS: nsupdate-web's HTTP, and RFC 2136 updates signed with TSIG."""

from __future__ import annotations

import socket
import urllib.error
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import PluginBroken, RallyDeployError, ResourceConflict

if TYPE_CHECKING:
    from dns.update import UpdateMessage

_TIMEOUT_S = 15.0
_MOST_TEXT = 500


class NameServerFailed(RallyDeployError):
    """A name server refused, or did not answer.

    ``unmade`` is True if it is certain that nothing was changed there.
    """

    def __init__(self, brief: str, details: str = "", remedy: str = "", unmade: bool = False):
        super().__init__(brief, details, remedy)
        self.unmade = unmade


class NameServer(ABC):
    """Where records are put. ``owner`` is a text that tells our records from others'."""

    #: Whether the protocol has a way to remove a record again.
    can_remove = True

    def require(self) -> None:  # noqa: B027 (what needs nothing has nothing to look for)
        """Raise PluginBroken if what speaks the protocol is not installed."""

    @abstractmethod
    def full_name(self, label: str) -> str:
        """The record's name as far as we know it."""

    @abstractmethod
    def publish(self, label: str, address: str, owner: str) -> None:
        """Make the name point to the address.

        Raises NameServerFailed, or ResourceConflict if the name is somebody else's.
        """

    @abstractmethod
    def remove(self, label: str, address: str, owner: str) -> None:
        """Take the record away; absent already, or another's by now, is success."""


class NsupdateWeb(NameServer):
    """``GET URL?name=SHORT&ip=ADDRESS``: 200 is success or no change, else an error's text."""

    can_remove = False

    def __init__(self, url: str) -> None:
        self._url = url

    def full_name(self, label: str) -> str:
        return label

    def publish(self, label: str, address: str, owner: str) -> None:
        asked = urllib.parse.urlencode({"name": label, "ip": address})
        url = f"{self._url}{'&' if '?' in self._url else '?'}{asked}"
        server = urllib.parse.urlsplit(self._url).netloc.rpartition("@")[2]
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
                answer.read(_MOST_TEXT)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(_MOST_TEXT).decode("utf-8", "replace").strip()
            raise NameServerFailed(
                f"{server} did not take the name {label}: {said or error.reason}",
                f"HTTP status {error.code}", "look at nsupdate-web's rules for this name",
                unmade=error.code < 500,
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise NameServerFailed(
                f"{server} did not answer for the name {label}: {reason}",
                remedy="look at 'nsupdate_url', and whether nsupdate-web runs there",
                unmade=isinstance(reason, (ConnectionRefusedError, socket.gaierror)),
            ) from error

    def remove(self, label: str, address: str, owner: str) -> None:
        raise NotImplementedError("nsupdate-web cannot remove a record")


class SignedUpdates(NameServer):
    """RFC 2136 over TCP, signed. A TXT record beside each address says whose it is."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._server, self._port = config["server"], config["port"]
        self._zone, self._ttl = config["zone"].rstrip(".") + ".", config["ttl"]
        self._key = config["key_name"].rstrip(".") + ".", config["key_secret"]
        self._algorithm = config["key_algorithm"]

    def require(self) -> None:
        try:
            import dns.update  # noqa: F401
        except ImportError as error:
            raise PluginBroken(
                "the 'dns' block needs dnspython", str(error),
                "install it with: pip install 'rally_deploy[dns]'",
            ) from error

    def full_name(self, label: str) -> str:
        return f"{label}.{self._zone}".rstrip(".")

    def publish(self, label: str, address: str, owner: str) -> None:
        def change(update: UpdateMessage) -> None:
            update.absent(label)
            update.add(label, self._ttl, _type(address), address)
            update.add(label, self._ttl, "TXT", _text(owner))

        code = self._send(self._update(label, change), label)
        if code == "YXDOMAIN":
            raise ResourceConflict(
                f"the name {self.full_name(label)} is in DNS already, and not ours",
                remedy="remove it there, or give the server another name",
            )
        if code != "NOERROR":
            raise self._refused(label, code)

    def remove(self, label: str, address: str, owner: str) -> None:
        import dns.exception

        def change(update: UpdateMessage) -> None:
            update.present(label, "TXT", _text(owner))
            update.delete(label, _type(address), address)
            update.delete(label, "TXT", _text(owner))

        try:
            update = self._update(label, change)
        except NameServerFailed as error:
            if isinstance(error.__cause__, dns.exception.DNSException):
                return  # what DNS has no way to write was never published
            raise
        code = self._send(update, label)
        if code in ("NXRRSET", "NXDOMAIN"):
            return  # whatever is there does not carry our mark
        if code != "NOERROR":
            raise self._refused(label, code)

    def _update(self, label: str, change: Callable[[UpdateMessage], None]) -> UpdateMessage:
        """The message with this change, whole and signed once already: sending it cannot fail."""
        import dns.tsig
        import dns.update

        # The one algorithm whose name in the protocol is not what people call it.
        algorithm = dns.tsig.HMAC_MD5 if self._algorithm == "hmac-md5" else self._algorithm
        try:
            name, secret = self._key
            key = dns.tsig.Key(name, secret, algorithm)
            update = dns.update.UpdateMessage(self._zone, keyring=key)
            change(update)
            update.to_wire()
        except Exception as error:
            # dnspython raises what comes up in it: KeyError, binascii.Error, its own ...
            raise NameServerFailed(
                f"no update can be written for the name {self.full_name(label)}: "
                f"{type(error).__name__}: {error}",
                remedy="look at 'zone', 'key_name', 'key_secret' and 'key_algorithm'", unmade=True,
            ) from error
        return update

    def _send(self, update: UpdateMessage, label: str) -> str:
        """The answer's code in words."""
        import dns.exception
        import dns.query
        import dns.rcode
        import dns.tsig

        where = f"the name server {self._server}"
        try:
            link = socket.create_connection((self._server, self._port), timeout=_TIMEOUT_S)
        except OSError as error:
            raise NameServerFailed(
                f"{where} cannot be reached for the name {label}: {error.strerror or error}",
                f"TCP, port {self._port}", "look at 'server' and 'port' of the dns block",
                unmade=True,
            ) from error
        with link:
            link.setblocking(False)
            try:
                answer = dns.query.tcp(
                    update, self._server, timeout=_TIMEOUT_S, port=self._port, sock=link)
            except dns.tsig.PeerError as error:
                raise self._refused(label, f"{type(error).__name__}: {error}") from error
            except (dns.exception.DNSException, OSError, EOFError) as error:
                raise NameServerFailed(
                    f"{where} did not answer for the name {label}: "
                    f"{str(error) or type(error).__name__}",
                    remedy="look at the name server's log",
                ) from error
        return dns.rcode.to_text(answer.rcode())

    def _refused(self, label: str, code: str) -> NameServerFailed:
        hint = _WRONG_KEY if code.startswith("Peer") else _HINTS.get(code)
        return NameServerFailed(
            f"the name server {self._server} did not take {self.full_name(label)}: {code}",
            remedy=hint or "look at the name server's log", unmade=True,
        )


_WRONG_KEY = "look at 'key_name', 'key_secret' and 'key_algorithm', and at both machines' clocks"
_HINTS = {
    "REFUSED": "allow updates of this zone with this key: names with A, AAAA and TXT records",
    "NOTAUTH": "look at 'zone', and whether this is its primary name server",
    "NOTZONE": "look at 'zone': the name is outside of it",
}


def name_server(config: Mapping[str, Any]) -> NameServer:
    """The name server of a ``dns`` block."""
    if "nsupdate_url" in config:
        return NsupdateWeb(config["nsupdate_url"])
    return SignedUpdates(config)


def _type(address: str) -> str:
    return "A" if ip_address(address).version == 4 else "AAAA"


def _text(owner: str) -> str:
    return f'"rdeploy={owner}"'
