#!/bin/sh
# Sets up all that rdeploy needs on this machine and deploys samples/deployments/quickstart.json.
# As root or through sudo; asks nothing. A second run resumes where the first one stopped.
set -eu
cd "$(dirname -- "$0")"
if [ "$(id -u)" -ne 0 ]; then
    exec sudo -- "$0" "$@"
fi
. ./tools/setup.sh

say "1/3 packages"
install_packages python3-venv openssh-client lxc lxc-templates debootstrap rsync bridge-utils \
    iptables dnsmasq-base uidmap iproute2 wget openssl ca-certificates
say "2/3 rdeploy in .venv"
make_venv .venv "."
say "3/3 a cloud: rdeploy create --file samples/deployments/quickstart.json"
if [ -n "$(.venv/bin/rdeploy list --json | grep '"quickstart"' || true)" ]; then
    exec .venv/bin/rdeploy resume quickstart
fi
exec .venv/bin/rdeploy create --name quickstart --file samples/deployments/quickstart.json "$@"
