"""What is asked of a cloud, and what comes out, in good and bad cases."""

import http.server
import threading
import uuid

import pytest

from rally_deploy.errors import EachFailed, ResourceConflict
from rally_deploy.serverprovider.openstack import servers
from rally_deploy.serverprovider.openstack.download import BadImage
from rally_deploy.serverprovider.openstack.refusal import CloudRefusal, CloudUnfit, ServerFailed
from tests.unit.serverprovider.openstack.conftest import CONTENT, MD5
from tests.unit.serverprovider.openstack.memory_cloud import PROJECT


def only(things):
    found = list(things.values())
    assert len(found) == 1
    return found[0]


def titles(recorder, kind="warning"):
    return [event.title for event in recorder.events if str(event.kind) == kind]


def stored_image(cloud, **fields):
    image = {"id": str(uuid.uuid4()), "name": "theirs", "status": "active", "checksum": MD5,
             "tags": [], "owner": PROJECT, "min_disk": 0, "min_ram": 0, **fields}
    cloud.images[image["id"]] = image
    return image


def test_server_carries_name_mark_key_group_and_network(cloud, provided):
    entity, provider = provided(
        amount=1, config_drive=True, availability_zone="nova",
        deployment_name="Rally sample deployment",
    )
    server = provider.create_servers()[0]
    tag = f"rd-{entity.record.short}"
    asked = only(cloud.servers)["asked"]
    assert asked["name"] == server.name == f"{tag}-Rally-sample-deployment-000"
    assert asked["metadata"]["rdeploy"] == entity.uuid
    assert f"rdeploy:{entity.uuid}" in asked["tags"]
    assert asked["key_name"] == f"{tag}-key"
    assert asked["security_groups"] == [{"name": only(cloud.groups)["id"]}]
    assert asked["networks"] == [{"uuid": cloud.networks[0]["id"]}]
    assert asked["config_drive"] is True
    assert asked["availability_zone"] == "nova"
    assert server.resource_id
    assert server.facts["instance_id"] == only(cloud.servers)["id"]


def test_our_group_opens_ssh_icmp_and_the_ports_asked_for(cloud, provided):
    provided(amount=1, open_ports=[443, "5000-5010"])[1].create_servers()
    rules = list(cloud.rules.values())
    assert {r["direction"] for r in rules} == {"ingress"}
    spans = {(r["port_range_min"], r["port_range_max"]) for r in rules if "port_range_min" in r}
    assert spans == {(22, 22), (443, 443), (5000, 5010)}
    assert {r.get("protocol") for r in rules} == {"tcp", "icmp", "ipv6-icmp", None}
    among = [r for r in rules if r.get("protocol") is None]
    assert {r["remote_group_id"] for r in among} == {only(cloud.groups)["id"]}


def test_key_pair_is_the_public_part_of_the_deployments_key(cloud, provided):
    server = provided(amount=1)[1].create_servers()[0]
    assert only(cloud.keys)["public_key"].startswith("ssh-ed25519 ")
    assert server.private_key.startswith("-----BEGIN OPENSSH")
    assert "OPENSSH" not in repr(server)


def test_given_key_files_are_used(cloud, provided, tmp_path):
    from rally_deploy.ssh import keys

    private = keys.make_private_key()
    (tmp_path / "id").write_text(private)
    (tmp_path / "id.pub").write_text(keys.public_key(private, "me@here") + "\n")
    server = provided(amount=1, ssh_public_key_file=str(tmp_path / "id.pub"))[1]\
        .create_servers()[0]
    assert server.key == str(tmp_path / "id")
    assert only(cloud.keys)["public_key"].endswith("me@here")


def test_other_user_than_root_works_by_sudo(provided):
    server = provided(amount=1, login_user="debian")[1].create_servers()[0]
    assert (server.user, server.become) == ("debian", True)


@pytest.mark.parametrize("flavor", ["2", 2, "m1.small"])
def test_flavor_is_found_by_id_and_name(cloud, provided, flavor):
    provided(amount=1, flavor_id=flavor)[1].create_servers()
    assert only(cloud.servers)["asked"]["flavorRef"] == "2"


def test_floating_address_is_how_a_server_is_reached(cloud, provided):
    servers = provided(floating_network="public")[1].create_servers()
    assert {s.host for s in servers} == {
        f["floating_ip_address"] for f in cloud.floating.values()}
    owners = {p["id"]: p["device_id"] for p in cloud.ports.values()}
    leads = {f["floating_ip_address"]: owners[f["port_id"]] for f in cloud.floating.values()}
    assert leads == {s.host: s.facts["instance_id"] for s in servers}


@pytest.mark.parametrize("unrouted", [(), ("private",), ("private", "second")])
def test_floating_address_leads_to_the_first_network_with_a_router(cloud, provided, unrouted):
    cloud.networks += [cloud._network("second", False), cloud._network("third", False)]
    ids = {network["name"]: network["id"] for network in cloud.networks}
    cloud.unrouted = {ids[name] for name in unrouted}
    names = ["private", "second", "third"]
    provided(amount=1, floating_network="public", nics=[{"net-id": name} for name in names])[1]\
        .create_servers()
    port = cloud.ports[only(cloud.floating)["port_id"]]
    assert port["network_id"] == ids[names[len(unrouted)]]


def test_floating_address_that_no_network_has_a_router_for_is_told(cloud, provided):
    cloud.unrouted = {network["id"] for network in cloud.networks}
    with pytest.raises(CloudRefusal, match="cannot be given to a server") as caught:
        provided(amount=1, floating_network="public")[1].create_servers()
    assert "External network is not reachable" in caught.value.details


def test_many_servers_cost_one_listing_per_tick(cloud, provided):
    cloud.builds = 6
    cloud.limits = {}
    provided(amount=20)[1].create_servers()
    assert cloud.count("POST", "/servers$") == 20
    assert cloud.count("GET", "/servers/detail$") <= 8
    assert cloud.count("GET", "/servers/[^d]") == 0


def test_removal_of_many_servers_costs_one_listing_per_tick(cloud, provided):
    provider = provided(amount=20)[1]
    cloud.limits = {}
    provider.create_servers()
    cloud.asked.clear()
    provider.pace = 1
    provider.destroy_servers()
    assert cloud.count("DELETE", "/servers/") == 20
    assert cloud.count("GET", "/servers/detail$") <= 12
    assert cloud.things() == []


def test_old_nova_without_tags_gets_metadata(cloud, provided):
    cloud.versions = "2.38"
    entity, provider = provided(amount=1)
    provider.create_servers()
    assert "tags" not in only(cloud.servers)["asked"]
    assert only(cloud.servers)["metadata"]["rdeploy"] == entity.uuid


def test_v2_address_is_turned_into_v3_with_a_note(cloud, provided, recorder):
    provided(amount=1, auth_url=f"{cloud.root}/identity/v2.0")[1].create_servers()
    assert any("version 2.0 of Keystone is no more" in title for title in titles(recorder))


# Hindrances

def test_all_hindrances_are_told_at_once_and_nothing_is_made(cloud, provided):
    cloud.limits.update(maxTotalInstances=3, totalInstancesUsed=2)
    cloud.quota["floatingip"] = {"limit": 1, "used": 0, "reserved": 0}
    cloud.services.remove("volumev3")
    provider = provided(
        flavor_id="m1.huge", nics=[{"net-id": "nowhere"}], floating_network="public",
        availability_zone="mars", volume_size_gb=5, image={"uuid": str(uuid.uuid4())},
    )[1]
    with pytest.raises(CloudUnfit, match="cannot make what is asked for") as caught:
        provider.create_servers()
    for part in ("no flavor 'm1.huge'; there are m1.small, m1.tiny", "network 'nowhere'",
                 "zone 'mars'", "there is no image", "needs a volume service",
                 "2 servers are over the quota: 2 of 3 are in use",
                 "2 floating addresses are over the quota: 0 of 1"):
        assert part in caught.value.details
    assert cloud.things() == []
    assert not [m for m, p in cloud.asked if m == "POST" and not p.endswith("/auth/tokens")]


def test_quotas_of_key_pairs_and_rules_are_a_hindrance(cloud, provided):
    cloud.keys["theirs"] = {"name": "theirs", "public_key": "x", "fingerprint": ""}
    cloud.limits["maxTotalKeypairs"] = 1
    cloud.quota["security_group_rule"] = {"limit": 10, "used": 1, "reserved": 0}
    with pytest.raises(CloudUnfit, match="cannot make") as caught:
        provided(open_ports=[80])[1].create_servers()
    assert "1 key pairs are over the quota: 1 of 1 are in use" in caught.value.details
    assert "10 security group rules are over the quota: 1 of 10" in caught.value.details
    assert list(cloud.keys) == ["theirs"]


@pytest.mark.parametrize(("quota", "message"), [
    ({"volumes": 1}, "2 volumes are over the quota: 0 of 1 are in use"),
    ({"gigabytes": 9}, "10 GiB of volumes are over the quota: 0 of 9 are in use"),
    ({"volumes_plain": 1}, "2 volumes of type plain are over the quota: 0 of 1 are in use"),
    ({"per_volume_gigabytes": 4}, "a volume of 5 GiB is over the quota: one may have 4"),
])
def test_quotas_of_volumes_are_a_hindrance(cloud, provided, quota, message):
    cloud.volume_quota.update(quota)
    entity, provider = provided(volume_size_gb=5)
    with pytest.raises(CloudUnfit) as caught:
        provider.create_servers()
    assert caught.value.details == message
    assert cloud.things() == []
    cloud.volume_quota.update(dict.fromkeys(quota, -1))
    provider.create_servers()
    cloud.volume_quota.update(dict.fromkeys(quota, 0))
    assert len(entity.provider(provider.config).create_servers()) == 2


@pytest.mark.parametrize("refused", [403, 404])
def test_volume_service_that_does_not_tell_its_quota_makes_the_volumes(cloud, provided, refused):
    for path in ("/os-quota-sets/", "/types/default"):
        cloud.fail("GET", path, refused)
    provided(amount=1, volume_size_gb=5)[1].create_servers()
    assert [fault for fault in cloud.faults if fault.times] == []
    assert len(cloud.volumes) == 1


def test_quotas_of_what_need_not_be_made_are_no_hindrance(cloud, provided):
    cloud.groups["g1"] = {"id": "g1", "name": "theirs", "tenant_id": PROJECT, "description": ""}
    entity, provider = provided(amount=1, secgroup_name="theirs")
    for name in ("security_group", "security_group_rule"):
        cloud.quota[name] = {"limit": 1, "used": 2, "reserved": 0}
    provider.create_servers()
    cloud.limits["maxTotalKeypairs"] = 0
    assert len(entity.provider(provider.config).create_servers()) == 1


@pytest.mark.parametrize("refusal", [None, 403])
def test_flavor_that_is_not_public_is_found_where_the_cloud_tells_of_it(
    cloud, provided, refusal
):
    cloud.flavors.append({"id": "9", "name": "own", "ram": 512, "vcpus": 1, "disk": 1,
                          "public": False})
    provider = provided(amount=1, flavor_id="own" if not refusal else "m1.tiny")[1]
    if refusal:
        cloud.fail("GET", "/flavors/detail", refusal)
    provider.create_servers()
    assert only(cloud.servers)["asked"]["flavorRef"] == ("1" if refusal else "9")


def test_zone_that_the_volume_service_has_is_given_to_the_volumes(cloud, provided):
    provided(amount=1, volume_size_gb=1, availability_zone="nova")[1].create_servers()
    assert only(cloud.volumes)["availability_zone"] == "nova"


def test_zone_that_the_volume_service_has_not_is_left_out_with_a_warning(
    cloud, provided, recorder
):
    cloud.volume_zones = ["elsewhere"]
    provided(amount=1, volume_size_gb=1, availability_zone="nova")[1].create_servers()
    assert "availability_zone" not in only(cloud.volumes)
    assert any("has no availability zone 'nova', it has elsewhere" in title
               for title in titles(recorder))


def test_several_networks_without_nics_are_a_hindrance(cloud, provided):
    cloud.networks.append(cloud._network("other", False))
    with pytest.raises(CloudUnfit, match="cannot make") as caught:
        provided()[1].create_servers()
    assert "2 networks to choose from (other, private): name one in 'nics'" in \
        caught.value.details


def test_image_larger_than_the_flavors_disk_is_a_hindrance(cloud, provided):
    image = stored_image(cloud, virtual_size=5 << 30, min_ram=4096)
    with pytest.raises(CloudUnfit, match="cannot make") as caught:
        provided(image={"uuid": image["id"]})[1].create_servers()
    assert "needs a disk of 5 GiB, there would be 1" in caught.value.details
    assert "needs 4096 MiB of memory" in caught.value.details


def test_unknown_checksum_without_url_is_a_hindrance(provided):
    with pytest.raises(CloudUnfit, match="cannot make") as caught:
        provided(image={"checksum": "0" * 32})[1].create_servers()
    assert "no image has the checksum md5:" in caught.value.details


def test_region_that_is_not_in_the_catalog_is_named(provided):
    with pytest.raises(Exception, match="no compute service in region mars"):
        provided(region="mars")[1].create_servers()


# Images

def test_image_of_somebody_else_is_used_and_never_touched(cloud, provided):
    image = stored_image(cloud)
    provider = provided(amount=1)[1]
    provider.create_servers()
    assert only(cloud.servers)["asked"]["imageRef"] == image["id"]
    provider.destroy_servers()
    assert cloud.images == {image["id"]: image}
    assert image["tags"] == []


def test_image_is_uploaded_once_and_goes_with_its_last_user(cloud, provided):
    one, two = provided(amount=1)[1], provided(amount=1)[1]
    one.create_servers()
    two.create_servers()
    assert cloud.count("PUT", "/file$") == 1
    assert len(only(cloud.images)["tags"]) == 2
    one.destroy_servers()
    assert only(cloud.images)["name"] == "guest"
    two.destroy_servers()
    assert cloud.images == {}


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_every_kind_of_checksum_finds_the_upload_again(cloud, provided, image_file, algorithm):
    import hashlib

    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    image = {"name": "guest", "format": "raw", "url": str(image_file),
             "checksum": f"{algorithm}:{digest}"}
    for _ in range(2):
        provided(amount=1, image=image)[1].create_servers()
    assert cloud.count("PUT", "/file$") == 1


def test_file_with_another_checksum_is_not_uploaded(cloud, provided, image_file):
    image_file.write_bytes(b"something else")
    with pytest.raises(BadImage, match="not the one that was asked for") as caught:
        provided(amount=1)[1].create_servers()
    assert MD5 in caught.value.details
    assert cloud.images == {}
    assert image_file.exists()


class Downloads(http.server.BaseHTTPRequestHandler):
    """Cuts the link after some bytes, the first time; then serves what is missing."""

    cut_after = 7000
    asked = []

    def log_message(self, *args):
        pass

    def do_GET(self):
        begin = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        Downloads.asked.append(begin)
        rest = CONTENT[begin:]
        if not rest:
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: self.cut_after] if not begin else rest)


def test_broken_download_goes_on_where_it_ended(cloud, provided, tmp_path):
    Downloads.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Downloads) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/guest.img"
        provided(amount=1, image={"name": "g", "format": "raw", "url": url, "checksum": MD5})[1]\
            .create_servers()
        server.shutdown()
    assert Downloads.asked == [0, 7000]
    assert only(cloud.images)["checksum"] == MD5
    assert not list((tmp_path / "home").rglob("*.part"))


def test_image_that_arrives_damaged_is_told_and_removed_at_destroy(cloud, provided):
    provider = provided(amount=1)[1]

    cloud.fail("PUT", "/file$", 204)  # it says yes and keeps nothing
    with pytest.raises(BadImage, match="has not arrived whole"):
        provider.create_servers()
    provider.destroy_servers()
    assert cloud.things() == []


# Other people's things

def test_group_that_is_there_is_used_as_it_is_and_stays(cloud, provided, recorder):
    cloud.groups["g1"] = {"id": "g1", "name": "theirs", "tenant_id": PROJECT, "description": ""}
    provider = provided(amount=1, secgroup_name="theirs")[1]
    provider.create_servers()
    assert only(cloud.servers)["asked"]["security_groups"] == [{"name": "g1"}]
    assert cloud.rules == {}
    assert any("has no rule that lets SSH in" in title for title in titles(recorder))
    provider.destroy_servers()
    assert list(cloud.groups) == ["g1"]


def test_group_that_is_not_there_is_made_under_our_tag(cloud, provided):
    entity, provider = provided(amount=1, secgroup_name="rally_security_group")
    provider.create_servers()
    assert only(cloud.groups)["name"] == f"rd-{entity.record.short}-rally-security-group"


def test_foreign_key_pair_of_our_name_is_named_and_left(cloud, provided):
    entity, provider = provided(amount=1)
    name = f"rd-{entity.record.short}-key"
    cloud.keys[name] = {"name": name, "public_key": "ssh-rsa AAAA", "fingerprint": "ff"}
    with pytest.raises(ResourceConflict, match=name):
        provider.create_servers()
    with pytest.raises(Exception, match="another key than this deployment's"):
        provider.destroy_servers()
    assert list(cloud.keys) == [name]


def test_foreign_server_of_our_name_is_named_and_left(cloud, provided):
    entity, provider = provided(amount=1)
    provider.create_servers()
    foreign = {**only(cloud.servers), "id": "foreign", "metadata": {}, "asked": {}}
    cloud.servers["foreign"] = foreign
    with pytest.raises(Exception, match="this deployment did not make"):
        provider.destroy_servers()
    assert "foreign" in cloud.servers


def test_things_of_another_deployment_are_not_touched(cloud, provided):
    other, mine = provided()[1], provided(floating_network="public")[1]
    other.create_servers()
    before = cloud.things()
    mine.create_servers()
    mine.destroy_servers()
    assert cloud.things() == before


# Servers that fail

def test_failed_server_tells_fault_and_console_and_the_others_are_kept(cloud, provided):
    cloud.fails["-001"] = "No valid host was found."
    entity, provider = provided(amount=3)
    with pytest.raises(EachFailed, match="1 of 3 failed") as caught:
        provider.create_servers()
    for part in ("-001 has failed", "No valid host was found.", "Kernel panic"):
        assert part in caught.value.details
    good = {s["id"] for s in cloud.servers.values() if s["status"] == "ACTIVE"}
    cloud.fails.clear()
    servers = entity.provider(provider.config).create_servers()
    assert len(servers) == 3
    assert good < {s.facts["instance_id"] for s in servers}
    assert len(cloud.servers) == 3
    provider.destroy_servers()
    assert cloud.things() == []


def test_server_that_somebody_deleted_is_made_anew(cloud, provided):
    entity, provider = provided(amount=2)
    first = provider.create_servers()
    del cloud.servers[first[0].facts["instance_id"]]
    again = entity.provider(provider.config).create_servers()
    assert again[1] == first[1]
    assert again[0].facts["instance_id"] != first[0].facts["instance_id"]


def test_boot_volume_that_failed_is_told_and_made_anew_and_the_others_are_kept(cloud, provided):
    cloud.bad_volumes = {"-001"}
    entity, provider = provided(amount=2, volume_size_gb=1)
    with pytest.raises(ServerFailed, match="1 of 2 volumes cannot be booted from") as caught:
        provider.create_servers()
    assert "-001 is error" in caught.value.details
    good, bad = sorted(cloud.volumes, key=lambda one: cloud.volumes[one]["name"])
    cloud.bad_volumes.clear()
    assert len(entity.provider(provider.config).create_servers()) == 2
    assert good in cloud.volumes
    assert bad not in cloud.volumes
    assert len(cloud.volumes) == 2


def test_boot_volume_that_somebody_deleted_is_made_anew(cloud, provided):
    cloud.fails["-000"] = "No valid host was found."
    entity, provider = provided(amount=1, volume_size_gb=1)
    with pytest.raises(ServerFailed, match="has failed"):
        provider.create_servers()
    cloud.servers.clear()
    cloud.volumes.clear()
    cloud.fails.clear()
    assert len(entity.provider(provider.config).create_servers()) == 1
    assert len(cloud.volumes) == 1


def test_boot_volume_of_a_working_server_is_kept_whatever_its_status(cloud, provided):
    entity, provider = provided(amount=1, volume_size_gb=1)
    provider.create_servers()
    kept = only(cloud.volumes)
    kept["status"] = "error_extending"
    entity.provider(provider.config).create_servers()
    assert only(cloud.volumes) is kept
    assert len(cloud.servers) == 1


def test_volume_of_somebody_else_with_our_name_is_neither_used_nor_removed(cloud, provided):
    entity, provider = provided(amount=1, volume_size_gb=1)
    theirs = {"id": "theirs", "name": f"rd-{entity.record.short}-it-000", "status": "error",
              "metadata": {}}
    cloud.volumes["theirs"] = theirs
    provider.create_servers()
    provider.destroy_servers()
    assert cloud.volumes == {"theirs": theirs}


def test_volume_of_ours_that_was_renamed_is_waited_for_and_removed(cloud, provided):
    entity, provider = provided(amount=1, volume_size_gb=1)
    cloud.fails["-000"] = "No valid host was found."
    with pytest.raises(ServerFailed, match="has failed"):
        provider.create_servers()
    cloud.fails.clear()
    only(cloud.volumes)["name"] = "web"
    again = entity.provider(provider.config)
    again.create_servers()
    assert only(cloud.volumes)["name"] == "web"
    again.destroy_servers()
    assert cloud.volumes == {}


def test_volume_that_is_being_deleted_already_is_waited_for(cloud, provided):
    entity, provider = provided(amount=1, volume_size_gb=1)
    provider.create_servers()
    volume = only(cloud.volumes)
    cloud.servers.clear()
    volume["status"] = "deleting"  # as a destroy that was killed has left it
    threading.Timer(0.5, cloud.volumes.clear).start()
    provider.destroy_servers()
    assert cloud.count("DELETE", "/volumes/") == 0
    assert cloud.things() == []


@pytest.mark.parametrize("status", ["reserved", "detaching"])
def test_volume_that_its_server_has_just_left_is_removed_once_it_is_free(
    cloud, provided, status
):
    provider = provided(amount=1, volume_size_gb=1)[1]
    provider.create_servers()
    volume = only(cloud.volumes)
    cloud.servers.clear()
    volume["status"] = status
    threading.Timer(0.5, volume.update, [{"status": "available"}]).start()
    provider.destroy_servers()
    assert cloud.things() == []


@pytest.mark.parametrize("verb", ["resume", "destroy"])
def test_volume_that_nova_has_left_reserved_for_a_server_that_is_gone_is_let_go(
    cloud, provided, monkeypatch, verb
):
    monkeypatch.setattr(servers, "_RESERVED_S", 0.3)
    entity, provider = provided(amount=1, volume_size_gb=1)
    cloud.fails["-000"] = "No valid host was found."
    with pytest.raises(ServerFailed, match="has failed"):
        provider.create_servers()
    cloud.servers.clear()
    cloud.fails.clear()
    volume = only(cloud.volumes)
    volume["status"] = "reserved"
    cloud.attachments["a"] = {"id": "a", "volume_id": volume["id"], "status": "reserved"}
    again = entity.provider(provider.config)
    if verb == "resume":
        again.create_servers()
        assert only(cloud.volumes)["id"] != volume["id"]
    again.destroy_servers()
    assert cloud.things() == []


def test_stopped_server_is_started(cloud, provided):
    entity, provider = provided(amount=1)
    provider.create_servers()
    only(cloud.servers)["status"] = "SHUTOFF"
    entity.provider(provider.config).create_servers()
    assert only(cloud.servers)["status"] == "ACTIVE"


def test_server_that_does_not_become_active_in_time_is_told_with_its_state(cloud, provided):
    cloud.builds = 10_000
    with pytest.raises(ServerFailed, match="is BUILD instead of ACTIVE") as caught:
        provided(amount=1, timeout_s=10)[1].create_servers()
    assert "Kernel panic" in caught.value.details


def test_ports_that_nova_forgot_are_removed_with_their_server(cloud, provided):
    provider = provided(amount=1)[1]
    server = provider.create_servers()[0]
    cloud.ports["left"] = {"id": "left", "device_id": server.facts["instance_id"],
                           "device_owner": "compute:nova"}
    del cloud.servers[server.facts["instance_id"]]
    cloud.ports["theirs"] = {"id": "theirs", "device_id": "another", "device_owner": "x"}
    provider.destroy_servers()
    assert list(cloud.ports) == ["theirs"]


def test_sweep_finds_every_kind_with_its_tag(cloud, provided):
    entity, provider = provided(amount=1, floating_network="public", volume_size_gb=1)
    cloud.keys["theirs"] = {"name": "theirs", "public_key": "x", "fingerprint": ""}
    provider.create_servers()
    found = provider.tagged()
    assert {thing.kind for thing in found} == {
        "server", "key pair", "security group", "floating address", "port", "volume", "image"}
    assert {thing.tag for thing in found} == {entity.record.short}
    provider.destroy_servers()
    assert provider.tagged() == []
