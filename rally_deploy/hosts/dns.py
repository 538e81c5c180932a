"""Names of servers in DNS: the ``dns`` block that every provider's block may have."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from rally_deploy.errors import ResourceConflict
from rally_deploy.hosts.dns_servers import NameServerFailed, name_server
from rally_deploy.ledger import ResourceOwner
from rally_deploy.model import Resource, Server

if TYPE_CHECKING:
    from rally_deploy.deployment import Deployment

_MOST = 63
_ALGORITHMS = ("hmac-sha256", "hmac-sha512", "hmac-sha384", "hmac-sha224", "hmac-sha1", "hmac-md5")
# Labels of 1 to 63 characters, 254 in all.
_NAME = r"^(?!-)(?=.{1,254}\Z)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?\Z"

#: The key ``dns`` of a provider's block.
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "have the servers' names in DNS: nsupdate-web's HTTP or RFC 2136 updates; a "
                   "name server that fails is a warning, unless 'required'",
    "oneOf": [{"required": ["nsupdate_url"]}, {"required": ["server"]}],
    "dependentRequired": {
        "server": ["zone", "key_name", "key_secret"],
        **{key: ["server"] for key in ("port", "zone", "key_name", "key_secret")},
    },
    "properties": {
        "nsupdate_url": {
            "type": "string", "pattern": r"^https?://[^\s/@]+", "x-empty-is-absent": True,
            "description": "of nsupdate-web; it is asked with ?name=SHORT&ip=ADDRESS, cannot "
                           "remove a record, and replaces one of that name whoever made it",
        },
        "server": {"type": "string", "pattern": r"^[^\s/@]+\Z", "x-empty-is-absent": True,
                   "description": "the zone's primary name server, by name or address"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535, "default": 53,
                 "description": "its port, for TCP"},
        "zone": {"type": "string", "pattern": _NAME, "description": "the zone of the names"},
        "key_name": {"type": "string", "pattern": _NAME, "description": "of the TSIG key"},
        "key_secret": {"type": "string", "pattern": r"^(?=.)(?:[A-Za-z0-9+/]{4})*"
                       r"(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\Z", "x-secret": True,
                       "description": "of the TSIG key, in base64"},
        "key_algorithm": {"enum": list(_ALGORITHMS), "default": _ALGORITHMS[0],
                          "description": "of the TSIG key"},
        "ttl": {"type": "integer", "minimum": 0, "maximum": 604800, "default": 300,
                "description": "seconds that others may keep a record"},
        "required": {"type": "boolean", "default": False,
                     "description": "a server whose name cannot be had fails the deployment"},
    },
}


def with_dns(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A provider's schema with the key ``dns``, unless it has a key of that name itself."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or "dns" in properties:
        return schema
    return {**schema, "properties": {**properties, "dns": SCHEMA}}


def label_of(text: str) -> str:
    """The text as one label of DNS: a to z, 0 to 9 and dashes inside, at most 63; or empty."""
    label = re.sub(r"[^a-z0-9-]+", "-", text.lower())
    return label.strip("-")[:_MOST].rstrip("-")


def labels_of(servers: Sequence[Server], tag: str) -> list[str]:
    """A label for each server, no two alike: of its name, else of its host name, else our tag."""
    found: list[str] = []
    for number, server in enumerate(servers):
        first = server.name or ("" if _is_address(server.host) else server.host.split(".")[0])
        wanted = label_of(first) or f"{tag}-{number}"
        label, more = wanted, 1
        while label in found:
            more += 1
            label = f"{wanted[:_MOST - len(str(more)) - 1].rstrip('-')}-{more}"
        found.append(label)
    return found


@dataclass(frozen=True)
class _Name:
    """A name that a server is to have."""

    label: str
    server: Server


class NamesInDns(ResourceOwner):
    """The DNS records of one provider's servers, in a part of the ledger of their own."""

    def __init__(self, deployment: Deployment, config: Mapping[str, Any]) -> None:
        self.deployment = deployment.part("dns")
        self._required: bool = config["required"]
        self._name_server = name_server(config)

    def require(self) -> None:
        """Raise PluginBroken if what speaks the protocol is not installed."""
        self._name_server.require()

    def publish(self, servers: Sequence[Server]) -> None:
        """Have each server's name point to its address; failures are warnings or raised."""
        labels = labels_of(servers, f"rd-{self.deployment.record.short}")
        self.deployment.each(
            self._name, [_Name(*pair) for pair in zip(labels, servers, strict=True)])

    def delete(self, resource: Resource) -> None:
        if not self._name_server.can_remove:
            self.deployment.note(
                f"the DNS name {resource.name} stays: nsupdate-web cannot remove it")
            return
        self._name_server.remove(resource.key, resource.facts["address"], self.deployment.uuid)

    def _name(self, wanted: _Name) -> None:
        deployment, server = self.deployment, wanted.server
        full = self._name_server.full_name(wanted.label)
        try:
            with deployment.step(f"name {full} in DNS", server):
                self._record(wanted.label, full, _address(server))
        except (NameServerFailed, ResourceConflict) as error:
            if self._required:
                raise
            deployment.note(str(error), server, warning=True)

    def _record(self, label: str, full: str, address: str) -> None:
        ledger = self.deployment.ledger
        row = next((r for r in ledger.alive("dns_record") if r.key == label), None)
        if row and row.facts["address"] != address:
            ledger.release(row, self.delete)

        def make(row: Resource) -> None:
            try:
                self._name_server.publish(label, address, self.deployment.uuid)
            except ResourceConflict:
                ledger.forget(row)
                raise
            except NameServerFailed as error:
                if error.unmade:
                    ledger.forget(row)
                raise

        self.create("dns_record", label, make, name=full, facts={"address": address})


def _address(server: Server) -> str:
    if _is_address(server.host):
        return server.host.partition("%")[0]
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NameServerFailed(
            f"{server.host} has no address that a name could point to", str(error), unmade=True
        ) from error
    return str(found[0][4][0])


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
