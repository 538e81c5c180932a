"""libvirt's test driver as a hypervisor with a template, and servers on which all succeeds."""

from rally_deploy.ssh.base import Result, Shell

URI = "test:///default"

VOLUME = """<volume><name>{}</name><capacity>1048576</capacity>
<target><format type='qcow2'/></target></volume>"""

TEMPLATE = """<domain type='test'><name>{name}</name><memory>262144</memory><vcpu>1</vcpu>
<os><type>hvm</type></os><devices>{disk}{nic}<serial type='pty'/></devices></domain>"""

DISK = """<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
<source file='{}'/><target dev='vda' bus='virtio'/></disk>"""

POOLED = DISK.format("/default-pool/tpl.qcow2")

NIC = "<interface type='network'><source network='default'/></interface>"


class Hypervisor:
    """The test driver lives in this process, as long as a connection to it is open."""

    block = {"type": "VirshProvider", "connection": URI, "template_name": "tpl",
             "template_user": "root", "template_password": "sesame", "amount": 2}

    def __enter__(self):
        import libvirt

        from rally_deploy.serverprovider.virsh import events

        events.run()
        self.libvirt = libvirt
        self.connection = libvirt.open(URI)
        self.pool = self.connection.storagePoolLookupByName("default-pool")
        self.volume("tpl.qcow2")
        self.domain("tpl")
        return self

    def __exit__(self, *error):
        for domain in self.connection.listAllDomains():
            if domain.name() != "test":
                if domain.isActive():
                    domain.destroy()
                domain.undefine()
        if self.pool.isActive():
            for name in self.pool.listVolumes():
                self.pool.storageVolLookupByName(name).delete()
        self.connection.close()

    def volume(self, name):
        return self.pool.createXML(VOLUME.format(name))

    def domain(self, name, disk=POOLED, nic=NIC):
        return self.connection.defineXML(TEMPLATE.format(name=name, disk=disk, nic=nic))

    def lookup(self, name):
        return self.connection.lookupByName(name)

    def names(self):
        """All domains and volumes but those that were there at first."""
        domains = [domain.name() for domain in self.connection.listAllDomains()]
        volumes = self.pool.listVolumes() if self.pool.isActive() else []
        return sorted({*domains, *volumes} - {"test", "tpl", "tpl.qcow2"})

    def ours(self):
        return [name for name in self.names() if name.startswith("rd-")]


class AnsweringShell(Shell):
    def __init__(self, server, observer, shells):
        super().__init__(server, observer)
        self._shells = shells

    def execute(self, command, stdin, timeout_s, quiet):
        self._shells.seen.append((self.server, command, stdin.decode()))
        return self._shells.answer(self.server, command)


class AnsweringShells:
    """``answer(server, command)`` may be replaced."""

    def __init__(self):
        self.seen = []
        self.answer = lambda server, command: Result(command, 0, "", "", 0.0)

    def get(self, server, observer, host_keys):
        return AnsweringShell(server, observer, self)

    def close(self):
        pass
