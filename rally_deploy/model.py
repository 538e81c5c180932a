"""Values that every layer shares: states with their table of transitions, and frozen records.

Nothing here does I/O or imports another module of the package, except for the error tree.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


class State(str, enum.Enum):
    """Where a deployment is in its life. The arrows stand in :data:`TRANSITIONS`."""

    NEW = "new"  # the row is written, nothing outside exists
    PROVISIONING = "provisioning"  # the provider is making servers
    DEPLOYING = "deploying"  # the engine is making the cloud on them
    READY = "ready"  # the cloud works, its credentials are stored
    FAILED = "failed"  # an error ended it; can be resumed or destroyed
    CANCELLED = "cancelled"  # the user ended it; can be resumed or destroyed
    DESTROYING = "destroying"  # everything made is being removed
    DESTROYED = "destroyed"  # nothing is left but the row

    def __str__(self) -> str:
        return self.value


#: The one table of allowed moves: from -> to.
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.NEW: frozenset(
        {State.PROVISIONING, State.FAILED, State.CANCELLED, State.DESTROYING}
    ),
    State.PROVISIONING: frozenset(
        {State.DEPLOYING, State.FAILED, State.CANCELLED, State.DESTROYING, State.PROVISIONING}
    ),
    State.DEPLOYING: frozenset(
        {State.READY, State.FAILED, State.CANCELLED, State.DESTROYING, State.PROVISIONING}
    ),
    State.READY: frozenset({State.DESTROYING}),
    State.FAILED: frozenset({State.PROVISIONING, State.DESTROYING}),
    State.CANCELLED: frozenset({State.PROVISIONING, State.DESTROYING}),
    State.DESTROYING: frozenset(
        {State.DESTROYED, State.FAILED, State.CANCELLED, State.DESTROYING}
    ),
    State.DESTROYED: frozenset({State.PROVISIONING}),
}

#: States in which a process holds the deployment and renews its lease.
MOVING = frozenset({State.NEW, State.PROVISIONING, State.DEPLOYING, State.DESTROYING})


class ResourceState(str, enum.Enum):
    """Where an outside thing is between our wish and its removal."""

    INTENDED = "intended"  # recorded; it may or may not exist
    LIVE = "live"  # it exists, its facts are known
    RELEASING = "releasing"  # it is being removed; it may or may not exist
    GONE = "gone"  # looked at after its removal: not there

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Server:
    """A machine and how to reach it. Secrets stay out of its repr.

    ``key`` is the path of a private key file, ``private_key`` the text of one; at most one is set.
    ``resource_id`` is the ledger row of the machine if we made it: what is on such a machine goes
    away with it. ``facts`` holds what the provider knows of it (its host, its bridge).
    """

    host: str
    user: str = "root"
    port: int = 22
    name: str = ""
    key: str | None = None
    private_key: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    connection: str = "ssh"  # or "local"
    jump: Server | None = None
    become: bool = False
    resource_id: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def __hash__(self) -> int:
        return hash((self.identity, self.user))

    @property
    def label(self) -> str:
        """What a person calls it: its name, else its address."""
        return self.name or self.host

    @property
    def identity(self) -> str:
        """One host's identity: the address as seen through its jump hosts.

        Two containers on two hosts may have the same address, so the way there belongs to it.
        """
        own = "local" if self.connection == "local" else f"{self.host}:{self.port}"
        return f"{self.jump.identity}>{own}" if self.jump else own

    @property
    def pinned_as(self) -> str:
        """What its host key is pinned for: a machine of ours, else whoever is at the address.

        One that is made anew may get the address of the one that it replaces (a floating address
        stays with its deployment), but not its host key.
        """
        made = f"#{self.resource_id}" if self.resource_id is not None else ""
        return self.identity + made

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON values, secrets included: to be encrypted before it is stored."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["jump"] = self.jump.to_dict() if self.jump else None
        values["facts"] = dict(self.facts)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Server:
        """The inverse of :meth:`to_dict`; also reads a config's ``credentials`` entry."""
        fields = {k: v for k, v in values.items() if v is not None and v != ""}
        if fields.get("jump"):
            fields["jump"] = cls.from_dict(fields["jump"])
        return cls(**fields)


@dataclass(frozen=True)
class Resource:
    """An outside thing in the ledger. Its name is its identity, chosen before it is made."""

    id: int
    deployment_uuid: str
    owner: str  # the plugin's place in the config tree: "engine", "engine.provider" ...
    kind: str  # "lxc_container", "tunnel" ...
    key: str  # unique in (deployment, owner, kind); chosen by the plugin
    name: str  # rd-<first 8 of the uuid>-<key>, or what the plugin chose
    state: ResourceState
    host: Server | None  # the server it is on, with the way there
    facts: Mapping[str, Any]  # what came back when it was made; no secrets
    inside_id: int | None  # the resource whose end is its end too
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class DeploymentRecord:
    """A deployment's row, without its config and credentials (these are encrypted)."""

    uuid: str
    name: str
    parent_uuid: str | None
    state: State
    engine: str  # the engine's type
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None = None  # of the last create or resume
    ready_at: datetime | None = None
    error: str = ""  # of the last failure: brief, details and remedy as text
    lease_owner: str = ""
    lease_expires_at: datetime | None = None
    cancel_requested: bool = False

    @property
    def short(self) -> str:
        """The first 8 characters of the uuid, which tag everything it makes."""
        return self.uuid[:8]


@dataclass(frozen=True)
class Credentials:
    """What a person needs to use a cloud as one user. Keys as Keystone v3 names them."""

    auth_url: str
    username: str
    password: str = field(repr=False)
    project_name: str = ""
    user_domain_name: str = "Default"
    project_domain_name: str = "Default"
    domain_name: str = ""
    region_name: str = ""
    endpoint_type: str = "public"  # interface: admin, internal or public
    https_insecure: bool = False
    https_cacert: str = ""  # a file on this machine
    https_ca: str = field(default="", repr=False)  # certificates to trust, as text (PEM)
