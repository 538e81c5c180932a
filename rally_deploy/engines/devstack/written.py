"""What DevStack has written on a server: its settings, endpoints, logins and Nova's hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import CloudBroken

#: The parts of the answer, each behind a line of its own.
_PART = "\1"

_READ = r"""
cd "$1"
part() { printf '\n\001%s\n' "$1"; }
part stackenv; cat .stackenv 2>/dev/null || :
part clouds; cat /etc/openstack/clouds.yaml 2>/dev/null || :
part transport; sed -n 's/^transport_url *= *//p' /etc/nova/nova.conf 2>/dev/null || :
part computes
if ls /etc/nova/nova-fake.conf-* >/dev/null 2>&1; then
    sed -n 's/^host *= *//p' /etc/nova/nova-fake.conf-*
elif [ -e /etc/nova/nova-cpu.conf ]; then
    host=$(sed -n 's/^host *= *//p' /etc/nova/nova-cpu.conf | head -n 1)
    echo "${host:-$(hostname)}"
fi
part ca
ca=$(sed -n 's/^OS_CACERT=//p' .stackenv 2>/dev/null || :)
if [ -n "$ca" ] && [ -e "$ca" ]; then cat "$ca"; fi
"""

# DevStack reads them itself, so that whatever stands in local.conf is taken as it takes it.
_SETTINGS = r"""
set +e
cd "$1"
source ./stackrc >/dev/null 2>&1
for name in ADMIN_PASSWORD SERVICE_PASSWORD DATABASE_PASSWORD RABBIT_PASSWORD RABBIT_USERID \
    RABBIT_HOST SERVICE_HOST VIRT_DRIVER; do printf '%s=%s\0' "$name" "${!name}"; done
"""


@dataclass(frozen=True)
class Written:
    """One stacked server, as it is after its ``stack.sh``."""

    environment: Mapping[str, str] = field(default_factory=dict)  # of .stackenv
    clouds: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    transport_url: str = field(default="", repr=False)
    computes: tuple[str, ...] = ()
    ca: str = field(default="", repr=False)

    @property
    def services(self) -> frozenset[str]:
        """The services that were enabled there."""
        return frozenset(self.environment.get("ENABLED_SERVICES", "").split(","))

    @property
    def is_controller(self) -> bool:
        return bool(self.services & {"key", "keystone"})

    @property
    def has_compute(self) -> bool:
        return bool(self.services & {"n-cpu"})


def read(node: Node) -> Written:
    text = node.shell.script(_READ, node.checkout, quiet=True).stdout
    parts = {
        name: rest for name, _, rest in
        (part.partition("\n") for part in text.split(_PART)[1:])
    }
    pairs = (line.split("=", 1) for line in parts["stackenv"].splitlines() if "=" in line)
    return Written(
        {k: v for k, v in pairs if not k.startswith("#")},
        (yaml.safe_load(parts["clouds"]) or {}).get("clouds", {}),
        next(iter(parts["transport"].split()), ""),
        tuple(parts["computes"].split()),
        parts["ca"].strip(),
    )


def settings(node: Node) -> dict[str, str]:
    """Some variables of the cloud as DevStack itself reads them, passwords among them."""
    done = node.shell.run(
        [*node.environment, "bash", "-s", "--", node.checkout], stdin=_SETTINGS, user=node.user,
        quiet=True,
    )
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)


def login(node: Node, written: Written) -> dict[str, str]:
    """How its admin uses the cloud from the controller itself, as clouds.yaml there has it."""
    cloud = written.clouds.get("devstack-admin")
    auth = cloud.get("auth") if cloud else None
    if not cloud or not isinstance(auth, Mapping):
        raise CloudBroken(
            f"{node.label}: DevStack has written no login of the admin",
            "there is no cloud devstack-admin in /etc/openstack/clouds.yaml",
            "look what its log says with 'rdeploy logs'",
        )
    return {
        "auth_url": str(auth["auth_url"]), "username": str(auth["username"]),
        "password": str(auth["password"]), "project_name": str(auth.get("project_name", "admin")),
        "user_domain_name": "Default", "project_domain_name": "Default",
        "region_name": str(cloud.get("region_name") or "RegionOne"),
        "https_cacert": str(cloud.get("cacert") or ""),
    }


def login_elsewhere(login: Mapping[str, str], written: Written) -> dict[str, str]:
    """The login for others: the certificates, which are a file on the controller, as text."""
    values = {key: value for key, value in login.items() if key != "https_cacert"}
    return {**values, "https_ca": written.ca} if login["https_cacert"] else values
