#!/bin/bash
# Stops what stack.sh has started. STAND_IN_UNSTACK_FAIL=True makes it fail half-way.
TOP_DIR=$(cd $(dirname "$0") && pwd)
source $TOP_DIR/openrc
if [[ $EUID -eq 0 ]]; then
    echo "You are running this script as root."
    echo "It might work but you will have a better day running it as $STACK_USER"
    exit 1
fi
set -o xtrace
for service in $(unit_services); do
    if [[ "$STAND_IN_UNSTACK_FAIL" == "True" && "$service" == n-* ]]; then
        die $LINENO "Failed to stop devstack@$service.service: Connection timed out"
    fi
    stop_process "$service"
done
