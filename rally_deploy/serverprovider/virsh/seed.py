"""What cloud-init reads in a clone: a disk of its NoCloud kind, with our key on it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

_SECTOR = 2048
_DESCRIPTOR, _TABLE_LITTLE, _TABLE_BIG, _ROOT, _FIRST_FILE = 16, 18, 19, 20, 21


def seed(user: str, public_key: str, instance: str, host_name: str) -> bytes:
    """The disk: whoever is ``user`` lets in this key, and works as root without a password."""
    account = {"name": user, "ssh_authorized_keys": [public_key], "lock_passwd": False}
    if user != "root":
        account |= {"sudo": "ALL=(ALL) NOPASSWD:ALL", "shell": "/bin/bash"}
    config = {"users": ["default", account], "disable_root": user != "root"}
    meta = {"instance-id": instance, "local-hostname": host_name}
    return iso("cidata", {
        "meta-data": json.dumps(meta).encode() + b"\n",
        "user-data": b"#cloud-config\n" + json.dumps(config).encode() + b"\n",
    })


def iso(label: str, files: Mapping[str, bytes]) -> bytes:
    """An ISO 9660 file system with these files; their names are kept as they are."""
    records = [_record(b"\0", _ROOT, _SECTOR, True), _record(b"\1", _ROOT, _SECTOR, True)]
    place, contents = _FIRST_FILE, b""
    for name, content in sorted(files.items()):
        records.append(_record(f"{name};1".encode(), place, len(content), False))
        padded = _padded(content)
        contents += padded
        place += len(padded) // _SECTOR
    parts = [
        bytes(_DESCRIPTOR * _SECTOR), _descriptor(label, place), b"\xffCD001\1",
        struct.pack("<BBIH2s", 1, 0, _ROOT, 1, b""), struct.pack(">BBIH2s", 1, 0, _ROOT, 1, b""),
        b"".join(records),
    ]
    return b"".join(_padded(part) for part in parts) + contents


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % _SECTOR)


def _both(format_: str, number: int) -> bytes:
    """A number as this format has them: in both orders of bytes."""
    return struct.pack("<" + format_, number) + struct.pack(">" + format_, number)


def _record(name: bytes, place: int, size: int, folder: bool) -> bytes:
    when = bytes([70, 1, 1, 0, 0, 0, 0])
    body = b"\0" + _both("I", place) + _both("I", size) + when + bytes([2 * folder, 0, 0]) + \
        _both("H", 1) + bytes([len(name)]) + name
    body += b"\0" * ((len(body) + 1) % 2)
    return bytes([len(body) + 1]) + body


def _descriptor(label: str, sectors: int) -> bytes:
    table_size = 10
    return b"".join([
        b"\1CD001\1\0", b"LINUX".ljust(32), label.encode().ljust(32), bytes(8),
        _both("I", sectors), bytes(32), _both("H", 1), _both("H", 1), _both("H", _SECTOR),
        _both("I", table_size), struct.pack("<II", _TABLE_LITTLE, 0),
        struct.pack(">II", _TABLE_BIG, 0), _record(b"\0", _ROOT, _SECTOR, True),
        b" " * (4 * 128 + 3 * 37), (b"0" * 16 + b"\0") * 4, b"\1",
    ])
