"""A small client of an OpenStack cloud, which needs nothing but Python itself.

Its source is also sent to a cloud's own controller and run there (:mod:`remote_cloud`), where the
endpoints are reachable and no client may be installed; so it imports nothing of ours. Every
``ensure_...`` may be called again.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

_TRIES = 5
_TIMEOUT_S = 90


@dataclass(frozen=True)
class Call:
    """One method of :class:`Cloud` with its arguments, to be made on the controller."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict, repr=False)


class CallFailed(Exception):
    """The cloud said no: ``status`` is HTTP's, 0 without an answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Cloud:
    """A logged-in user. ``endpoints`` (type -> URL) go before those of the catalog."""

    def __init__(self, login: Mapping[str, Any]) -> None:
        self._login = login
        self._auth_url = login["auth_url"].rstrip("/")
        if not self._auth_url.endswith("/v3"):
            self._auth_url += "/v3"
        self._endpoints = dict(login.get("endpoints") or {})
        self._tries = _TRIES
        context = ssl.create_default_context(cafile=login.get("https_cacert") or None)
        if login.get("https_insecure"):
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        self._token = ""
        self.project_id = ""

    # Requests

    def token(self) -> dict[str, Any]:
        """Log in; the catalog gives the endpoints that were not given."""
        login = self._login
        domain = {"name": login.get("user_domain_name") or "Default"}
        user = {"name": login["username"], "password": login["password"], "domain": domain}
        project = {"name": login["project_name"],
                   "domain": {"name": login.get("project_domain_name") or "Default"}}
        headers, answer = self._send("POST", f"{self._auth_url}/auth/tokens", {"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": project},
        }})
        self._token = headers["X-Subject-Token"]
        self.project_id = answer["token"]["project"]["id"]
        interface = login.get("endpoint_type") or "public"
        for service in answer["token"].get("catalog", []):
            for endpoint in service["endpoints"]:
                wanted = login.get("region_name") or endpoint["region"]
                if endpoint["interface"] == interface and endpoint["region"] == wanted:
                    self._endpoints.setdefault(service["type"], endpoint["url"].rstrip("/"))
        return {"project_id": self.project_id, "services": sorted(self._endpoints)}

    def _send(
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], Any]:
        sent = {"Accept": "application/json", **(headers or {})}
        data = body
        if body is not None and "Content-Type" not in sent:
            sent["Content-Type"], data = "application/json", json.dumps(body).encode()
        if self._token:
            sent["X-Auth-Token"] = self._token
        for attempt in range(1, self._tries + 1):
            if hasattr(data, "seek"):
                data.seek(0)
            request = urllib.request.Request(url, data, sent, method=method)
            try:
                with self._opener.open(request, timeout=_TIMEOUT_S) as answer:
                    text = answer.read()
                    return answer.headers, json.loads(text) if text[:1] in (b"{", b"[") else text
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                # An API that has just been started may not be all there.
                if error.code not in (502, 503) or attempt == self._tries:
                    raise CallFailed(
                        error.code, f"{method} {url}: {error.code} {text[:1000]}"
                    ) from error
            except OSError as error:
                if attempt == self._tries or (method == "POST" and not _refused(error)):
                    raise CallFailed(0, f"{method} {url}: {error}") from error
            time.sleep(attempt)
        raise AssertionError("not reached")

    def call(
        self, method: str, service: str, path: str, body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """One request to a service, logged in; returns the decoded answer."""
        if not self._token:
            self.token()
        if service == "identity":
            base = self._auth_url
        elif service in self._endpoints:
            base = self._endpoints[service]
        else:
            raise CallFailed(0, f"the catalog has no {service} service")
        if service == "compute":
            headers = {"OpenStack-API-Version": "compute 2.79", **(headers or {})}
        return self._send(method, base + path, body, headers)[1]

    def _ensure(
        self, service: str, path: str, key: str, wanted: Mapping[str, Any],
        by: Sequence[str] = ("name",), plural: str = "",
    ) -> dict[str, Any]:
        """The thing whose fields ``by`` are as wanted; made if there is none."""
        listed = self.call("GET", service, path)[plural or key + "s"]
        for found in listed:
            if all(found.get(name) == wanted[name] for name in by):
                return dict(found)
        return dict(self.call("POST", service, path, {key: wanted})[key])

    # Identity

    def ensure_service_users(self, names: Sequence[str], password: str) -> None:
        """Users with these names and this password, admin and service in project service."""
        project = self._ensure(
            "identity", "/projects", "project", {"name": "service", "domain_id": "default"})
        self._ensure("identity", "/roles", "role", {"name": "service"})
        roles = {r["name"]: r["id"] for r in self.call("GET", "identity", "/roles")["roles"]}
        users = {u["name"]: u for u in self.call("GET", "identity", "/users")["users"]}
        for name in names:
            wanted = {"name": name, "password": password, "domain_id": "default"}
            if name in users:
                self.call("PATCH", "identity", f"/users/{users[name]['id']}",
                          {"user": {"password": password}})
                user = users[name]
            else:
                user = self.call("POST", "identity", "/users", {"user": wanted})["user"]
            for role in ("admin", "service"):
                self.call("PUT", "identity",
                          f"/projects/{project['id']}/users/{user['id']}/roles/{roles[role]}")

    def ensure_catalog(self, region: str, services: Sequence[Mapping[str, str]]) -> None:
        """Services with public, internal and admin endpoints, with these URLs."""
        there = {
            (e["service_id"], e["interface"]): e
            for e in self.call("GET", "identity", "/endpoints")["endpoints"]
        }
        for wanted in services:
            service = self._ensure(
                "identity", "/services", "service",
                {"name": wanted["name"], "type": wanted["type"]}, by=("type",))
            for interface in ("public", "internal", "admin"):
                url = wanted["public" if interface == "public" else "internal"]
                found = there.get((service["id"], interface))
                body = {"endpoint": {"service_id": service["id"], "interface": interface,
                                     "url": url, "region_id": region}}
                if found is None:
                    self.call("POST", "identity", "/endpoints", body)
                elif found["url"] != url:
                    self.call("PATCH", "identity", f"/endpoints/{found['id']}", body)

    # Images, flavors

    def ensure_image(
        self, name: str, path: str, disk_format: str, container_format: str = "bare",
        properties: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """A public image of this name with the file's content; one left half-made is replaced."""
        for found in self.call("GET", "image", f"/v2/images?name={name}")["images"]:
            if found["status"] == "active":
                return dict(found)
            self.call("DELETE", "image", f"/v2/images/{found['id']}")
        image = self.call("POST", "image", "/v2/images", {
            "name": name, "disk_format": disk_format, "container_format": container_format,
            "visibility": "public", **(properties or {}),
        })
        with open(path, "rb") as file:
            self.call("PUT", "image", f"/v2/images/{image['id']}/file", file, {
                "Content-Type": "application/octet-stream",
                "Content-Length": str(os.path.getsize(path))})
        return dict(self.call("GET", "image", f"/v2/images/{image['id']}"))

    def ensure_guest(self, name: str, kernel: str, ramdisk: str, disk: str) -> dict[str, Any]:
        """An image that boots with a kernel and a ramdisk of its own."""
        parts = {
            part: self.ensure_image(f"{name}-{part}", path, kind, kind)["id"]
            for part, path, kind in (("kernel", kernel, "aki"), ("ramdisk", ramdisk, "ari"))
        }
        return self.ensure_image(name, disk, "raw", properties={
            "kernel_id": parts["kernel"], "ramdisk_id": parts["ramdisk"],
            "os_command_line": "console=tty0 console=ttyS0 quiet", "hw_rng_model": "virtio",
        })

    def ensure_flavor(self, name: str, ram: int, disk: int, vcpus: int) -> dict[str, Any]:
        return self._ensure("compute", "/flavors", "flavor",
                            {"name": name, "ram": ram, "disk": disk, "vcpus": vcpus})

    # Networks

    def ensure_network(
        self, name: str, cidr: str, *, external: bool = False, gateway: str = "",
        first: str = "", last: str = "", dns: Sequence[str] = (),
    ) -> dict[str, Any]:
        """A network with one subnet; an external one is flat on the physical net ``public``."""
        wanted: dict[str, Any] = {"name": name, "router:external": external}
        if external:
            wanted.update({"provider:network_type": "flat",
                           "provider:physical_network": "public"})
        network = self._ensure("network", "/v2.0/networks", "network", wanted)
        subnet: dict[str, Any] = {
            "name": name, "network_id": network["id"], "cidr": cidr, "ip_version": 4,
            "enable_dhcp": not external, "dns_nameservers": list(dns),
        }
        if gateway:
            subnet["gateway_ip"] = gateway
        if first:
            subnet["allocation_pools"] = [{"start": first, "end": last}]
        made = self._ensure("network", "/v2.0/subnets", "subnet", subnet,
                            by=("name", "network_id"))
        return {"id": network["id"], "subnet_id": made["id"]}

    def ensure_router(self, name: str, external: str, subnets: Sequence[str]) -> dict[str, Any]:
        """A router from these subnets to the external network, if there is one."""
        wanted: dict[str, Any] = {"name": name}
        if external:
            wanted["external_gateway_info"] = {"network_id": external}
        router = self._ensure("network", "/v2.0/routers", "router", wanted)
        ports = self.call("GET", "network", f"/v2.0/ports?device_id={router['id']}")["ports"]
        there = {ip["subnet_id"] for port in ports for ip in port["fixed_ips"]}
        for subnet in subnets:
            if subnet not in there:
                self.call("PUT", "network", f"/v2.0/routers/{router['id']}/add_router_interface",
                          {"subnet_id": subnet})
        return {"id": router["id"]}

    def ensure_open_for_ssh(self) -> None:
        """The project's default security group lets ping and SSH in."""
        self.token()
        groups = self.call("GET", "network", "/v2.0/security-groups?name=default"
                           f"&project_id={self.project_id}")["security_groups"]
        for group in groups:
            for protocol, port in (("icmp", None), ("tcp", 22)):
                try:
                    self.call("POST", "network", "/v2.0/security-group-rules", {
                        "security_group_rule": {
                            "security_group_id": group["id"], "direction": "ingress",
                            "ethertype": "IPv4", "protocol": protocol, "port_range_min": port,
                            "port_range_max": port, "remote_ip_prefix": "0.0.0.0/0"}})
                except CallFailed as error:
                    if error.status != 409:
                        raise

    # How its parts are

    def services_up(self) -> list[dict[str, Any]]:
        """Nova's services and Neutron's agents: name, host, up, and when they were last seen.

        ``seen`` is in seconds of the epoch by the cloud's clock; None before a second report.
        """
        found = [
            {"name": s["binary"], "host": s["host"], "up": s["state"] == "up",
             "seen": _epoch(s["updated_at"])}
            for s in self.call("GET", "compute", "/os-services")["services"]
        ]
        if "network" in self._endpoints:
            found += [
                {"name": a["binary"], "host": a["host"], "up": a["alive"],
                 "seen": _epoch(a["heartbeat_timestamp"])}
                for a in self.call("GET", "network", "/v2.0/agents")["agents"]
            ]
        return found

    def catalog(self, tries: int = _TRIES) -> dict[str, str]:
        """Type of service -> its URL."""
        self._tries = tries
        self.token()
        return dict(sorted(self._endpoints.items()))

    def guests(self) -> dict[str, Any]:
        """What a server can be made of, the smallest first: images, flavors, networks' names.

        An image has the ``ram`` (MiB) and the ``disk`` (GiB) that it needs, a flavor what it
        gives; its disk of 0 is as large as the image.
        """
        images = self.call("GET", "image", "/v2/images?status=active&limit=100")["images"]
        flavors = self.call("GET", "compute", "/flavors/detail")["flavors"]
        networks: list[dict[str, Any]] = []
        if "network" in self._endpoints:
            networks = self.call("GET", "network", "/v2.0/networks")["networks"]
        bootable = [i for i in images if i["container_format"] not in ("aki", "ari")]
        return {
            "images": [
                {"name": i["name"], "ram": i.get("min_ram") or 0, "disk": _disk_of(i)}
                for i in sorted(bootable, key=lambda i: i["size"] or 0)
            ],
            "flavors": [
                {"name": f["name"], "ram": f["ram"], "disk": f["disk"]}
                for f in sorted(flavors, key=lambda f: (f["ram"], f["disk"]))
            ],
            "networks": [n["name"] for n in networks
                         if n["subnets"] and not n["router:external"]],
        }

    def hypervisors(self) -> list[dict[str, Any]]:
        """The hosts that Nova can place servers on."""
        listed = self.call("GET", "compute", "/os-hypervisors")["hypervisors"]
        return [{"host": h["hypervisor_hostname"], "up": h["state"] == "up"} for h in listed]

    # Servers

    def boot(
        self, name: str, image: str, flavor: str, network: str
    ) -> dict[str, Any]:
        """Begin a server on these, each by name; one of its name is taken for it."""
        for found in self.call("GET", "compute", f"/servers?name=^{name}$")["servers"]:
            return {"id": found["id"]}
        images = self.call("GET", "image", f"/v2/images?name={image}")["images"]
        flavors = {f["name"]: f["id"] for f in self.call("GET", "compute", "/flavors")["flavors"]}
        nets: Any = "none"
        if network:
            listed = self.call("GET", "network", f"/v2.0/networks?name={network}")["networks"]
            nets = [{"uuid": listed[0]["id"]}]
        made = self.call("POST", "compute", "/servers", {"server": {
            "name": name, "imageRef": images[0]["id"], "flavorRef": flavors[flavor],
            "networks": nets,
        }})["server"]
        return {"id": made["id"]}

    def wait_active(self, server: str, timeout_s: float) -> dict[str, Any]:
        """Its status once that is ACTIVE or ERROR, or the last one seen; addresses and fault."""
        end = time.monotonic() + timeout_s
        while True:
            found = self.call("GET", "compute", f"/servers/{server}")["server"]
            if found["status"] in ("ACTIVE", "ERROR") or time.monotonic() > end:
                if found["status"] == "ERROR" and not found.get("fault"):
                    # The reason is written a moment after the status.
                    time.sleep(2)
                    found = self.call("GET", "compute", f"/servers/{server}")["server"]
                addresses = [a["addr"] for net in found["addresses"].values() for a in net]
                return {"status": found["status"], "addresses": addresses,
                        "fault": (found.get("fault") or {}).get("message", ""),
                        "task": found.get("OS-EXT-STS:task_state") or "",
                        "host": found.get("OS-EXT-SRV-ATTR:host") or ""}
            time.sleep(0.5)

    def give_floating_ip(self, server: str, network: str) -> dict[str, Any]:
        """An address of the external network for the server's first port."""
        listed = self.call("GET", "network", f"/v2.0/networks?name={network}")["networks"]
        ports = self.call("GET", "network", f"/v2.0/ports?device_id={server}")["ports"]
        there = self.call(
            "GET", "network", f"/v2.0/floatingips?port_id={ports[0]['id']}")["floatingips"]
        made = there[0] if there else self.call("POST", "network", "/v2.0/floatingips", {
            "floatingip": {"floating_network_id": listed[0]["id"], "port_id": ports[0]["id"]}
        })["floatingip"]
        return {"id": made["id"], "address": made["floating_ip_address"]}

    def console(self, server: str, lines: int = 30) -> str:
        """The end of what the guest printed; empty where the driver has none."""
        try:
            return str(self.call("POST", "compute", f"/servers/{server}/action",
                                 {"os-getConsoleOutput": {"length": lines}})["output"])
        except CallFailed:
            return ""

    def remove_server(self, server: str, timeout_s: float = 60) -> None:
        """Delete it with its floating addresses, and wait until it is gone."""
        if "network" in self._endpoints or self.token() and "network" in self._endpoints:
            for port in self.call("GET", "network", f"/v2.0/ports?device_id={server}")["ports"]:
                path = f"/v2.0/floatingips?port_id={port['id']}"
                for address in self.call("GET", "network", path)["floatingips"]:
                    self.call("DELETE", "network", f"/v2.0/floatingips/{address['id']}")
        end = time.monotonic() + timeout_s
        try:
            self.call("DELETE", "compute", f"/servers/{server}")
            while time.monotonic() < end:
                self.call("GET", "compute", f"/servers/{server}")
                time.sleep(0.5)
        except CallFailed as error:
            if error.status != 404:
                raise
            return
        raise CallFailed(0, f"server {server} was not gone within {timeout_s:g} s")

    @staticmethod
    def ssh_banner(address: str, timeout_s: float) -> str:
        """What a guest's SSH server says first; empty if it says nothing in time."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            try:
                with socket.create_connection((address, 22), timeout=5) as link:
                    banner = link.recv(64).decode(errors="replace").partition("\r")[0].strip()
                    if banner.startswith("SSH-"):
                        return banner
            except OSError:
                pass
            time.sleep(0.5)
        return ""


def _disk_of(image: Mapping[str, Any]) -> int:
    """GiB that a disk must have for an image: it may grow when it is unpacked."""
    size = max(image.get("size") or 0, image.get("virtual_size") or 0)
    return max(image.get("min_disk") or 0, -(-size // (1 << 30)))


def _epoch(text: str | None) -> float | None:
    if not text:
        return None
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def _refused(error: OSError) -> bool:
    reason = getattr(error, "reason", error)
    return isinstance(reason, ConnectionRefusedError)


def main(text: str) -> int:
    """Make the calls that a JSON text names; the last line printed holds their results."""
    asked = json.loads(text)
    cloud = Cloud(asked["login"])
    results: list[Any] = []
    failure = None
    for call in asked["calls"]:
        try:
            results.append(getattr(cloud, call["name"])(**call["arguments"]))
        except CallFailed as error:
            failure = {"call": call["name"], "status": error.status, "text": str(error)}
            break
    sys.stdout.write("\n" + json.dumps({"results": results, "failure": failure}) + "\n")
    return 0
