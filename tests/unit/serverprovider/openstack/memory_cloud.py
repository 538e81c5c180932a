"""A small OpenStack in memory that speaks HTTP: Keystone, Nova, Glance, Neutron, Cinder.

It outlives the processes that use it, knows what it was asked, and can be told to fail.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import socket
import ssl
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

PROJECT = "f0" * 16
ROUTES = []


def route(method, pattern):
    def register(function):
        ROUTES.append((method, re.compile(pattern + r"\Z"), function))
        return function
    return register


class Refuse(Exception):
    """An answer that is an error."""

    def __init__(self, status, text="", kind=""):
        super().__init__(text)
        self.status, self.text, self.kind = status, text, kind


@dataclass
class Fault:
    """What happens to some of the requests instead of, or after, what they ask for.

    ``act``: a status, "cut before", "cut after", or "late" (done after the link was cut).
    """

    method: str
    path: str
    act: object
    times: int = 1
    skip: int = 0
    headers: dict = field(default_factory=dict)
    delay_s: float = 0

    def takes(self, method, path):
        if method != self.method or not re.search(self.path, path) or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class MemoryCloud:
    """Its things, each a dict as the API shows it."""

    def __init__(self, certificate=None):
        """With a file of a certificate and its key it speaks HTTPS."""
        self.lock = threading.RLock()
        self.asked, self.faults = [], []
        self.users = {"admin": "sesame"}
        self.tokens = set()
        self.servers, self.groups, self.rules, self.floating, self.ports = {}, {}, {}, {}, {}
        self.keys, self.images, self.volumes, self.deleted = {}, {}, {}, []
        self.flavors = [
            {"id": "1", "name": "m1.tiny", "ram": 512, "vcpus": 1, "disk": 1},
            {"id": "2", "name": "m1.small", "ram": 2048, "vcpus": 2, "disk": 20},
        ]
        self.networks = [
            self._network("private", False), self._network("public", True),
        ]
        self.bad_volumes = set()  # parts of the names of those that fail
        self.attachments = {}
        self.volume_zones = ["nova"]
        self.volume_quota = {"volumes": 10, "gigabytes": 100, "per_volume_gigabytes": -1,
                             "volumes_plain": -1, "gigabytes_plain": -1}
        self.unrouted = set()  # networks without a router to the outer one
        self.limits = {"maxTotalInstances": 10, "totalInstancesUsed": 0, "maxTotalCores": 40,
                       "totalCoresUsed": 0, "maxTotalRAMSize": 51200, "totalRAMUsed": 0,
                       "maxTotalKeypairs": 100}
        self.quota = {
            name: {"limit": 50, "used": 0, "reserved": 0}
            for name in ("port", "floatingip", "security_group", "security_group_rule")
        }
        self.versions = "2.90"
        self.network_path = "/network"  # in the catalog
        self.page = 0  # how many ports Neutron tells at a time; 0: all
        self.services = ["identity", "compute", "image", "network", "volumev3"]
        self.builds = 1  # listings until a server is ACTIVE
        self.fails = {}  # part of a server's name -> the text of its fault
        self.address = 0
        cloud = self

        class Handler(_Handler):
            pass

        Handler.cloud = cloud
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        scheme = "http"
        if certificate:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.root = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @staticmethod
    def _network(name, external):
        return {"id": str(uuid.uuid4()), "name": name, "router:external": external,
                "shared": False, "project_id": PROJECT, "subnets": ["some"]}

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def fail(self, method, path, act, **options):
        self.faults.append(Fault(method, path, act, **options))

    def count(self, method, path):
        """How many requests there were of this kind."""
        return sum(m == method and bool(re.search(path, p)) for m, p in self.asked)

    def things(self):
        """All that was made and is still there."""
        with self.lock:
            named = [self.servers, self.groups, self.volumes, self.images]
            return sorted(
                [thing["name"] for group in named for thing in group.values()]
                + list(self.keys) + [f["description"] for f in self.floating.values()]
                + [f"port of {p['device_id']}" for p in self.ports.values()]
            )

    def new_address(self):
        self.address += 1
        return f"192.0.2.{self.address % 250 + 1}"

    def answer(self, method, path, query, body, token):
        if not path.startswith("/identity/") and token not in self.tokens:
            raise Refuse(401, "no such token")
        for asked, pattern, function in ROUTES:
            found = pattern.match(path)
            if asked == method and found:
                with self.lock:
                    return function(self, query, body, *found.groups())
        raise Refuse(404, f"{method} {path} is not known here")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cloud = None

    def log_message(self, *args):
        pass

    def _read(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _serve(self):
        parts = urlsplit(self.path)
        path, cloud = parts.path, self.cloud
        data = self._read()
        body = data
        if data and "json" in self.headers.get("Content-Type", ""):
            body = json.loads(data)
        with cloud.lock:
            cloud.asked.append((self.command, path))
            fault = next((f for f in cloud.faults if f.takes(self.command, path)), None)
        time.sleep(fault.delay_s if fault else 0)
        if fault and fault.act == "cut before":
            return self._cut()
        if fault and fault.act == "late":
            self._cut()
            time.sleep(0.3)
        if fault and isinstance(fault.act, int):
            text = {"error": {"message": "a fault of the test"}} if fault.act >= 400 else None
            return self._send(fault.act, text, fault.headers)
        headers = {}
        try:
            query = parse_qs(parts.query)
            token = self.headers.get("X-Auth-Token")
            answered = cloud.answer(self.command, path, query, body, token)
            status, shown = answered[:2]
            headers = answered[2] if len(answered) > 2 else {}
        except Refuse as refusal:
            status = refusal.status
            shown = {"error": {"message": refusal.text}}
            if refusal.kind:
                shown = {"NeutronError": {"message": refusal.text, "type": refusal.kind}}
        if fault and fault.act == "late":
            return None
        if fault and fault.act == "cut after":
            return self._cut()
        return self._send(status, shown, headers)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def _cut(self):
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _send(self, status, shown, headers=None):
        data = b"" if shown is None else json.dumps(shown).encode()
        try:
            self.send_response(status)
            kind = {"Content-Type": "application/json"} if data else {}
            for name, value in {**kind, "Content-Length": str(len(data)),
                                **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client was killed


# Keystone: as in real life nothing of it needs a token to be discovered.

@route("GET", "/identity/v3/?")
def keystone_version(cloud, query, body):
    link = {"rel": "self", "href": f"{cloud.root}/identity/v3/"}
    return 200, {"version": {"id": "v3.14", "status": "stable", "links": [link]}}


@route("POST", "/identity/v3/auth/tokens")
def make_token(cloud, query, body):
    user = body["auth"]["identity"]["password"]["user"]
    if cloud.users.get(user["name"]) != user["password"]:
        raise Refuse(401, "The request you have made requires authentication.")
    token = uuid.uuid4().hex
    cloud.tokens.add(token)
    urls = {
        "identity": "/identity/v3", "compute": "/compute/v2.1", "image": "/image",
        "network": cloud.network_path, "volumev3": f"/volume/v3/{PROJECT}",
    }
    catalog = [
        {"type": kind, "name": kind, "id": kind, "endpoints": [
            {"interface": "public", "region": "one", "region_id": "one", "id": kind,
             "url": cloud.root + urls[kind]}]}
        for kind in cloud.services
    ]
    shown = {"token": {
        "methods": ["password"], "expires_at": "2999-01-01T00:00:00.000000Z",
        "issued_at": "2020-01-01T00:00:00.000000Z", "roles": [],
        "user": {"id": "u1", "name": user["name"], "domain": {"id": "default", "name": "D"}},
        "project": {"id": PROJECT, "name": "p", "domain": {"id": "default", "name": "D"}},
        "catalog": catalog, "is_domain": False,
    }}
    return 201, shown, {"X-Subject-Token": token}


# Nova

@route("GET", "/compute/v2.1/?")
def nova_version(cloud, query, body):
    return 200, {"version": {"id": "v2.1", "status": "CURRENT", "version": cloud.versions,
                             "min_version": "2.1", "links": []}}


@route("GET", "/compute/v2.1/flavors/detail")
def list_flavors(cloud, query, body):
    return 200, {"flavors": [
        f for f in cloud.flavors if f.get("public", True) or query.get("is_public") == ["None"]]}


@route("GET", "/compute/v2.1/limits")
def limits(cloud, query, body):
    return 200, {"limits": {"absolute": cloud.limits, "rate": []}}


@route("GET", "/compute/v2.1/os-availability-zone")
def zones(cloud, query, body):
    return 200, {"availabilityZoneInfo": [
        {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}]}


@route("GET", "/compute/v2.1/os-keypairs")
def list_keys(cloud, query, body):
    return 200, {"keypairs": [{"keypair": key} for key in cloud.keys.values()]}


@route("POST", "/compute/v2.1/os-keypairs")
def make_key(cloud, query, body):
    asked = body["keypair"]
    if asked["name"] in cloud.keys:
        raise Refuse(409, f"Key pair '{asked['name']}' already exists.")
    cloud.keys[asked["name"]] = {**asked, "id": asked["name"], "fingerprint": "aa:bb"}
    return 201, {"keypair": cloud.keys[asked["name"]]}


@route("GET", "/compute/v2.1/os-keypairs/([^/]+)")
def get_key(cloud, query, body, name):
    if name not in cloud.keys:
        raise Refuse(404, "no such key")
    return 200, {"keypair": cloud.keys[name]}


@route("DELETE", "/compute/v2.1/os-keypairs/([^/]+)")
def delete_key(cloud, query, body, name):
    if cloud.keys.pop(name, None) is None:
        raise Refuse(404, "no such key")
    return 204, None


@route("GET", "/compute/v2.1/servers/detail")
def list_servers(cloud, query, body):
    pattern = query.get("name", [""])[0]
    for server in list(cloud.servers.values()):
        if server["OS-EXT-STS:task_state"] == "deleting":
            forget_server(cloud, server)
        elif server["status"] == "BUILD":
            server["looks"] += 1
            if server["looks"] > cloud.builds:
                finish(cloud, server)
    found = [s for s in cloud.servers.values() if re.search(pattern, s["name"])]
    if "marker" in query:  # all are on the first page
        found = []
    # The real one's listing does not look into the database of servers without a host.
    return 200, {"servers": [{k: v for k, v in s.items() if k != "fault"} for s in found]}


@route("GET", "/compute/v2.1/servers/([^/]+)")
def get_server(cloud, query, body, server):
    if server not in cloud.servers:
        raise Refuse(404, "no such server")
    return 200, {"server": cloud.servers[server]}


def forget_server(cloud, server):
    del cloud.servers[server["id"]]
    for port in [p for p in cloud.ports.values() if p["device_id"] == server["id"]]:
        del cloud.ports[port["id"]]
        for address in cloud.floating.values():
            if address["port_id"] == port["id"]:
                address["port_id"] = None
    for volume in cloud.volumes.values():
        if volume.get("server") == server["id"]:
            volume.update(status="available", server="")
    cloud.deleted.append(server["name"])


def finish(cloud, server):
    text = next((t for part, t in cloud.fails.items() if part in server["name"]), "")
    if text:
        server.update(status="ERROR", fault={"code": 500, "message": text})
        return
    server.update(status="ACTIVE", addresses={"private": [
        {"addr": cloud.new_address(), "version": 4, "OS-EXT-IPS:type": "fixed"}]})
    # As Neutron, which lists them in no order of the server's cards.
    for card in reversed(server["asked"]["networks"]):
        port = {"id": str(uuid.uuid4()), "device_id": server["id"],
                "device_owner": "compute:nova", "network_id": card["uuid"]}
        cloud.ports[port["id"]] = port


@route("POST", "/compute/v2.1/servers")
def make_server(cloud, query, body):
    asked = body["server"]
    for volume in asked.get("block_device_mapping_v2") or ():
        cloud.volumes[volume["uuid"]].update(status="in-use")
    found = {
        "id": str(uuid.uuid4()), "name": asked["name"], "status": "BUILD", "asked": asked,
        "metadata": asked.get("metadata", {}), "tags": asked.get("tags", []), "addresses": {},
        "accessIPv4": "", "accessIPv6": "", "created": "2020-01-01T00:00:00Z", "looks": 0,
        "OS-EXT-STS:task_state": None, "OS-EXT-AZ:availability_zone": "nova",
    }
    for volume in asked.get("block_device_mapping_v2") or ():
        cloud.volumes[volume["uuid"]]["server"] = found["id"]
    cloud.servers[found["id"]] = found
    return 202, {"server": {"id": found["id"], "links": [], "adminPass": "not to be kept"}}


@route("DELETE", "/compute/v2.1/servers/([^/]+)")
def delete_server(cloud, query, body, server):
    if server not in cloud.servers:
        raise Refuse(404, "no such server")
    cloud.servers[server]["OS-EXT-STS:task_state"] = "deleting"
    return 204, None


@route("POST", "/compute/v2.1/servers/([^/]+)/action")
def act(cloud, query, body, server):
    if "os-getConsoleOutput" in body:
        return 200, {"output": "Booting\nKernel panic\n"}
    if "os-start" in body:
        cloud.servers[server]["status"] = "ACTIVE"
    return 202, None


# Glance

@route("GET", "/image/v2/schemas/image")
def image_schema(cloud, query, body):
    names = ("id", "name", "status", "disk_format", "container_format", "checksum", "owner",
             "os_hash_algo", "os_hash_value")
    properties = {name: {"type": ["null", "string"]} for name in names}
    properties["tags"] = {"type": "array", "items": {"type": "string"}}
    for name in ("min_disk", "min_ram", "virtual_size", "size"):
        properties[name] = {"type": ["null", "integer"]}
    return 200, {"name": "image", "properties": properties,
                 "additionalProperties": {"type": "string"}}


@route("GET", "/image/v2/images")
def list_images(cloud, query, body):
    wanted = {k: v[0] for k, v in query.items() if k not in ("limit", "visibility")}
    found = [i for i in cloud.images.values()
             if all(i.get(k) == v for k, v in wanted.items())]
    return 200, {"images": found}


@route("POST", "/image/v2/images")
def make_image(cloud, query, body):
    if body["id"] in cloud.images:
        raise Refuse(409, "Image ID already exists!")
    cloud.images[body["id"]] = {"status": "queued", "checksum": None, "owner": PROJECT,
                                "min_disk": 0, "min_ram": 0, **body}
    return 201, cloud.images[body["id"]]


@route("GET", "/image/v2/images/([^/]+)")
def get_image(cloud, query, body, image):
    if image not in cloud.images:
        raise Refuse(404, "No image found")
    return 200, cloud.images[image]


@route("DELETE", "/image/v2/images/([^/]+)")
def delete_image(cloud, query, body, image):
    if cloud.images.pop(image, None) is None:
        raise Refuse(404, "No image found")
    return 204, None


@route("PUT", "/image/v2/images/([^/]+)/file")
def upload_image(cloud, query, body, image):
    found = cloud.images[image]
    if found["status"] != "queued":
        raise Refuse(409, "Image is not queued")
    found.update(status="active", size=len(body), checksum=hashlib.md5(body).hexdigest(),
                 os_hash_algo="sha512", os_hash_value=hashlib.sha512(body).hexdigest())
    return 204, None


@route("PUT", "/image/v2/images/([^/]+)/tags/([^/]+)")
def tag_image(cloud, query, body, image, tag):
    if image not in cloud.images:
        raise Refuse(404, "No image found")
    tags = cloud.images[image]["tags"]
    if tag not in tags:
        tags.append(tag.replace("%3A", ":"))
    return 204, None


@route("DELETE", "/image/v2/images/([^/]+)/tags/([^/]+)")
def untag_image(cloud, query, body, image, tag):
    cloud.images[image]["tags"].remove(tag.replace("%3A", ":"))
    return 204, None


# Neutron

def matching(things, query):
    return [
        t for t in things.values()
        if all(str(t.get(k, PROJECT if k == "project_id" else None)) in v
               for k, v in query.items())
    ]


@route("GET", "/network/v2.0/networks")
def list_networks(cloud, query, body):
    return 200, {"networks": cloud.networks}


@route("GET", f"/network/v2.0/quotas/{PROJECT}/details")
def network_quota(cloud, query, body):
    return 200, {"quota": cloud.quota}


@route("GET", "/network/v2.0/ports")
def list_ports(cloud, query, body):
    marker = query.pop("marker", [""])[0]
    found = matching(cloud.ports, query)
    if not cloud.page:
        return 200, {"ports": found}
    begin = ["", *(port["id"] for port in found)].index(marker)
    page, more = found[begin:begin + cloud.page], found[begin + cloud.page:]
    # It knows itself by another address than the one that its catalog tells.
    following = urlencode({**query, "marker": page[-1]["id"]}, doseq=True) if more else ""
    link = {"rel": "next", "href": f"http://inner.invalid:9696/v2.0/ports?{following}"}
    return 200, {"ports": page, "ports_links": [link] if more else []}


@route("DELETE", "/network/v2.0/ports/([^/]+)")
def delete_port(cloud, query, body, port):
    if cloud.ports.pop(port, None) is None:
        raise Refuse(404, "no such port")
    return 204, None


@route("GET", "/network/v2.0/security-groups")
def list_groups(cloud, query, body):
    found = matching(cloud.groups, query)
    return 200, {"security_groups": [
        {**g, "security_group_rules": [
            r for r in cloud.rules.values() if r["security_group_id"] == g["id"]]}
        for g in found]}


@route("POST", "/network/v2.0/security-groups")
def make_group(cloud, query, body):
    made = {"id": str(uuid.uuid4()), "project_id": PROJECT, **body["security_group"]}
    cloud.groups[made["id"]] = made
    return 201, {"security_group": made}


@route("DELETE", "/network/v2.0/security-groups/([^/]+)")
def delete_group(cloud, query, body, group):
    if any(group in str(s["asked"].get("security_groups")) for s in cloud.servers.values()):
        raise Refuse(409, "Security Group in use.", "SecurityGroupInUse")
    if cloud.groups.pop(group, None) is None:
        raise Refuse(404, "no such group")
    for rule in [r for r in cloud.rules.values() if r["security_group_id"] == group]:
        del cloud.rules[rule["id"]]
    return 204, None


@route("GET", "/network/v2.0/security-group-rules")
def list_rules(cloud, query, body):
    return 200, {"security_group_rules": matching(cloud.rules, query)}


@route("POST", "/network/v2.0/security-group-rules")
def make_rules(cloud, query, body):
    for rule in body["security_group_rules"]:
        rule["id"] = str(uuid.uuid4())
        cloud.rules[rule["id"]] = rule
    return 201, body


@route("GET", "/network/v2.0/floatingips")
def list_floating(cloud, query, body):
    return 200, {"floatingips": matching(cloud.floating, query)}


@route("POST", "/network/v2.0/floatingips")
def make_floating(cloud, query, body):
    if len(cloud.floating) >= cloud.quota["floatingip"]["limit"]:
        raise Refuse(409, "Quota exceeded for resources: ['floatingip'].", "OverQuota")
    made = {"id": str(uuid.uuid4()), "floating_ip_address": f"198.51.100.{len(cloud.floating)}",
            "port_id": None, **body["floatingip"]}
    cloud.floating[made["id"]] = made
    return 201, {"floatingip": made}


@route("PUT", "/network/v2.0/floatingips/([^/]+)")
def bind_floating(cloud, query, body, address):
    network = cloud.ports[body["floatingip"]["port_id"]]["network_id"]
    if network in cloud.unrouted:
        raise Refuse(404, "External network is not reachable from the subnet.",
                     "ExternalGatewayForFloatingIPNotFound")
    cloud.floating[address].update(body["floatingip"])
    return 200, {"floatingip": cloud.floating[address]}


@route("DELETE", "/network/v2.0/floatingips/([^/]+)")
def delete_floating(cloud, query, body, address):
    if cloud.floating.pop(address, None) is None:
        raise Refuse(404, "no such address")
    return 204, None


# Cinder

VOLUME = f"/volume/v3/{PROJECT}"


@route("GET", f"{VOLUME}/os-quota-sets/{PROJECT}")
def volume_quota(cloud, query, body):
    used = {"volumes": len(cloud.volumes), "volumes_plain": len(cloud.volumes)}
    return 200, {"quota_set": {"id": PROJECT, **{
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0}
        for name, limit in cloud.volume_quota.items()}}}


@route("GET", f"{VOLUME}/types/default")
def default_type(cloud, query, body):
    return 200, {"volume_type": {"id": "t", "name": "plain"}}


@route("GET", f"{VOLUME}/os-availability-zone")
def volume_zones(cloud, query, body):
    return 200, {"availabilityZoneInfo": [
        {"zoneName": name, "zoneState": {"available": True}} for name in cloud.volume_zones]}


@route("GET", f"{VOLUME}/volumes/detail")
def list_volumes(cloud, query, body):
    for volume in cloud.volumes.values():
        if volume["status"] == "creating":
            bad = any(part in volume["name"] for part in cloud.bad_volumes)
            volume["status"] = "error" if bad else "available"
    found = matching(cloud.volumes, {k: v for k, v in query.items() if k != "metadata"})
    for wanted in query.get("metadata", ()):
        pairs = ast.literal_eval(wanted).items()
        found = [v for v in found if pairs <= v["metadata"].items()]
    return 200, {"volumes": found}


@route("GET", f"{VOLUME}/volumes/([^/]+)")
def get_volume(cloud, query, body, volume):
    if volume not in cloud.volumes:
        raise Refuse(404, "no such volume")
    return 200, {"volume": cloud.volumes[volume]}


@route("POST", f"{VOLUME}/volumes")
def make_volume(cloud, query, body):
    made = {"id": str(uuid.uuid4()), "status": "creating", **body["volume"]}
    cloud.volumes[made["id"]] = made
    return 202, {"volume": made}


@route("DELETE", f"{VOLUME}/volumes/([^/]+)")
def delete_volume(cloud, query, body, volume):
    if volume not in cloud.volumes:
        raise Refuse(404, "no such volume")
    if cloud.volumes[volume]["status"] not in ("available", "error"):
        raise Refuse(400, "Volume status must be available or error")
    del cloud.volumes[volume]
    return 202, None


@route("GET", f"{VOLUME}/attachments")
def list_attachments(cloud, query, body):
    return 200, {"attachments": matching(cloud.attachments, query)}


@route("DELETE", f"{VOLUME}/attachments/([^/]+)")
def delete_attachment(cloud, query, body, attachment):
    gone = cloud.attachments.pop(attachment)
    cloud.volumes[gone["volume_id"]]["status"] = "available"
    return 200, {"attachments": []}
