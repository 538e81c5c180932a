"""libcloud's dummy driver with a memory: its cloud is a folder, which outlives the process.

``KeptDummy`` has servers only, known by their names. ``MarkedDummy`` takes metadata, and has
volumes, key pairs, security groups, networks and locations, too. Every call is an outside call.
"""

import json
import threading
import time
import uuid
from functools import wraps
from pathlib import Path

from libcloud.common.exceptions import BaseHTTPError, RateLimitReachedError
from libcloud.common.types import LibcloudError, MalformedResponseError
from libcloud.compute.base import KeyPair, Node, NodeImage, NodeLocation, NodeSize, StorageVolume
from libcloud.compute.drivers.dummy import DummyNodeDriver
from libcloud.compute.providers import DRIVERS, set_driver
from libcloud.compute.types import NodeState, StorageVolumeState

from rally_deploy.testing.killing import outside_call

_lock = threading.Lock()


class KeptCloud:
    """What is there, as files. ``faults`` are raised by the calls they name, one each time.

    What has a time ``listed_from`` is not listed before.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)

    def add(self, kind, name, **values):
        id = uuid.uuid4().hex[:12]
        self._write(self._path(kind, id), {"id": id, "name": name, **values})
        return id

    def change(self, kind, id, **values):
        path = self._path(kind, id)
        with _lock:
            self._write(path, {**json.loads(path.read_text()), **values})

    def remove(self, kind, id):
        self._path(kind, id).unlink()

    def all(self, kind):
        found = []
        for path in self.folder.glob(f"{kind}-*.json"):
            try:
                found.append(json.loads(path.read_text()))
            except FileNotFoundError:
                pass
        listed = [values for values in found if values.get("listed_from", 0) <= time.time()]
        return sorted(listed, key=lambda values: values["name"])

    def _path(self, kind, id):
        return self.folder / f"{kind}-{id}.json"

    def _write(self, path, values):
        # Whole at once: others list while this is written.
        new = path.with_name(f"{path.stem}.{uuid.uuid4().hex}.new")
        new.write_text(json.dumps(values))
        new.rename(path)

    def names(self):
        return sorted(json.loads(path.read_text())["name"] for path in self.folder.glob("*.json"))

    def fault(self, call, *faults):
        """The next calls of this name fail: ``busy`` before, ``cut`` after it took effect ...

        ``late:1.5``: the answer is lost, and it takes effect so many seconds later.
        """
        (self.folder / f"{call}.faults").write_text(json.dumps(faults))

    def next_fault(self, call):
        path = self.folder / f"{call}.faults"
        with _lock:
            faults = json.loads(path.read_text()) if path.exists() else []
            if faults:
                path.write_text(json.dumps(faults[1:]))
        return faults[0] if faults else ""


#: What is raised before the call had any effect.
_RAISED = {
    "busy": RateLimitReachedError(),
    "refused": BaseHTTPError(403, "Quota exceeded for cores"),
    "stale token": BaseHTTPError(401, "Unauthorized"),
    "keystone fails": MalformedResponseError("Malformed response", "code: 500 body:{}"),
    "no service": LibcloudError("Could not find specified endpoint"),
    "nova has no service": BaseHTTPError(
        500, "Unexpected API Error.\n<class 'keystoneauth1.exceptions.catalog.EndpointNotFound'>"),
}


def _outside(call):
    """A call to the cloud: where a process may be killed, and what may fail."""
    @wraps(call)
    def called(self, *arguments, **options):
        with outside_call():
            fault = self.kept.next_fault(call.__name__)
            if fault in _RAISED:
                raise _RAISED[fault]
            done = call(self, *arguments, **options)
            if fault.startswith("late:"):
                at = time.time() + float(fault.partition(":")[2])
                self.kept.change("node", done.id, listed_from=at)
            if fault == "cut" or fault.startswith("late:"):
                raise ConnectionResetError("the connection was cut")
            return done
    return called


class KeptDummy(DummyNodeDriver):
    """Servers that are files."""

    def __init__(self, creds):
        super().__init__(creds)
        self.kept = KeptCloud(creds)

    @_outside
    def list_nodes(self):
        return [self._node(values) for values in self.kept.all("node")]

    @_outside
    def create_node(self, name, size, image):
        return self._create(name)

    @_outside
    def destroy_node(self, node):
        self.kept.remove("node", node.id)
        return True

    def _create(self, name, **extra):
        fault = self.kept.next_fault("boot")
        state = "error" if fault == "error" else "running"
        number = len(self.kept.all("node")) % 250 + 1
        extra = {"fault": {"message": "no valid host"}, **extra} if state == "error" else extra
        ip = "" if fault == "private" else f"192.0.2.{number}"
        id = self.kept.add("node", name, state=state, ip=ip, extra=extra)
        made = next(node for node in map(self._node, self.kept.all("node")) if node.id == id)
        if fault == "unlisted":
            self.kept.change("node", id, listed_from=time.time() + 3600)
        return made

    def _node(self, values):
        public = [values["ip"]] if values["ip"] else []
        return Node(values["id"], values["name"], NodeState(values["state"]), public,
                    ["10.0.0.1"], self, extra=values["extra"])


class MarkedDummy(KeptDummy):
    """With metadata, volumes, key pairs and places."""

    def list_images(self, location=None):
        made = [("Ubuntu 22.04 old", "2022"), ("Ubuntu 22.04", "2023"), ("ubuntu-24.04", "2024"),
                ("windows-2019", "2019")]
        return [NodeImage(f"i-{n}", name, self, {"created": at})
                for n, (name, at) in enumerate(made)]

    def list_sizes(self, location=None):
        sizes = [("s.small", 1024, 10, 1), ("s.big", 8192, 80, 8), ("s.mid", 4096, 40, 2),
                 ("win.mid", 4096, 40, 2), ("s.wide", 4096, 40, 4)]
        return [NodeSize(f"f-{n}", name, ram, disk, None, None, self, {"cpus": cpus})
                for n, (name, ram, disk, cpus) in enumerate(sizes)]

    def list_locations(self):
        return [NodeLocation("l-1", "north", "FI", self), NodeLocation("l-2", "south", "IT", self)]

    def ex_list_security_groups(self):
        return ["default", "ssh"]

    def ex_list_networks(self):
        return [NodeLocation("n-1", "lab", "", self), NodeLocation("n-2", "office", "", self)]

    def list_nodes(self):
        """As Nova does, without the faults."""
        nodes = super().list_nodes()
        for node in nodes:
            node.extra = {**node.extra, "fault": None}
        return nodes

    @_outside
    def ex_get_node_details(self, node_id):
        return next((self._node(v) for v in self.kept.all("node") if v["id"] == node_id), None)

    @_outside
    def create_node(self, name, size, image, location=None, networks=None, ex_keyname=None,
                    ex_userdata=None, ex_metadata=None, ex_security_groups=None):
        return self._create(
            name, metadata=ex_metadata or {}, size=size.name, image=image.name,
            keyname=ex_keyname, userdata=ex_userdata, groups=ex_security_groups,
            networks=[network.name for network in networks or ()],
            location=location.name if location else None)

    @_outside
    def destroy_node(self, node):
        for volume in self.kept.all("volume"):
            if volume["node"] == node.id:
                self.kept.change("volume", volume["id"], node=None)
        self.kept.remove("node", node.id)
        return True

    @_outside
    def list_volumes(self):
        return [self._volume(values) for values in self.kept.all("volume")]

    @_outside
    def create_volume(self, size, name, location=None):
        id = self.kept.add("volume", name, size=size, node=None)
        return next(v for v in map(self._volume, self.kept.all("volume")) if v.id == id)

    @_outside
    def attach_volume(self, node, volume, device=None):
        self.kept.change("volume", volume.id, node=node.id)
        return True

    @_outside
    def destroy_volume(self, volume):
        assert volume.state != StorageVolumeState.INUSE
        self.kept.remove("volume", volume.id)
        return True

    @_outside
    def list_key_pairs(self):
        return [KeyPair(v["name"], v["public"], "", self, extra={"id": v["id"]})
                for v in self.kept.all("key")]

    @_outside
    def import_key_pair_from_string(self, name, key_material):
        self.kept.add("key", name, public=key_material)
        return KeyPair(name, key_material, "", self)

    @_outside
    def delete_key_pair(self, key_pair):
        self.kept.remove("key", key_pair.extra["id"])
        return True

    def _volume(self, values):
        state = StorageVolumeState.INUSE if values["node"] else StorageVolumeState.AVAILABLE
        return StorageVolume(values["id"], values["name"], values["size"], self, state=state)


def known():
    """Make libcloud know these drivers, as ``kept`` and ``marked``."""
    for name, cls in (("kept", KeptDummy), ("marked", MarkedDummy)):
        if name not in DRIVERS:
            set_driver(name, cls.__module__, cls.__name__)
