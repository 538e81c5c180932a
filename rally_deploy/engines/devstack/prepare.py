"""A server made fit for DevStack: packages, language, account, and what a container lacks."""

from __future__ import annotations

import configparser
from pathlib import Path

from rally_deploy.engines.devstack.node import Node
from rally_deploy.hosts import packages
from rally_deploy.hosts.files import File, put_all
from rally_deploy.ssh.base import Shell

#: What has to be there before DevStack can install anything itself.
PACKAGES = ("git", "sudo", "ca-certificates", "locales", "lsb-release", "python3", "iproute2")

_CA_FOLDER = "/usr/local/share/ca-certificates"
_PIP_FILES = ("/etc/pip.conf", "/root/.config/pip/pip.conf", "/root/.pip/pip.conf")

#: Units and settings that make DevStack run in today's containers; undone by ``removal``.
QUIRK_FILES = (
    "/etc/systemd/system/devstack@.service.d/50-rdeploy.conf",
    "/etc/systemd/system/iscsid.service.d/50-rdeploy.conf",
    "/etc/systemd/system/rdeploy-no-ksm.service",
)

# A stop of services that only end by force takes over a minute otherwise.
_STOP_SOON = "[Service]\nTimeoutStopSec=10\nKillMode=mixed\n"

# The daemon of a service that no fake compute uses is restarted on every compute.
_NO_ISCSI = """# Written by rdeploy: this kernel has no sockets of its kind
[Service]
Type=oneshot
RemainAfterExit=yes
PIDFile=
ExecStartPre=
ExecStart=
ExecStart=/bin/true
ExecStop=
"""

_NO_KSM = """# Written by rdeploy
[Unit]
Description=An empty /sys/kernel/mm: DevStack writes to ksm if it is there
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/mount -t tmpfs -o ro,nosuid,nodev,noexec,size=4k tmpfs /sys/kernel/mm
ExecStop=/bin/umount /sys/kernel/mm

[Install]
WantedBy=sysinit.target
"""

# Not by locale-gen: its list of languages is the host's own.
_LANGUAGE = """
if locale -a | grep -qixE 'en_US[.]utf-?8'; then exit 0; fi
if command -v dnf >/dev/null; then dnf -y -q install glibc-langpack-en; exit 0; fi
localedef -i en_US -f UTF-8 en_US.UTF-8
"""

_ACCOUNT = """
user=$1 home=$2
getent group "$user" >/dev/null || groupadd "$user"
getent passwd "$user" >/dev/null ||
    useradd -g "$user" -s /bin/bash -d "$home" -m -c "made by rdeploy" "$user"
mkdir -p "$home"
chown "$user:" "$home"
# Services of other accounts have to come in.
chmod 755 "$home"
"""

_DNF = "dnf -y -q install git sudo ca-certificates python3 iproute"

# Most of stack.sh's time goes into packages, and theirs into waiting for the disk. A server
# that was made for this is made anew if it ever breaks.
_FAST_DPKG = File("/etc/dpkg/dpkg.cfg.d/90rdeploy", "force-unsafe-io\n")

# RabbitMQ keeps its data under its node's name: a container's host name may change. A file that
# is there is somebody's own.
_RABBIT = "/etc/rabbitmq/rabbitmq-env.conf"
_RABBIT_TEXT = "# Written by rdeploy\nNODENAME=rabbit@localhost\n"


def install_packages(node: Node, job: str) -> None:
    """Install what DevStack itself needs to begin."""
    if node.found.get("packages") == "dnf":
        node.shell.script(_DNF, timeout_s=900)
        return
    if node.ours:
        put_all(node.shell, [_FAST_DPKG])
    names = packages.missing(node.shell, PACKAGES)
    if names:
        packages.download(node.shell, job, names)
        packages.install(node.shell, job, names, fast=node.ours)


def make_account(node: Node) -> None:
    """The account with its rights and its home, and the language that DevStack speaks."""
    node.shell.script(_LANGUAGE, timeout_s=300)
    node.shell.script(_ACCOUNT, node.user, node.home)
    # Never empty for a moment: services of an earlier run may be asking sudo.
    node.shell.put(
        "/etc/sudoers.d/50_stack_sh", f"{node.user} ALL=(ALL) NOPASSWD:ALL\n", mode=0o440)


def adapt(node: Node) -> None:
    """What today's containers need; on a whole machine next to nothing."""
    files = [File(QUIRK_FILES[0], _STOP_SOON)]
    if "iscsi" in node.lacks:
        files.append(File(QUIRK_FILES[1], _NO_ISCSI))
    if "ksm" in node.lacks:
        files.append(File(QUIRK_FILES[2], _NO_KSM))
    if node.ours and not node.shell.exists(_RABBIT):
        files.append(File(_RABBIT, _RABBIT_TEXT))
    put_all(node.shell, files)
    node.shell.run(["systemctl", "daemon-reload"])
    if "ksm" in node.lacks:
        node.shell.run(["systemctl", "enable", "-q", "--now", "rdeploy-no-ksm.service"])


def trust_our_mirrors(node: Node, host: Shell | None) -> None:
    """Give a server that we made the certificates and pip's settings of the machine it is on.

    :param host: that machine; None: ours. Servers that were there before us have their own.
    """
    if not node.ours or node.shell.exists("/etc/pip.conf"):
        return
    certificates, settings = _of_host(host) if host else _of_here()
    if certificates:
        put_all(node.shell, [
            File(f"{_CA_FOLDER}/{name}", text) for name, text in certificates.items()])
        node.shell.run(["update-ca-certificates"], timeout_s=120)
    if settings:  # the last, as it tells that all is there
        node.shell.put("/etc/pip.conf", settings)


_READ_HOST = f"""
for file in {_CA_FOLDER}/*.crt {" ".join(_PIP_FILES)}; do
    if [ -f "$file" ]; then printf '\\001%s\\n' "$file"; cat "$file"; fi
done
"""


def _of_host(host: Shell) -> tuple[dict[str, str], str]:
    parts = host.script(_READ_HOST, quiet=True).stdout.split("\1")[1:]
    read = dict(part.split("\n", 1) for part in parts)
    certificates = {Path(p).name: t for p, t in read.items() if p.startswith(_CA_FOLDER)}
    return certificates, pip_settings([t for p, t in read.items() if p in _PIP_FILES])


def _of_here() -> tuple[dict[str, str], str]:
    certificates = {p.name: _text(p) for p in sorted(Path(_CA_FOLDER).glob("*.crt"))}
    home = Path.home()
    pips = [Path("/etc/pip.conf"), home / ".config/pip/pip.conf", home / ".pip/pip.conf"]
    return certificates, pip_settings([_text(p) for p in pips if p.is_file()])


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def pip_settings(texts: list[str]) -> str:
    """One pip.conf of several, without the folders that only their own machine has."""
    merged: dict[str, dict[str, str]] = {}
    for text in texts:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for section in parser.sections():
            for key, value in parser.items(section):
                local = "file:" in value or value.strip().startswith(("/", "~", "."))
                if key == "cert" or not local:
                    merged.setdefault(section, {})[key] = value
    return "".join(
        f"[{section}]\n" + "".join(
            f"{key} = {value}\n".replace("\n", "\n    ").rstrip(" ") for key, value in keys.items()
        )
        for section, keys in merged.items()
    )
