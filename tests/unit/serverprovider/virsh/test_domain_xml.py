"""What a clone's definition has of its own, and what it keeps of its template's."""

import xml.etree.ElementTree as ET

from rally_deploy.serverprovider.virsh.domain_xml import (
    TAG,
    Clone,
    NewDisk,
    definition,
    disks_of,
    has_agent,
    interfaces_of,
    target_of,
)

TEMPLATE = """
<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>tpl</name><uuid>11111111-1111-4111-8111-111111111111</uuid>
  <genid>22222222-2222-4222-8222-222222222222</genid>
  <metadata><os:libosinfo xmlns:os='http://libosinfo.org/xmlns/libvirt/domain/1.0'>
    <os:os id='http://debian.org/debian/12'/></os:libosinfo></metadata>
  <maxMemory slots='2' unit='KiB'>8388608</maxMemory>
  <memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static' current='1'>4</vcpu>
  <cputune><vcpupin vcpu='0' cpuset='1'/><vcpupin vcpu='3' cpuset='2'/></cputune>
  <sysinfo type='smbios'><system>
    <entry name='uuid'>11111111-1111-4111-8111-111111111111</entry></system></sysinfo>
  <os><type arch='x86_64' machine='q35'>hvm</type>
    <nvram template='/usr/share/OVMF/VARS.fd'>/var/lib/libvirt/qemu/nvram/tpl_VARS.fd</nvram></os>
  <cpu mode='host-model'><topology sockets='1' cores='4' threads='1'/></cpu>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap'/>
      <source file='/pool/tpl.qcow2'/><backingStore type='file'><source file='/pool/b'/>
      </backingStore><target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/></disk>
    <disk type='file' device='cdrom'><source file='/iso/x.iso'/><target dev='sda'/>
      <readonly/></disk>
    <disk type='file' device='disk'><source file='/pool/shared'/><target dev='vdb'/><shareable/>
    </disk>
    <interface type='network'><mac address='52:54:00:aa:aa:aa'/>
      <source network='default' portid='x' bridge='virbr0'/><target dev='vnet3'/>
      <model type='virtio'/></interface>
    <interface type='bridge'><mac address='52:54:00:bb:bb:bb'/><source bridge='br0'/></interface>
    <serial type='file'><source path='/var/log/tpl.log'/><log file='/var/log/c.log'/></serial>
    <channel type='unix'><source mode='bind' path='/run/tpl.agent'/>
      <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <graphics type='vnc' port='5901' autoport='no' listen='127.0.0.1' passwd='geheim'/>
  </devices>
  <qemu:commandline><qemu:arg value='-no-user-config'/></qemu:commandline>
</domain>"""


def clone(**keys):
    return Clone(**{
        "name": "rd-12345678-0", "uuid": "33333333-3333-4333-8333-333333333333",
        "macs": ["52:54:00:00:00:01", "52:54:00:00:00:02"],
        "disks": {"vda": NewDisk("/pool/rd-12345678-0-vda", "qcow2")},
        "deployment_uuid": "12345678-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "deployment_name": "it",
        "console_log": "/pool/rd-12345678-0-console.log", **keys,
    })


def made(**keys):
    return ET.fromstring(definition(TEMPLATE, clone(**keys)))


def test_names_that_must_differ_differ():
    root = made()
    text = ET.tostring(root, encoding="unicode")
    assert root.get("id") is None
    assert root.findtext("name") == "rd-12345678-0"
    assert root.findtext("genid") not in (None, "22222222-2222-4222-8222-222222222222")
    for gone in ("11111111", "aa:aa:aa", "bb:bb:bb", "vnet3", "tpl", "5901", "c.log", "/pool/b"):
        assert gone not in text
    assert root.find(f"metadata/{{{TAG}}}deployment").attrib == {
        "uuid": "12345678-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "name": "it"}
    assert root.find("os/nvram").attrib == {"template": "/usr/share/OVMF/VARS.fd"}


def test_all_else_is_kept():
    root = made()
    libosinfo = "{http://libosinfo.org/xmlns/libvirt/domain/1.0}libosinfo"
    assert root.find(f"metadata/{libosinfo}") is not None
    assert root.find("{http://libvirt.org/schemas/domain/qemu/1.0}commandline") is not None
    assert [d.find("source").get("file") for d in root.iterfind("devices/disk")] == [
        "/pool/rd-12345678-0-vda", "/iso/x.iso", "/pool/shared"]
    assert root.find("devices/disk/driver").get("discard") == "unmap"
    assert root.find("devices/disk/address") is not None
    assert root.find("devices/graphics").get("passwd") == "geheim"
    assert (root.findtext("memory"), root.findtext("vcpu")) == ("1048576", "4")
    assert root.find("cpu/topology") is not None


def test_interfaces_get_new_macs_in_their_order():
    text = ET.tostring(made(), encoding="unicode")
    assert interfaces_of(text) == [
        ("network", "default", "52:54:00:00:00:01"), ("bridge", "br0", "52:54:00:00:00:02")]


def test_network_takes_place_of_first_interfaces():
    text = ET.tostring(made(network="lab"), encoding="unicode")
    assert [where for _, where, _ in interfaces_of(text)] == ["lab", "br0"]


def test_console_is_logged_to_a_file_of_its_own():
    serial = made().find("devices/serial")
    assert serial.get("type") == "pty"
    assert serial.find("source") is None
    assert serial.find("log").get("file") == "/pool/rd-12345678-0-console.log"
    assert made(console_log="").find("devices/serial/log") is None


def test_memory_and_cpus_are_overridden_with_all_that_counts_them():
    root = made(memory_mb=2048, vcpus=2)
    assert root.find("memory").attrib == {"unit": "MiB"}
    assert [root.findtext(n) for n in ("memory", "currentMemory", "vcpu")] == ["2048", "2048", "2"]
    assert root.find("vcpu").attrib == {"placement": "static"}
    assert root.find("maxMemory") is None
    assert root.find("cpu/topology") is None
    assert [pin.get("vcpu") for pin in root.iterfind("cputune/vcpupin")] == ["0"]


def test_what_names_dropped_cpus_or_nodes_of_memory_is_dropped_with_them():
    template = TEMPLATE.replace("<cputune>", """<cputune>
  <vcpusched vcpus='0-3' scheduler='fifo' priority='1'/>
  <cachetune vcpus='0,1'/>""").replace("<topology", """<numa><cell id='0' cpus='0-3'
  memory='1048576'/></numa><topology""").replace("<devices>", """
  <numatune><memory mode='strict' nodeset='0'/><memnode cellid='0' mode='strict' nodeset='0'/>
  </numatune><memoryBacking><hugepages><page size='2' unit='M' nodeset='0'/></hugepages>
  </memoryBacking><devices><memory model='dimm'/>""")

    def kept(**keys):
        root = ET.fromstring(definition(template, clone(**keys)))
        return [path for path in (
            "cputune/vcpusched", "cputune/cachetune", "cpu/numa", "numatune/memory",
            "numatune/memnode", "memoryBacking/hugepages/page[@nodeset]", "devices/memory",
        ) if root.find(path) is not None]

    assert kept(vcpus=2) == ["cputune/cachetune", "numatune/memory"]
    assert kept(memory_mb=512) == ["cputune/vcpusched", "cputune/cachetune", "numatune/memory"]
    assert len(kept()) == 7


def test_places_on_the_host_are_not_shared():
    template = TEMPLATE.replace("<serial type='file'><source path='/var/log/tpl.log'/>", """
    <serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555'/><protocol type='raw'/>
    """).replace("</devices>", """<vsock><cid auto='no' address='5'/></vsock>
    <graphics type='spice'><listen type='socket' socket='/run/tpl.spice'/></graphics></devices>""")
    root = ET.fromstring(definition(template, clone()))
    serial = root.find("devices/serial")
    assert serial.get("type") == "pty"
    assert [child.tag for child in serial] == ["log"]
    assert root.find("devices/vsock/cid").attrib == {"auto": "yes"}
    assert "/run/tpl" not in ET.tostring(root, encoding="unicode")


def test_disk_on_a_device_becomes_a_block_disk():
    disk = made(disks={"vda": NewDisk("/dev/vg/rd", "raw", block=True)}).find("devices/disk")
    assert (disk.get("type"), disk.find("source").attrib) == ("block", {"dev": "/dev/vg/rd"})
    assert disk.find("driver").get("type") == "raw"


def test_disk_for_cloud_init_goes_behind_the_others_on_their_bus():
    seed = made(seed="/pool/seed").findall("devices/disk")[-1]
    assert seed.find("source").get("file") == "/pool/seed"
    assert seed.find("target").attrib == {"dev": "vdz", "bus": "virtio"}
    assert seed.find("readonly") is not None
    assert len(made().findall("devices/disk")) == 3


def test_only_disks_of_its_own_are_cloned():
    assert [target_of(disk) for disk in disks_of(TEMPLATE)] == ["vda"]


def test_agent_is_known_by_its_channel():
    assert has_agent(TEMPLATE)
    assert not has_agent("<domain><devices/></domain>")
