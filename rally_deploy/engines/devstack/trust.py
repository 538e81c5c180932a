"""What a compute needs to speak with a controller whose services are behind DevStack's tls-proxy.

DevStack's own way is to copy the controller's whole authority, private keys among it, to every
node. Here a compute only learns to trust it: the certificates go into the system's store, and
Python's clients, which bring certificates of their own, are told to look there: those of stack.sh
by the account's environment, the services by a drop-in of their units.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from rally_deploy.engines.devstack import computes
from rally_deploy.engines.devstack.local_conf import variables
from rally_deploy.engines.devstack.node import Node
from rally_deploy.errors import RallyDeployError
from rally_deploy.hosts.files import File, put_all
from rally_deploy.ssh.base import Shell

_DEBIAN = "/usr/local/share/ca-certificates"
_REDHAT = "/etc/pki/ca-trust/source/anchors"
_NAME = "rdeploy-controller"

#: What :func:`install` makes, and :func:`remove` removes.
DROP_IN = "/etc/systemd/system/devstack@.service.d/60-rdeploy-ca.conf"
CERTIFICATES = (f"{_DEBIAN}/{_NAME}-*.crt", f"{_REDHAT}/{_NAME}-*.crt")

_OVN = frozenset({"ovn-controller", "q-ovn-metadata-agent", "q-ovn-agent"})
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_UPDATE = """
if command -v update-ca-certificates >/dev/null; then update-ca-certificates
else update-ca-trust; fi >/dev/null
"""

# The drop-in comes first and goes last, so it tells whether there is anything to undo. Debian's
# tool leaves the links to a certificate that is gone.
_REMOVE = f"""
[ -e {DROP_IN} ] || exit 0
rm -f {" ".join(CERTIFICATES)}
if [ -d /etc/ssl/certs ]; then find /etc/ssl/certs -type l -lname '*{_NAME}-*' -delete; fi
{_UPDATE}
rm -f {DROP_IN}
systemctl daemon-reload
"""


def authority(handed: Mapping[str, str]) -> str:
    """The certificates of an https controller that was handed on; empty if none are needed."""
    secure = urlsplit(handed.get("controller_auth_url", "")).scheme == "https"
    return handed.get("controller_ca", "") if secure else ""


def bundle(node: Node) -> str:
    """The file of all certificates that the system trusts."""
    if node.found.get("packages") == "dnf":
        return "/etc/pki/tls/certs/ca-bundle.crt"
    return "/etc/ssl/certs/ca-certificates.crt"


def install(node: Node, certificates: str) -> None:
    """Make the server trust them, and everything of DevStack's on it."""
    folder = _REDHAT if node.found.get("packages") == "dnf" else _DEBIAN
    # One in each file: what looks them up by their hashes knows no file of several.
    each = list(dict.fromkeys(_CERTIFICATE.findall(certificates)))
    put_all(node.shell, [
        File(DROP_IN, f"[Service]\nEnvironment=REQUESTS_CA_BUNDLE={bundle(node)}\n"),
        *(File(f"{folder}/{_NAME}-{n}.crt", f"{text}\n") for n, text in enumerate(each)),
    ])
    node.shell.script(f"{_UPDATE}\nsystemctl daemon-reload", timeout_s=120)


def remove(shell: Shell) -> None:
    """Undo :func:`install`; nothing where it was not done."""
    shell.script(_REMOVE, timeout_s=120)


def require_no_keys(handed: Mapping[str, str], local_conf: str | Mapping[str, Any]) -> None:
    """RallyDeployError if this compute of such a controller would need keys of its authority.

    OVN's databases behind tls-proxy let only those in who have a certificate of it.
    """
    services = computes.services(handed, local_conf)
    if (not authority(handed) or "tls-proxy" in services or not services & _OVN
            or "OVN_SB_REMOTE" in variables(local_conf)):
        return
    raise RallyDeployError(
        "computes with OVN cannot join a controller with tls-proxy",
        "its OVN databases ask for certificates that only a holder of the controller's private "
        "keys could make, and these are not handed on",
        "leave tls-proxy out of the controller's services, or OVN out of those of the computes "
        "(ENABLED_SERVICES), or name a database that needs none (OVN_SB_REMOTE)",
    )
