"""The disk for cloud-init: an ISO 9660 file system, read here as a kernel would."""

import json
import struct

from rally_deploy.serverprovider.virsh.seed import iso, seed


def read(disk):
    """(label, name -> content) of an ISO 9660 file system's root."""
    descriptor = disk[16 * 2048:17 * 2048]
    assert descriptor[:7] == b"\1CD001\1"
    assert disk[17 * 2048:17 * 2048 + 7] == b"\xffCD001\1"
    sectors, big = struct.unpack("<I", descriptor[80:84]), struct.unpack(">I", descriptor[84:88])
    assert sectors == big == (len(disk) // 2048,)
    assert descriptor[881] == 1
    place = struct.unpack("<I", descriptor[158:162])[0] * 2048
    assert disk[struct.unpack("<I", descriptor[140:144])[0] * 2048 + 2] == place // 2048
    found, at = {}, place
    while disk[at]:
        start, size = struct.unpack("<I4xI", disk[at + 2:at + 14])
        length = disk[at + 32]
        name = disk[at + 33:at + 33 + length]
        assert disk[at] == 33 + length + (length + 1) % 2
        if name not in (b"\0", b"\1"):
            found[name.decode()] = disk[start * 2048:start * 2048 + size]
        at += disk[at]
    return descriptor[40:72].decode().strip(), found


def test_files_of_any_size_are_found_under_their_names():
    files = {"user-data": b"x" * 5000, "meta-data": b"", "n": b"y" * 2048}
    label, found = read(iso("cidata", files))
    assert label == "cidata"
    assert found == {f"{name};1": content for name, content in files.items()}


def test_user_gets_the_key_and_may_become_root():
    _, found = read(seed("ubuntu", "ssh-ed25519 AAAA", "rd-1-abcd", "rd-1"))
    head, _, config = found["user-data;1"].partition(b"\n")
    assert head == b"#cloud-config"
    account = json.loads(config)["users"][1]
    assert (account["name"], account["ssh_authorized_keys"]) == ("ubuntu", ["ssh-ed25519 AAAA"])
    assert "NOPASSWD" in account["sudo"]
    assert json.loads(found["meta-data;1"]) == {
        "instance-id": "rd-1-abcd", "local-hostname": "rd-1"}


def test_root_is_not_shut_out():
    _, found = read(seed("root", "ssh-ed25519 AAAA", "i", "h"))
    config = json.loads(found["user-data;1"].partition(b"\n")[2])
    assert config["disable_root"] is False
    assert "sudo" not in config["users"][1]
