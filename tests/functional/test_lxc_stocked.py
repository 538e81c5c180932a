"""Base containers with what the engine will install, on real LXC: made once, and nothing runs."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from rally_deploy.config import normalize
from rally_deploy.engines.devstack import DevstackEngine
from rally_deploy.engines.distro import DistroEngine
from rally_deploy.hosts import lxc_base, lxc_stocked
from rally_deploy.hosts.beforehand import Beforehand
from rally_deploy.testing.contract import open_deployment
from rally_deploy.testing.fakes import plugin_path
from tests.functional import lxc_rig
from tests.functional.conftest import ONE_CONTAINER, need, spread
from tests.functional.hardware_nodes import hardware_nodes, way_out
from tests.functional.sshd_hosts import sh, until
from tests.functional.test_hardware_nodes import ON_BTRFS
from tests.unit.conftest import Recorder

pytestmark = [
    pytest.mark.functional, pytest.mark.usefixtures("lxc"),
    pytest.mark.xdist_group("machine"),
]

LXC = Path("/var/lib/lxc")

#: A service, one in a script of System V alone, a timer, and a secret that is made up.
PACKAGES = ("memcached", "sysfsutils", "logrotate", "ssl-cert", "python3-six")
SECRET = "/etc/ssl/private/ssl-cert-snakeoil.key"


def image_of(packages):
    return lxc_stocked.StockedImage(
        lxc_base.BaseImage("debian", "bookworm"), "FakeEngine", tuple(sorted(packages)))


@pytest.fixture(scope="module")
def plain(request):
    request.getfixturevalue("lxc")
    return lxc_rig.make_base()


@pytest.fixture(scope="module")
def removed(plain):
    """Bases with these packages are not there now, and at the end."""
    shell, asked = lxc_rig.local_shell(), {PACKAGES}

    def remove(names):
        lxc_base.remove_image(shell, image_of(names).name)
        asked.add(names)

    yield remove
    for names in tuple(asked):
        remove(names)


@pytest.fixture
def no_base(removed):
    removed(PACKAGES)


@pytest.fixture
def rig(tmp_path, monkeypatch, recorder):
    monkeypatch.setenv("RDEPLOY_HOME", str(tmp_path / "home"))
    with lxc_rig.deployer(tmp_path / "rig", watcher=recorder) as rig:
        yield rig


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def made(rig, tmp_path, removed):
    """Deploys two containers each time, by an engine that says it will install PACKAGES."""
    entities = []

    def make(beforehand=PACKAGES, hosts=(lxc_rig.LOCAL,), **keys):
        provider = lxc_rig.config(hosts, containers_per_host=2, **keys)["provider"]
        entity = open_deployment(rig, {
            "type": "FakeEngine", "world": str(tmp_path / "world"), "provider": provider,
            "beforehand": list(beforehand),
        })
        entities.append(entity)
        entity.deploy()
        return entity

    yield make
    for entity in entities:
        entity.destroy()


def titles(recorder, kind):
    return [event.title for event in recorder.events if str(event.kind) == kind]


def ask(deployment, script):
    """What each container says."""
    return deployment.each(
        lambda server: deployment.ssh(server).script(script).stdout.strip(),
        deployment.servers())


STARTED = "systemctl list-units --plain --no-legend --state=active,failed --type=service,socket \
    | awk '{print $1}' | grep -v '^user' | sort"


def test_second_create_has_the_packages_and_nothing_of_them_runs(made, recorder, no_base, plain):
    without = ask(made(engine_packages=False), STARTED)
    first = made()
    kept = "keep the packages of FakeEngine in a base container, once"
    assert titles(recorder, "step-done").count(kept) == 1
    recorder.events.clear()
    second = made()
    assert [t for t in titles(recorder, "step-begin") if "base container" in t] == []
    for deployment in (first, second):
        rows = deployment.part("provider").ledger.alive("lxc_container")
        assert {row.facts["base"] for row in rows} == {image_of(PACKAGES).name}
        assert set(ask(deployment, f"dpkg -s {' '.join(PACKAGES)} >/dev/null && echo there")) == {
            "there"}
        # Nothing is started at boot that a clone of the plain one does not start.
        assert set(ask(deployment, STARTED)) == set(without)
        assert set(ask(deployment, "systemctl is-system-running --wait")) == {"running"}
        assert set(ask(deployment, "systemctl is-enabled logrotate.timer")) == {"enabled"}
        assert set(ask(deployment, "systemctl enable --now memcached 2>/dev/null; "
                       "systemctl is-active memcached")) == {"active"}
    # Each has its own, and it is a key.
    for path in (SECRET, "/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key"):
        assert len({*ask(first, f"cat {path}"), *ask(second, f"cat {path}")}) == 4
    look = f"stat -c '%U %G %a' {SECRET}; openssl rsa -check -noout -in {SECRET}"
    assert set(ask(first, look)) == {"root ssl-cert 640\nRSA key ok"}
    # Compiled for all users.
    assert set(ask(first, "ls /usr/lib/python3/dist-packages/__pycache__ | grep -c '^six'")) == {
        "1"}


def test_whole_cloud_in_the_base_nothing_of_it_runs_at_boot(made):
    """All of OpenStack is there, and of its packages only the system's own bus is started."""
    base = lxc_rig.make_stocked_base(DistroEngine)
    told = Beforehand("DistroEngine", DistroEngine.packages_beforehand(
        normalize({}, DistroEngine.CONFIG_SCHEMA))).names("debian 12")
    plain, whole = made(engine_packages=False), made(told)
    rows = whole.part("provider").ledger.alive("lxc_container")
    assert {row.facts["base"] for row in rows} == {base}
    here, there = (set(ask(d, STARTED)[0].split()) for d in (plain, whole))
    assert there - here == {"dbus.service", "dbus.socket", "systemd-logind.service"}
    assert set(ask(whole, "systemctl is-system-running --wait")) == {"running"}
    # So that the engine enables those that it starts.
    units = "mariadb rabbitmq-server memcached keystone nova-api nova-compute libvirtd open-iscsi"
    assert set(ask(whole, f"systemctl is-enabled {units} || :")) == {
        "\n".join(["disabled"] * len(units.split()))}
    secrets = ("/var/lib/rabbitmq/.erlang.cookie", "/etc/iscsi/initiatorname.iscsi")
    for path in secrets:
        assert len(set(ask(whole, f"cat {path}"))) == 2
    assert set(ask(whole, f"stat -c '%U %G %a' {' '.join(secrets)}")) == {
        "rabbitmq rabbitmq 400\nroot root 600"}
    assert set(ask(whole, "cmp /etc/machine-id /var/lib/dbus/machine-id && echo same")) == {"same"}


def test_packages_of_devstack_have_no_service(plain):
    """A clone of a compute must not carry daemons: what they had enabled would be kept here."""
    helper = Path("var/lib/systemd/deb-systemd-helper-enabled")
    enabled = [
        {str(path.relative_to(root)) for path in (root / helper).glob("*.wants/*")}
        for root in (LXC / name / "rootfs" for name in (
            lxc_rig.make_stocked_base(DevstackEngine), plain))
    ]
    assert enabled[1] != set()
    assert {path.rpartition(".")[2] for path in enabled[0] - enabled[1]} <= {"timer"}


def test_it_is_listed_with_what_it_is_for_and_removed_by_its_name(made, rdeploy, plain):
    deployment = made()
    name = image_of(PACKAGES).name
    found = next(i for i in rdeploy.json("images") if i["name"] == name)
    assert (found["for"], found["of"], found["complete"]) == ("FakeEngine", plain, True)
    assert len(found["clones"]) == 2
    line = next(line for line in rdeploy("images").stdout.splitlines() if name in line)
    assert line.split()[2:6] == ["debian", "bookworm", "FakeEngine", lxc_base.today()]
    refused = rdeploy("images", "--remove", name, check=False)
    assert "has clones" in refused.stderr
    deployment.destroy()
    rdeploy("images", "--remove", name)
    assert not (LXC / name).exists()
    assert (LXC / plain).exists()


def test_names_that_the_mirror_lacks_are_left_out(made, recorder, removed):
    names = ("python3-six", "no-such-package-at-all")
    removed(names)
    made(names)
    assert titles(recorder, "warning") == []
    assert (LXC / image_of(names).name / "rootfs/usr/lib/python3/dist-packages/six.py").exists()


def test_one_that_cannot_be_made_is_a_warning_and_the_plain_one_is_taken(
    made, recorder, removed, plain
):
    names = ("no-such-package-at-all",)
    removed(names)
    deployment = made(names)
    (warning,) = titles(recorder, "warning")
    assert "the mirror has none of these packages" in warning
    rows = deployment.part("provider").ledger.alive("lxc_container")
    assert {row.facts["base"] for row in rows} == {plain}
    assert halves_of(names) == []


def test_too_small_a_disk_gets_the_plain_one(made, recorder, removed, plain, monkeypatch):
    monkeypatch.setattr(lxc_stocked, "FREE_MB", 10_000_000)
    names = ("python3-six", "python3-pep8")
    removed(names)
    deployment = made(names)
    assert "10000000 MB are needed" in titles(recorder, "warning")[0]
    rows = deployment.part("provider").ledger.alive("lxc_container")
    assert {row.facts["base"] for row in rows} == {plain}


def test_on_btrfs_it_is_a_snapshot_and_goes_with_its_name(
    made, rig, tmp_path, sshd, plain, monkeypatch
):
    need("snapshots of btrfs", "mkfs.btrfs", "btrfs")
    monkeypatch.setattr(lxc_stocked, "FREE_MB", 500)
    bridge, network = "rdtstock", "10.253.76"
    with hardware_nodes(1, network, bridge) as (host,), way_out(bridge, network):
        host.run("sh", "-ec", ON_BTRFS, "btrfs", str(tmp_path), plain)
        try:
            deployment = made(("python3-six",), hosts=[host.credentials])
            rows = deployment.part("provider").ledger.alive("lxc_container")
            name = image_of(("python3-six",)).name
            assert {(row.facts["clone"], row.facts["base"]) for row in rows} == {
                ("snapshot", name)}
            subvolumes = host.run("btrfs", "subvolume", "list", "/var/lib/lxc")
            assert f"{name}/rootfs" in subvolumes
            deployment.destroy()
            lxc_base.remove_image(rig_shell(deployment, host), name)
            assert host.run("ls", "-A", "/var/lib/lxc").split() == [plain]
        finally:
            host.run("umount", "/var/lib/lxc", check=False)


def rig_shell(deployment, host):
    return deployment.ssh(host.server)


@pytest.mark.parametrize(("making", "stays"), [("rd-base-other", False), (None, True)])
def test_half_is_removed_once_the_making_of_another_is_over(plain, tmp_path, making, stays):
    """Whoever waited has the lock as soon as the maker of a half is ended."""
    name = "rd-base-000000000001"
    half, held = LXC / name, tmp_path / "held"
    (half / "rootfs").mkdir(parents=True)
    holder = subprocess.Popen(["sh", "-ec", f"""
        exec 8<{LXC}; flock 8
        echo {making or name} >/run/lock/rd-base.making; echo >{held}
        exec sleep {60 if stays else 2}
    """])
    try:
        until(held.exists, "the lock")
        lxc_base.end_build(lxc_rig.local_shell(), "rdt-half", name)
        assert half.exists() is stays
        assert (holder.poll() is None) is stays
    finally:
        holder.kill()
        holder.wait()
        shutil.rmtree(half, ignore_errors=True)


# The real rdeploy, killed


def halves_of(names):
    """What the machine has of the base with these packages and of its making."""
    name = image_of(names).name
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if name in line]
    running = sh("pgrep", "-af", name, check=False).splitlines()
    return [str(p) for p in LXC.glob(f"{name}*")] + mounts + running


@pytest.fixture
def small(rdeploy, tmp_path):
    """A config whose engine tells some packages, for processes of its own."""
    folder = plugin_path(tmp_path / "plugins")
    rdeploy.env["PYTHONPATH"] = f"{folder}:{Path(__file__).parents[2]}"
    return lambda names: rdeploy.config("small", {
        "type": "FakeEngine", "world": str(tmp_path / "world"), "beforehand": list(names),
        "provider": ONE_CONTAINER,
    })


def test_create_killed_at_many_points_of_its_first_run_destroy_leaves_no_half(
    rdeploy, small, removed
):
    names = ("python3-six",)
    file = small(names)
    removed(names)
    points = rdeploy.points_of(file)
    for point in spread(points, 6):
        removed(names)
        name = f"killed-{point}"
        assert rdeploy.killed(point, "create", "--name", name, "--file", file), point
        rdeploy("destroy", name, "--yes")
        complete = (LXC / image_of(names).name / "rdeploy-image.json").exists()
        assert complete or halves_of(names) == [], f"killed at {point} of {points}"
    # The marks of jobs that were ended go by themselves.
    until(lambda: rdeploy.left_over() == [], "nothing left", timeout_s=60)


@pytest.mark.timeout(900)
def test_killed_in_its_making_it_is_made_on_until_a_destroy_removes_the_half(
    rdeploy, small, no_base
):
    file = small(PACKAGES)
    process = rdeploy.start("create", "--name", "half", "--file", file)
    half = LXC / image_of(PACKAGES).name
    try:
        until(lambda: (half / "rootfs/usr/sbin/policy-rc.d").exists(), "its making", timeout_s=240)
    finally:
        process.kill()
        process.communicate()
    time.sleep(0.5)
    assert sh("pgrep", "-f", half.name, check=False)
    listed = next(i for i in rdeploy.json("images") if i["name"] == half.name)
    assert listed["complete"] is False
    rdeploy("destroy", "half", "--yes")
    assert halves_of(PACKAGES) == []
    # The mark of the job that was ended goes by itself.
    until(lambda: rdeploy.left_over() == [], "nothing left", timeout_s=60)
    # Another, which nobody cleared away, is in nobody's way.
    (half / "rootfs").mkdir(parents=True)
    rdeploy("create", "--name", "whole", "--file", file)
    assert (half / "rdeploy-image.json").exists()
    rdeploy("destroy", "whole", "--yes")
