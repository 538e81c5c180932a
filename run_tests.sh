#!/bin/sh
# Lint, types, import layers, unit tests, and the functional tests that this machine can run.
# As root it installs what they need; otherwise what is missing is skipped by name.
# Arguments, if any, go to pytest in place of the whole suite.
set -eu
cd "$(dirname -- "$0")"
. ./tools/setup.sh

if [ "$(id -u)" -eq 0 ]; then
    say "packages"
    # The package would start a database server of its own; the tests start theirs.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf
    fi
    install_packages python3-venv openssh-client openssh-server sudo lxc lxc-templates debootstrap \
        rsync bridge-utils iptables dnsmasq-base uidmap iproute2 iputils-ping \
        btrfs-progs postgresql procps wget openssl ca-certificates bind9 \
        libvirt-daemon-system libvirt-clients libvirt-dev qemu-system-x86 qemu-utils virtinst \
        cpio pkg-config gcc python3-dev
fi
say "virtual environment"
extras=openstack,postgresql,test
# libvirt's binding is compiled here, against the library that this machine has.
if pkg-config --exists libvirt 2>/dev/null; then
    extras="$extras,libvirt"
fi
make_venv .venv ".[$extras]"
PATH="$PWD/.venv/bin:$PATH"
export PATH
if [ $# -gt 0 ]; then
    exec python -m pytest "$@"
fi
say "lint"
ruff check .
say "types"
mypy
say "layers"
lint-imports
say "tests"
# Two at a time, those of one group (xdist_group) one after the other: containers of this machine, the
# cloud that many tests share, libvirt.
exec python -m pytest -n 2 --dist loadgroup --durations=60
