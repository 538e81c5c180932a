#!/bin/bash
# Removes what stack.sh has made, but for packages and the sources.
TOP_DIR=$(cd $(dirname "$0") && pwd)
source $TOP_DIR/openrc
$TOP_DIR/unstack.sh --all
set -o xtrace
sudo rm -rf $ETC/keystone $ETC/glance $ETC/nova $ETC/neutron $ETC/placement $ETC/openstack
sudo rm -rf $DATA_DIR $DEST/status $DEST/async
if [[ -n "$LOGFILE" ]] && [[ -f "$LOGFILE" ]]; then
    sudo rm -f $LOGFILE
fi
sudo find $ETC/systemd/system -type f -name '*devstack@*service' -delete
if systemd_runs; then
    sudo systemctl daemon-reload
fi
for file in .localrc.auto .localrc.password .stackenv .prereqs; do
    rm -rf $TOP_DIR/$file
done
