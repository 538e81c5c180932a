"""LibcloudProvider: EC2 as moto's server speaks it, and places with many processes at once."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from rally_deploy.testing.fakes import plugin_path
from tests.functional.conftest import Rdeploy
from tests.functional.moto_cloud import MotoCloud
from tests.unit.serverprovider.libcloud.kept import KeptCloud

pytestmark = [pytest.mark.functional, pytest.mark.timeout(900)]

FOREIGN = ["somebody-elses", "somebody-elses-key", "somebody-elses-volume"]
PROCESSES, PLACES = 20, 7


@pytest.fixture(scope="module")
def ec2(tmp_path_factory):
    """EC2 with a server, a volume and a key pair of somebody else."""
    with MotoCloud(tmp_path_factory.mktemp("moto")) as cloud:
        driver = cloud.driver()
        image = driver.get_image("ami-1234abc0")
        size = next(size for size in driver.list_sizes() if size.id == "t3.micro")
        driver.create_node(name=FOREIGN[0], image=image, size=size)
        driver.import_key_pair_from_string(FOREIGN[1], PUBLIC)
        from rally_deploy.serverprovider.libcloud.ec2 import create_volume
        create_volume(driver, 1, {"Name": FOREIGN[2]})
        assert cloud.all() == FOREIGN
        yield cloud


PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ7K8o8V0U8sXcQkYb0m7m2d5B6w1c3Zq9n4p5r6s7t8 me"


class Place:
    """An rdeploy whose servers are of a cloud, and answer to every command."""

    def __init__(self, folder, **provider):
        self.folder = folder
        self.rdeploy = Rdeploy(folder / "home")
        self.rdeploy.env["PYTHONPATH"] = os.pathsep.join(
            [plugin_path(folder / "plugins"), os.getcwd()])
        self.config = self.rdeploy.config("cloud", {
            "type": "FakeEngine", "world": str(folder / "world"),
            "provider": {"type": "LibcloudProvider", **provider},
        })

    def __call__(self, *arguments, **options):
        return self.rdeploy(*arguments, module="tests.functional.killing_outside", **options)

    def create(self, *more, **options):
        return self("create", "--name", "it", "--file", self.config, *more, **options)

    def destroy(self, **options):
        return self("destroy", "it", "--yes", **options)


def of_ec2(ec2, **keys):
    return {
        "driver": "ec2", "driver_args": ec2.driver_args, "image": "debian-12",
        "size": {"ram": 2000, "cpus": 2}, "exclude_sizes": ".*nano", "login_user": "admin",
        "security_groups": ["default"], **keys,
    }


def test_servers_volumes_and_key_come_and_go(ec2, tmp_path):
    place = Place(tmp_path, **of_ec2(ec2, amount=2, volumes={"count": 1, "size": 3}))
    place.create()
    record, = place.rdeploy.json("list")
    tag = f"rd-{record['uuid'][:8]}"
    assert ec2.all() == sorted([
        *FOREIGN, f"{tag}-key", f"{tag}-server-0", f"{tag}-server-1", f"{tag}-volume-0-0",
        f"{tag}-volume-1-0"])
    nodes = [n for n in ec2.driver().list_nodes() if n.name.startswith(tag)]
    assert {n.extra["tags"]["rdeploy"] for n in nodes} == {record["uuid"]}
    assert {n.extra["instance_type"] for n in nodes} == {"t3.small"}
    servers = place.rdeploy.json("show", "it")["servers"]
    assert {s["host"] for s in servers} == {n.public_ips[0] for n in nodes}
    volumes = [v for v in ec2.driver().list_volumes() if v.name.startswith(tag)]
    assert {v.extra["instance_id"] for v in volumes} == {n.id for n in nodes}
    place.destroy()
    assert ec2.all() == FOREIGN


def test_wrong_credentials_and_names_are_told_before_anything_is_made(ec2, tmp_path):
    place = Place(tmp_path, **of_ec2(ec2, image="debian-99"))
    done = place.create(check=False)
    assert done.returncode == 1
    assert "the cloud has no image 'debian-99'" in done.stderr
    assert "Traceback" not in done.stderr
    assert ec2.all() == FOREIGN
    place.destroy()


def test_cloud_that_is_not_there_is_told_in_time(ec2, tmp_path):
    arguments = {**ec2.driver_args, "port": 1}
    place = Place(tmp_path, **of_ec2(ec2, driver_args=arguments))
    done = place.create("--timeout", "15", check=False)
    assert done.returncode in (1, 3)
    assert "Traceback" not in done.stderr
    place.destroy()


def test_secret_of_the_account_stands_in_no_file_and_no_event(ec2, tmp_path):
    place = Place(tmp_path, **of_ec2(ec2))
    place.create()
    secret = ec2.driver_args["secret"]
    shown = place.rdeploy("events", "it").stdout + place.rdeploy("config", "it").stdout
    assert secret not in shown
    files = [p for p in place.rdeploy.home.rglob("*") if p.is_file()]
    assert [p for p in files if secret.encode() in p.read_bytes()] == []
    place.destroy()
    assert ec2.all() == FOREIGN


def test_kill_at_calls_of_ec2_then_destroy_leaves_only_foreign_things(ec2, tmp_path):
    keys = of_ec2(ec2, volumes={"count": 1, "size": 1})
    (tmp_path / "0").mkdir()
    place = Place(tmp_path / "0", **keys)
    place.create(RDEPLOY_TEST_COUNT=str(tmp_path / "count"))
    place.destroy()
    points = int((tmp_path / "count").read_text())
    # Behind each call to EC2; before the next one nothing else happens. The last are the engine's.
    chosen = range(2, points - 3, 2)
    assert len(chosen) >= 12
    for point in chosen:
        (tmp_path / str(point)).mkdir()
        place = Place(tmp_path / str(point), **keys)
        killed = place.create(check=False, RDEPLOY_TEST_KILL_AT=str(point))
        assert killed.returncode == -signal.SIGKILL, (point, killed.stderr)
        place.destroy()
        assert ec2.all() == FOREIGN, point


def start(place, number, *more):
    """A create in the background, of a name of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.functional.killing_outside", "create", "--name",
         f"n{number}", "--file", str(place.config), *more],
        env=place.rdeploy.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


def kept(tmp_path):
    """libcloud's dummy driver with a memory, which has PLACES places."""
    cloud = KeptCloud(tmp_path / "cloud")
    return cloud, Place(
        tmp_path, driver="kept", driver_args={"creds": str(cloud.folder)}, image="Ubuntu 9.10",
        max_nodes=PLACES,
    )


def test_twenty_processes_at_once_get_no_more_places_than_there_are(tmp_path):
    cloud, place = kept(tmp_path)
    processes = [start(place, number) for number in range(PROCESSES)]
    screens = [process.communicate(timeout=800)[0] for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0] * PLACES + [1] * (PROCESSES - PLACES), "\n".join(screens)
    refused = [screen for screen, code in zip(screens, codes, strict=True) if code]
    assert all("there are no 1 of the 7 places" in screen for screen in refused)
    assert len(cloud.names()) == PLACES
    for number in range(PROCESSES):
        place("destroy", f"n{number}", "--yes")
    assert cloud.names() == []


def test_create_that_waits_gets_a_place_as_soon_as_one_is_free(tmp_path):
    cloud, place = kept(tmp_path)
    config = json.loads(place.config.read_text())
    config["provider"]["max_nodes"] = 1
    place.config.write_text(json.dumps(config))
    assert start(place, 0).wait(timeout=300) == 0
    waiting = start(place, 1, "--wait")
    seen = ""
    for line in waiting.stdout:
        seen += line
        if re.search("wait for 1 of the 1 places", line):
            break
    assert waiting.poll() is None, seen
    assert len(cloud.names()) == 1
    place("destroy", "n0", "--yes")
    assert waiting.wait(timeout=300) == 0, waiting.stdout.read()
    place("destroy", "n1", "--yes")
    assert cloud.names() == []
