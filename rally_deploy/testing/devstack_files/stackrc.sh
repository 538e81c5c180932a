# stackrc of the stand-in: settings of local.conf over defaults.

RC_DIR=$(cd $(dirname "${BASH_SOURCE:-$0}") && pwd)
source $RC_DIR/functions

DEST=/opt/stack
STACK_USER=$(whoami)
REGION_NAME=${REGION_NAME:-RegionOne}
ENABLED_SERVICES=key,n-api,n-cpu,n-cond,n-sch,n-novnc,n-api-meta,placement-api,placement-client
ENABLED_SERVICES+=,g-api,q-svc,rabbit,mysql,etcd3

if [[ -f $RC_DIR/.localrc.auto ]]; then
    source $RC_DIR/.localrc.auto
fi
disable_negated_services

DATA_DIR=${DATA_DIR:-${DEST}/data}
VIRT_DRIVER=${VIRT_DRIVER:-libvirt}
NUMBER_FAKE_NOVA_COMPUTE=${NUMBER_FAKE_NOVA_COMPUTE:-1}
GIT_BASE=${GIT_BASE:-https://opendev.org}
LOG_COLOR=$(trueorfalse False LOG_COLOR)
VERBOSE=$(trueorfalse True VERBOSE)
# As DevStack's own, which makes a process for each line.
export PS4='+ ${BASH_SOURCE[0]#$RC_DIR/}:${FUNCNAME[0]:-main}:$LINENO                    :   '

if [[ -z "$HOST_IP" ]]; then
    HOST_IP=$(hostname -I 2>/dev/null | awk '{print $1}')
    if [[ -n "$STAND_IN_ROOT" ]]; then
        HOST_IP=${HOST_IP:-127.0.0.1}
    fi
fi
if [[ -z "$HOST_IP" || "$STAND_IN_FAIL" == "host_ip" ]]; then
    die $LINENO "Could not determine host ip address.  See local.conf for suggestions on setting HOST_IP."
fi
SERVICE_HOST=${SERVICE_HOST:-$HOST_IP}
SERVICE_PROTOCOL=${SERVICE_PROTOCOL:-http}
RABBIT_HOST=${RABBIT_HOST:-$SERVICE_HOST}
RABBIT_USERID=${RABBIT_USERID:-stackrabbit}
MYSQL_HOST=${MYSQL_HOST:-127.0.0.1}
DATABASE_USER=${DATABASE_USER:-root}
KEYSTONE_SERVICE_URI=$SERVICE_PROTOCOL://$SERVICE_HOST/identity

ETC=$STAND_IN_ROOT/etc
NOVA_CONF=$ETC/nova/nova.conf
NOVA_CPU_CONF=$ETC/nova/nova-cpu.conf
NOVA_STATE_PATH=$DATA_DIR/nova
