#!/usr/bin/env bash
# Makes the account that DevStack runs as, with the right to become root. Run as root.
set -o errexit
TOP_DIR=$(cd $(dirname "$0")/.. && pwd)
source $TOP_DIR/stackrc
STACK_USER=stack

if ! getent group $STACK_USER >/dev/null; then
    echo "Creating a group called $STACK_USER"
    groupadd $STACK_USER
fi
if ! getent passwd $STACK_USER >/dev/null; then
    echo "Creating a user called $STACK_USER"
    useradd -g $STACK_USER -s /bin/bash -d $DEST -m $STACK_USER
    chmod +x $DEST
fi
echo "Giving stack user passwordless sudo privileges"
grep -q "^#includedir.*/etc/sudoers.d" /etc/sudoers ||
    echo "#includedir /etc/sudoers.d" >>/etc/sudoers
(umask 226 && echo "$STACK_USER ALL=(ALL) NOPASSWD:ALL" >/etc/sudoers.d/50_stack_sh)
