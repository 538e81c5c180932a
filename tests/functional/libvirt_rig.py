"""A real libvirtd for tests, with a template that boots in seconds even in software.

``Libvirtd`` runs virtlogd and libvirtd in a mount namespace, where /etc/libvirt, /var/lib/libvirt
and so on are folders of its own: nothing of a libvirt that this machine has is touched. Its
network is an isolated bridge. At the end only what it started is ended, by its process id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rally_deploy.serverprovider.virsh import events
from tests.functional.small_guest import WITH_AGENT
from tests.functional.sshd_hosts import SSHD, keygen, sh, until

PASSWORD = "sesame-rdt"

# Names that tests which look for what rdeploy has left on this machine do not take for its own.
_NETWORK = """<network><name>guests</name><bridge name='{bridge}' stp='off' delay='0'/>
<ip address='{net}.1' netmask='255.255.255.0'><dhcp>
<range start='{net}.10' end='{net}.99'/></dhcp></ip></network>"""

_BOOT = """<kernel>{guest}/vmlinuz</kernel><initrd>{guest}/{initramfs}</initrd>
<cmdline>console=ttyS0 quiet {words}</cmdline>"""

_DOMAIN = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>{memory_mb}</memory>
<vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type>{boot}</os>
<features><acpi/></features><on_reboot>destroy</on_reboot><devices>
<emulator>{emulator}</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/>
<target dev='vda' bus='virtio'/></disk>
<interface type='network'><source network='{network}'/><model type='virtio'/></interface>
<serial type='pty'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
{channel}<memballoon model='none'/></devices></domain>"""

# With a path of the template's own, as virt-manager once wrote it.
_CHANNEL = """<channel type='unix'><source mode='bind' path='{folder}/template-agent'/>
<target type='virtio' name='org.qemu.guest_agent.0'/></channel>"""

# A node of /dev/kvm that QEMU's user may open: without it libvirt looks anew at QEMU each time.
_PREPARE = r"""
mount --make-rprivate /
mkdir -p /run/libvirt /var/log/libvirt /var/cache/libvirt
for pair in etc:/etc/libvirt lib:/var/lib/libvirt run:/run/libvirt log:/var/log/libvirt \
    cache:/var/cache/libvirt; do
    mkdir -p "$1/${pair%%:*}"
    mount --bind "$1/${pair%%:*}" "${pair#*:}"
done
if [ -e /dev/kvm ]; then
    mknod "$1/kvm" c 10 232; chgrp kvm "$1/kvm"; chmod 660 "$1/kvm"
    mount --bind "$1/kvm" /dev/kvm
fi
exec virtlogd --pid-file "$1/virtlogd.pid"
"""

_QEMU_CONF = """security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
user = "root"
group = "root"
"""


class Libvirtd:
    """``with Libvirtd(folder) as here``: ``here.uri`` is a hypervisor with the template ``tpl``.

    :param guest: folder of a guest's parts that were built before; None: nothing is booted.
    """

    def __init__(self, guest: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rdt-libvirt-"))
        self.folder.chmod(0o755)
        self.uri = f"qemu+unix:///system?socket={self.folder}/run/libvirt-sock"
        self.pool = self.folder / "pool"
        self._guest = guest
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.net = ""

    def __enter__(self) -> Libvirtd:
        import libvirt

        try:
            self._start()
            events.run()
            self.connection = libvirt.open(self.uri)
            self._furnish()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        (self.folder / "etc").mkdir()
        (self.folder / "etc" / "qemu.conf").write_text(_QEMU_CONF)
        (self.folder / "etc" / "libvirtd.conf").write_text('auth_unix_rw = "none"\n')
        self._run("virtlogd", "unshare", "-m", "sh", "-ec", _PREPARE, "sh", str(self.folder))
        self.start_libvirtd()

    def _run(self, name: str, *argv: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def inside(self, *argv: str) -> list[str]:
        """A command line that runs where this libvirtd's folders are /etc/libvirt and so on."""
        pid = (self.folder / "virtlogd.pid").read_text().strip()
        return ["nsenter", "-m", "-t", pid, *argv]

    def start_libvirtd(self) -> None:
        until((self.folder / "virtlogd.pid").exists, "virtlogd")
        file = self.folder / "run" / "libvirt-sock"
        file.unlink(missing_ok=True)
        pid_file = f"{self.folder}/libvirtd.pid"
        self._run("libvirtd", *self.inside("libvirtd", "--pid-file", pid_file))
        until(file.exists, "libvirtd")

    def stop_libvirtd(self, number: int = signal.SIGTERM) -> None:
        """End libvirtd; its guests run on."""
        self._end("libvirtd", number)

    def _end(self, name: str, number: int = signal.SIGTERM) -> None:
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _furnish(self) -> None:
        self.pool.mkdir()
        pool = self.connection.storagePoolCreateXML(
            f"<pool type='dir'><name>rdt</name><target><path>{self.pool}</path></target></pool>")
        self.net, number = free_net(77)
        self.connection.networkCreateXML(
            _NETWORK.format(net=self.net, bridge=f"guests{number}"))
        pool.createXML("<volume><name>tpl.qcow2</name><capacity unit='MiB'>8</capacity>"
                       "<target><format type='qcow2'/></target></volume>")
        key = self.folder / "key"
        keygen(key)
        public = Path(f"{key}.pub").read_text().split()[1]
        self.key = str(key)
        hashed = sh("openssl", "passwd", "-6", PASSWORD).strip()
        self.login = f"rdt.key={public} rdt.hash={hashed}"
        if self._guest:
            self.define("tpl", self.login)
        else:
            self.define("tpl", memory_mb=32)

    def define(
        self, name: str, words: str | None = None, memory_mb: int = 128, disk: str = "tpl.qcow2",
        network: str = "guests", agent: bool = False,
    ) -> Any:
        """A domain that may be a template.

        :param words: more of its kernel's command line; without any it has nothing to boot, and
            costs next to nothing while it runs.
        :param agent: with a channel to a guest agent, and what ``small_guest.add_agent`` made.
        """
        import libvirt

        with contextlib.suppress(libvirt.libvirtError):
            self.connection.lookupByName(name).undefine()
        boot = "" if words is None else _BOOT.format(
            guest=self._guest, words=words, initramfs=WITH_AGENT if agent else "initramfs")
        return self.connection.defineXML(_DOMAIN.format(
            name=name, boot=boot, network=network, memory_mb=memory_mb,
            disk=f"{self.pool}/{disk}", emulator=shutil.which("qemu-system-x86_64"),
            channel=_CHANNEL.format(folder=self.folder) if agent else "",
        ))

    def block(self, **keys: object) -> dict[str, object]:
        """A provider's block for this hypervisor."""
        return {"type": "VirshProvider", "connection": self.uri, "template_name": "tpl",
                "template_user": "root", "template_key": self.key, "amount": 1, **keys}

    def domains(self) -> list[str]:
        return sorted(domain.name() for domain in self.connection.listAllDomains())

    def ours(self) -> list[str]:
        """What is there that rdeploy made: domains, files in the pool, QEMU's processes."""
        domains = [name for name in self.domains() if name.startswith("rd-")]
        files = [path.name for path in self.pool.iterdir() if path.name.startswith("rd-")]
        lines = sh("ps", "-eo", "args").splitlines()
        running = [line[:60] for line in lines
                   if "qemu-system" in line and "guest=rd-" in line and str(self.folder) in line]
        return sorted({*domains, *files, *running})

    def consoles(self) -> list[str]:
        """What the consoles of rdeploy's clones have said."""
        return [path.read_text(errors="replace") for path in sorted(self.pool.iterdir())
                if "-console-" in path.name]

    @contextlib.contextmanager
    def sshd(self, port: int = 0) -> Iterator[str]:
        """An sshd of this libvirtd's machine: yields ``user@host:port``."""
        folder, port = self.folder, port or 22000 + os.getpid() % 2000
        if not (folder / "host_key").exists():
            keygen(folder / "host_key")
        (folder / "authorized_keys").write_text(Path(f"{self.key}.pub").read_text())
        (folder / "sshd_config").write_text(
            f"HostKey {folder}/host_key\nPidFile none\nAuthorizedKeysFile "
            f"{folder}/authorized_keys\nListenAddress 127.0.0.1:{port}\nUsePAM no\n"
            f"StrictModes no\nPermitRootLogin yes\nSetEnv HOME={folder}\n")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self._run("sshd", *self.inside(str(SSHD), "-D", "-e", "-f", f"{folder}/sshd_config"))

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            until(listens, "sshd")
            yield f"root@127.0.0.1:{port}"
        finally:
            self._end("sshd")

    def pid(self, name: str) -> int:
        """The process of ``libvirtd``, ``virtlogd`` or ``sshd``."""
        return self._processes[name].pid

    def reconnect(self) -> None:
        """After libvirtd was ended and started: this object's own connection anew."""
        import libvirt

        with contextlib.suppress(libvirt.libvirtError):
            self.connection.close()
        self.connection = libvirt.open(self.uri)

    def close(self) -> None:
        if hasattr(self, "connection"):
            if "libvirtd" not in self._processes:
                self.start_libvirtd()
            import libvirt

            with contextlib.closing(libvirt.open(self.uri)) as connection:
                for domain in connection.listAllDomains():
                    if domain.isActive():
                        domain.destroy()
                for network in connection.listAllNetworks():
                    if network.isActive():
                        network.destroy()
            with contextlib.suppress(libvirt.libvirtError):
                self.connection.close()
        for name in ("sshd", "libvirtd", "virtlogd"):
            self._end(name)
        shutil.rmtree(self.folder, ignore_errors=True)


def free_net(first: int) -> tuple[str, int]:
    """The first three numbers of a network that this machine does not have, and the third one."""
    for number in range(first, first + 20):
        net = f"172.31.{number}"
        if not sh("ip", "-4", "address", "show", "to", f"{net}.0/24").strip():
            return net, number
    raise AssertionError("no network is free")
